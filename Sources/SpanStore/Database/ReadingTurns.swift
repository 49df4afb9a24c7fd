import Dispatch
import Synchronization

/// When this process's own readers may begin: any time, but for the moment in which the log waits to start over.
///
/// SQLite's log starts over only when no reader needs it, and readers that overlap for ever never leave it such a moment. So new
/// ones are held back while those that are there come to their end. Commits go on meanwhile.
package final class ReadingTurns: Sendable {
    private struct State {
        var isClosed = false
        var active = 0
        var waiting: [DispatchSemaphore] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// How many read now.
    package var active: Int { state.withLock { $0.active } }

    /// Reads when it may. What waits is let in after as long as the log is waited for at most, which is bounded by
    /// `CheckpointPolicy`.
    package func whileReading<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        let turn: DispatchSemaphore? = state.withLock { state in
            guard state.isClosed else {
                state.active += 1
                return nil
            }
            let turn = DispatchSemaphore(value: 0)
            state.waiting.append(turn)
            return turn
        }
        turn?.wait()
        defer { state.withLock { $0.active -= 1 } }
        return try body()
    }

    /// Lets no reader begin until `open`.
    func close() {
        state.withLock { $0.isClosed = true }
    }

    /// Lets all in that wait, and whoever comes.
    func open() {
        let waiting = state.withLock { state in
            state.isClosed = false
            state.active += state.waiting.count
            defer { state.waiting = [] }
            return state.waiting
        }
        for turn in waiting { turn.signal() }
    }
}
