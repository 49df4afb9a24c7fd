import Foundation
import Synchronization

/// A thread that works behind all others: where processors are short, whoever else wants one goes first.
final class BackgroundThread: Sendable {
    /// How far behind, in the system's own measure: such a thread gets about a tenth of what another one gets that wants the processor too.
    static let niceness: Int32 = 10

    /// What the thread holds: not its owner, which ends it.
    private final class Inbox: Sendable {
        let works = Mutex<[@Sendable () -> Void]>([])
        let arrival = DispatchSemaphore(value: 0)

        func run() {
            while true {
                arrival.wait()
                let work: (@Sendable () -> Void)? = works.withLock { $0.isEmpty ? nil : $0.removeFirst() }
                guard let work else { return }
                work()
            }
        }
    }

    private let inbox = Inbox()

    init(_ name: String) {
        let inbox = inbox
        let thread = Thread {
            Self.stepBack()
            inbox.run()
        }
        thread.name = name
        thread.start()
    }

    deinit {
        // A look at an empty list is the end.
        inbox.arrival.signal()
    }

    func async(_ work: @escaping @Sendable () -> Void) {
        inbox.works.withLock { $0.append(work) }
        inbox.arrival.signal()
    }

    /// Where it is refused, the thread is one like all others.
    private static func stepBack() {
        #if canImport(Darwin)
            _ = pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0)
        #else
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
        #endif
    }
}
