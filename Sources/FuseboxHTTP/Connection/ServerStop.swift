import NIOCore
import NIOPosix
import Synchronization

/// How servers are told to end: first to let nothing more in and finish what they have, and when that takes too long, to cut off the
/// rest. Each is said once and for good, by anyone.
package final class ServerStop: Sendable {
    private struct State {
        var isStopping = false
        var isCutOff = false
    }

    private let state = Mutex(State())
    private let stopping: EventLoopPromise<Void>
    private let cutting: EventLoopPromise<Void>

    package init() {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        stopping = eventLoop.makePromise()
        cutting = eventLoop.makePromise()
    }

    deinit {
        stop()
        cutOff()
    }

    /// Asks the servers to finish.
    package func stop() {
        let isFirst = state.withLock { state in
            defer { state.isStopping = true }
            return !state.isStopping
        }
        if isFirst { stopping.succeed() }
    }

    /// Has the servers end at once what still runs.
    package func cutOff() {
        stop()
        let isFirst = state.withLock { state in
            defer { state.isCutOff = true }
            return !state.isCutOff
        }
        if isFirst { cutting.succeed() }
    }

    /// Returns when the servers are asked to finish.
    package func whenStopping() async {
        // The promise never fails.
        try? await stopping.futureResult.get()
    }

    /// Calls `action` when what still runs must end; from any thread.
    package func whenCutOff(_ action: @escaping @Sendable () -> Void) {
        cutting.futureResult.whenComplete { _ in action() }
    }
}
