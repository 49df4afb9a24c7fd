import Dispatch
import SQLite
package import SpanStore
package import StoreSQL
import Synchronization
import Threads

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Threads that answer questions, each with a reading connection of its own: SQLite blocks, and event loops must not.
package final class QueryPool: Sendable {
    package struct Limits: Sendable {
        /// Threads, and with them connections.
        package var readers = 4
        /// Questions that wait for a thread; more are refused.
        package var waiting = 64
        /// Whether everybody else who wants a processor goes first, and questions end before commits wait for them.
        package var isBehind = false

        package init() {}

        /// For programs that ask in loops: half of the threads, and those behind all others.
        package static let agents = {
            var limits = Limits()
            (limits.readers, limits.waiting, limits.isBehind) = (2, 8, true)
            return limits
        }()

        /// The same over an engine: nothing is taken in there, and others may wait for the spans that an agent's question brings.
        package static let agentsOfEngine = {
            var limits = agents
            limits.isBehind = false
            return limits
        }()
    }

    private struct State {
        var idle: [Int]
        var waiting: [@Sendable (Int) -> Void] = []
    }

    /// Where spans are read.
    private enum Source: Sendable {
        /// All of them.
        case folder(StoreFolder)
        /// Those that a question needs.
        case supply(any SpanSupply)
    }

    /// A thread with its connection, which is opened by the first question. Only its queue touches it.
    private final class Worker: @unchecked Sendable {
        private enum Place {
            case queue(DispatchQueue)
            case behind(BackgroundThread)
        }

        private let place: Place
        private let isBehind: Bool
        private let source: Source
        private let turns: ReadingTurns
        private let calls: CallsOfSegments
        private var reader: QueryReader?

        init(_ number: Int, _ source: Source, isBehind: Bool, _ turns: ReadingTurns, _ calls: CallsOfSegments) {
            place =
                isBehind
                ? .behind(BackgroundThread("fusebox.agent.\(number)"))
                : .queue(DispatchQueue(label: "fusebox.query.\(number)", qos: .utility))
            self.isBehind = isBehind
            self.source = source
            self.turns = turns
            self.calls = calls
        }

        /// What a question calls that stands behind the writer.
        private static func giveWay(_ turns: ReadingTurns) -> () -> Void {
            let began = ContinuousClock.now
            var pace = BehindPace()
            return {
                guard let pause = pace.pause(now: ContinuousClock.now - began, worked: turns.worked) else { return }
                usleep(UInt32(clamping: Int(pause / .microseconds(1))))
            }
        }

        func async(_ work: @escaping @Sendable () -> Void) {
            switch place {
            case .queue(let queue): queue.async(execute: work)
            case .behind(let thread): thread.async(work)
            }
        }

        func answer<Value>(
            _ limit: Duration, _ scope: ProjectScope?, of need: SpanNeed, _ body: (QueryReader) throws -> Value
        ) -> Result<Value, QueryError> {
            do {
                switch source {
                case .folder(let folder):
                    func read(_ noteEnd: (@escaping @Sendable () -> Void) -> Void) throws -> Value {
                        let open = try reader ?? QueryReader(folder: folder, calls: calls)
                        reader = open
                        let leave = open.begin(limit: limit, scope: scope, givingWay: isBehind ? Self.giveWay(turns) : {})
                        noteEnd { leave.ask() }
                        defer { open.end() }
                        return try body(open)
                    }
                    return .success(try isBehind ? turns.whileReadingBehind(read) : turns.whileReading { try read { _ in } })
                case .supply(let supply):
                    let (folder, held) = try supply.folder(of: need, seconds: Int(limit.components.seconds))
                    return .success(
                        try withExtendedLifetime(held) {
                            let open = try QueryReader(folder: folder)
                            open.begin(limit: limit, scope: scope)
                            defer { open.end() }
                            return try body(open)
                        })
                }
            } catch {
                let problem = QueryPool.queryError(error)
                // A connection that failed for reasons of its own is made anew.
                if case .store = problem { reader = nil }
                return .failure(problem)
            }
        }
    }

    /// What all pools over the same threads share.
    private final class Threads: Sendable {
        let workers: [Worker]
        let limits: Limits
        let state: Mutex<State>

        init(_ source: Source, _ limits: Limits, _ turns: ReadingTurns, _ calls: CallsOfSegments) {
            self.limits = limits
            workers = (0..<limits.readers).map { Worker($0, source, isBehind: limits.isBehind, turns, calls) }
            state = Mutex(State(idle: Array(0..<limits.readers)))
        }

        func admit(_ work: @escaping @Sendable (Int) -> Void) -> Bool {
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

        func release(_ number: Int) {
            let next: (@Sendable (Int) -> Void)? = state.withLock { state in
                guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
                state.idle.append(number)
                return nil
            }
            next?(number)
        }
    }

    private let threads: Threads
    /// The only project that questions are about; `nil` for all.
    package let scope: ProjectScope?

    /// - Parameters:
    ///   - turns: those of the process that owns the data file, if it is this one.
    ///   - calls: what other pools over the same file learn of its calls too.
    package init(
        folder: StoreFolder, limits: Limits = Limits(), turns: ReadingTurns = ReadingTurns(), calls: CallsOfSegments = CallsOfSegments()
    ) {
        threads = Threads(.folder(folder), limits, turns, calls)
        scope = nil
    }

    /// - Parameter supply: where spans come from, question by question.
    package init(supply: any SpanSupply, limits: Limits = Limits()) {
        threads = Threads(.supply(supply), limits, ReadingTurns(), CallsOfSegments())
        scope = nil
    }

    private init(_ threads: Threads, _ scope: ProjectScope) {
        self.threads = threads
        self.scope = scope
    }

    /// The same threads, for questions about one project.
    package func scoped(to scope: ProjectScope) -> QueryPool { QueryPool(threads, scope) }

    /// Runs `body` on one of the threads and gives its answer; statements that still run after `limit` are ended.
    ///
    /// - Parameter need: which spans it reads. More are there where a data folder has them.
    package func run<Value: Sendable>(
        limit: Duration, of need: SpanNeed = .node, _ body: @escaping @Sendable (QueryReader) throws -> Value
    ) async throws(QueryError) -> Value {
        let result: Result<Value, QueryError> = await withCheckedContinuation { continuation in
            let (threads, scope) = (threads, scope)
            let work: @Sendable (Int) -> Void = { number in
                threads.workers[number].async {
                    let answer = threads.workers[number].answer(limit, scope, of: need, body)
                    threads.release(number)
                    continuation.resume(returning: answer)
                }
            }
            if !threads.admit(work) { continuation.resume(returning: .failure(.busy)) }
        }
        return try result.get()
    }

    private static func queryError(_ error: any Error) -> QueryError {
        switch error {
        case let error as QueryError: error
        case let error as StoreError: .store(error)
        default: .invalid("\(error)")
        }
    }
}
