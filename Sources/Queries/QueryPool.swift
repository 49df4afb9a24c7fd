import Dispatch
package import SpanStore
import Synchronization

/// Threads that answer questions, each with a reading connection of its own: SQLite blocks, and event loops must not.
package final class QueryPool: Sendable {
    package struct Limits: Sendable {
        /// Threads, and with them connections.
        package var readers = 4
        /// Questions that wait for a thread; more are refused.
        package var waiting = 64

        package init() {}
    }

    private struct State {
        var idle: [Int]
        var waiting: [@Sendable (Int) -> Void] = []
    }

    /// A thread with its connection, which is opened by the first question. Only its queue touches it.
    private final class Worker: @unchecked Sendable {
        let queue: DispatchQueue
        private let folder: StoreFolder
        private var reader: QueryReader?

        init(_ number: Int, _ folder: StoreFolder) {
            queue = DispatchQueue(label: "fusebox.query.\(number)", qos: .utility)
            self.folder = folder
        }

        func answer<Value>(_ limit: Duration, _ body: (QueryReader) throws -> Value) -> Result<Value, QueryError> {
            do {
                let open = try reader ?? QueryReader(folder: folder)
                reader = open
                open.begin(limit: limit)
                defer { open.end() }
                return .success(try body(open))
            } catch {
                let problem = QueryPool.queryError(error)
                // A connection that failed for reasons of its own is made anew.
                if case .store = problem { reader = nil }
                return .failure(problem)
            }
        }
    }

    private let workers: [Worker]
    private let limits: Limits
    private let state: Mutex<State>

    package init(folder: StoreFolder, limits: Limits = Limits()) {
        self.limits = limits
        workers = (0..<limits.readers).map { Worker($0, folder) }
        state = Mutex(State(idle: Array(0..<limits.readers)))
    }

    /// Runs `body` on one of the threads and gives its answer; statements that still run after `limit` are ended.
    package func run<Value: Sendable>(
        limit: Duration, _ body: @escaping @Sendable (QueryReader) throws -> Value
    ) async throws(QueryError) -> Value {
        let result: Result<Value, QueryError> = await withCheckedContinuation { continuation in
            let work: @Sendable (Int) -> Void = { [self] number in
                workers[number].queue.async {
                    let answer = self.workers[number].answer(limit, body)
                    self.release(number)
                    continuation.resume(returning: answer)
                }
            }
            if !admit(work) { continuation.resume(returning: .failure(.busy)) }
        }
        return try result.get()
    }

    private func admit(_ work: @escaping @Sendable (Int) -> Void) -> Bool {
        let free: Int? = state.withLock { state in
            if let idle = state.idle.popLast() { return idle }
            guard state.waiting.count < limits.waiting else { return -1 }
            state.waiting.append(work)
            return nil
        }
        guard let free else { return true }
        guard free >= 0 else { return false }
        work(free)
        return true
    }

    private func release(_ number: Int) {
        let next: (@Sendable (Int) -> Void)? = state.withLock { state in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.idle.append(number)
            return nil
        }
        next?(number)
    }

    private static func queryError(_ error: any Error) -> QueryError {
        switch error {
        case let error as QueryError: error
        case let error as StoreError: .store(error)
        default: .invalid("\(error)")
        }
    }
}
