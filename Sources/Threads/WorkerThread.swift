package import Dispatch
import Synchronization

/// A thread that works, rests and works again until it is stopped: what every loop of the server beside the requests is.
///
/// It is made first and started last, so that the work may use its owner whole. Any thread may call all but `rest`.
package final class WorkerThread: Sendable {
    /// How soon it has a processor.
    package enum Priority: Sendable {
        /// Others wait for what it does, though not at once.
        case utility
        /// Nobody waits for it.
        case background
    }

    private let stopping = Atomic(false)
    private let wake = DispatchSemaphore(value: 0)
    private let finished = DispatchSemaphore(value: 0)

    /// Longer rests end after this.
    private static let restMax = Duration.seconds(86_400)

    package init() {}

    /// Starts the thread, once.
    ///
    /// - Parameters:
    ///   - name: as debuggers show it.
    ///   - work: returns soon after `isStopping` says so.
    package func start(_ name: String, _ priority: Priority, _ work: @escaping @Sendable () -> Void) {
        DispatchQueue(label: name, qos: priority == .utility ? .utility : .background).async { [finished] in
            work()
            finished.signal()
        }
    }

    /// Whether the work shall end.
    package var isStopping: Bool { stopping.load(ordering: .acquiring) }

    /// Sleeps for so long at most, less when it is stopped. For the thread itself.
    ///
    /// - Returns: whether there is more work to do: it was not stopped.
    @discardableResult
    package func rest(_ duration: Duration) -> Bool {
        let bounded = max(.zero, min(duration, Self.restMax))
        _ = wake.wait(timeout: .now() + .nanoseconds(Int(bounded / .nanoseconds(1))))
        return !isStopping
    }

    /// Asks the work to end, and wakes it.
    package func askToStop() {
        stopping.store(true, ordering: .releasing)
        wake.signal()
    }

    /// Waits until the work has ended. It must have been started.
    package func waitUntilStopped(_ deadline: DispatchTime = .distantFuture) {
        if finished.wait(timeout: deadline) == .success { finished.signal() }
    }

    package func stop() {
        askToStop()
        waitUntilStopped()
    }
}
