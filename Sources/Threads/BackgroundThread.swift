import Dispatch
import Synchronization

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A thread that works behind all others: where processors are short, whoever else wants one goes first.
package final class BackgroundThread: Sendable {
    #if canImport(Glibc)
        /// `SCHED_IDLE` of Linux: whoever else wakes up has the processor at once. A niceness is not enough: such a thread keeps it for some
        /// milliseconds, and those who send spans wake up for each request.
        static let idlePolicy: Int32 = 5
    #endif

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

    package init(_ name: String) {
        let inbox = inbox
        // Not one of Dispatch's, which are shared: it could not step forward again.
        guard !Self.start(inbox) else { return }
        DispatchQueue(label: name, qos: .utility).async { inbox.run() }
    }

    deinit {
        // A look at an empty list is the end.
        inbox.arrival.signal()
    }

    package func async(_ work: @escaping @Sendable () -> Void) {
        inbox.works.withLock { $0.append(work) }
        inbox.arrival.signal()
    }

    /// `false` where the system has no more threads.
    private static func start(_ inbox: Inbox) -> Bool {
        let context = Unmanaged.passRetained(inbox)
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        let result = pthread_create(
            &thread, nil,
            { context in
                BackgroundThread.work(context)
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            return false
        }
        #if canImport(Darwin)
            if let thread { pthread_detach(thread) }
        #else
            pthread_detach(thread)
        #endif
        return true
    }

    private static func work(_ context: UnsafeMutableRawPointer?) {
        guard let context else { return }
        let inbox = Unmanaged<Inbox>.fromOpaque(context).takeRetainedValue()
        stepBack()
        inbox.run()
    }

    /// Where it is refused, the thread is one like all others.
    private static func stepBack() {
        #if canImport(Darwin)
            _ = pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0)
        #else
            var parameters = sched_param()
            _ = sched_setscheduler(0, idlePolicy, &parameters)
        #endif
    }
}
