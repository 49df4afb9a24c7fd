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
        /// What ends the readers that stand behind commits, by their numbers.
        var behind: [Int: @Sendable () -> Void] = [:]
        var nextBehind = 0
    }

    private let state = Mutex(State())
    /// Nanoseconds.
    private let workedNanoseconds = Atomic<Int64>(0)

    package init() {}

    /// For how long the writer has worked so far, as far as it said so: what it does not wait for work.
    package var worked: Duration { .nanoseconds(workedNanoseconds.load(ordering: .relaxed)) }

    /// Notes that the writer worked.
    package func noteWork(_ duration: Duration) {
        workedNanoseconds.wrappingAdd(Int64(duration / .nanoseconds(1)), ordering: .relaxed)
    }

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

    /// The same for a reader that ends before commits wait for it.
    ///
    /// - Parameter body: is given a function that it calls, once it has begun to read, with what ends it; that may be called on any thread.
    package func whileReadingBehind<Value, Failure: Error>(
        _ body: ((@escaping @Sendable () -> Void) -> Void) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try whileReading { () throws(Failure) in
            let number = state.withLock { state in
                state.nextBehind += 1
                return state.nextBehind
            }
            defer { state.withLock { $0.behind[number] = nil } }
            return try body { end in state.withLock { $0.behind[number] = end } }
        }
    }

    /// Asks the readers that stand behind commits to end, each once; `false` when there are none.
    func endThoseBehind() -> Bool {
        let ends = state.withLock { state in
            defer { state.behind = [:] }
            return Array(state.behind.values)
        }
        for end in ends { end() }
        return !ends.isEmpty
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
