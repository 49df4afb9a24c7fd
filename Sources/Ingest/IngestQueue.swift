import Dispatch
import Synchronization
import TelemetryModel

/// Caps of what may wait for the writer.
package struct IngestLimits: Sendable {
    package var queueSpansMax = 500_000
    package var queueBytesMax = 256 << 20
    /// A request that waited longer than this is refused rather than stored: its client has given up or is about to, and sends again.
    package var queueWaitMax = Duration.seconds(6)
    /// Below this many free bytes on the data folder's disk nothing is stored: checkpoints and deletions still have room then.
    package var diskReserveBytes = 64 << 20
    /// A write-ahead log longer than this takes no more; a reader that stays on an old state keeps it from being emptied.
    package var logBytesMax = 256 << 20

    package init() {}
}

/// Work for the writer's thread, in the order in which it came. Bounded by spans and bytes; what does not fit is refused at once,
/// except that one request always fits into an empty queue.
final class IngestQueue: Sendable {
    /// A decoded request that waits for its commit.
    struct Request: Sendable {
        var batch: SpanBatch
        /// Of a request of log records, which has no spans but those of the calls that it tells of.
        var logs: LogBatch?
        var bytes: Int
        var enqueued: ContinuousClock.Instant
        /// Called once, from the writer's thread, when the request's fate is known.
        var finish: @Sendable (Result<IngestResult, IngestError>) -> Void

        /// It has a place already, and is not refused for want of room.
        var hasPlace = false

        /// Spans and log records: what the limits of the queue and of a commit count.
        var recordCount: Int { batch.spans.count + (logs?.records.count ?? 0) }
    }

    /// Something to be done between commits by the thread that owns the state.
    typealias Task = @Sendable (WriterState) -> Void

    /// What the writer takes in one go.
    struct Work {
        var requests: [Request] = []
        var tasks: [Task] = []
        /// Waited too long.
        var expired: [Request] = []
        var isClosed = false
    }

    private struct State {
        var requests: [Request] = []
        var tasks: [Task] = []
        var spans = 0
        var bytes = 0
        /// Kept free for those who asked before.
        var reservedSpans = 0
        var reservedBytes = 0
        var isClosed = false
        /// When a request was last turned away for want of room or of time.
        var turnedAway: ContinuousClock.Instant?
        /// The semaphore was signalled and nobody woke yet: more signals would only wake for nothing.
        var isWaking = false
    }

    private let state = Mutex(State())
    private let arrivals = DispatchSemaphore(value: 0)
    private let limits: IngestLimits

    init(limits: IngestLimits) {
        self.limits = limits
    }

    /// Spans and bytes that wait now.
    var depth: (spans: Int, bytes: Int) { state.withLock { ($0.spans, $0.bytes) } }

    /// Whether a request was turned away within the last second.
    var turnedAwayOfLate: Bool {
        guard let last = state.withLock({ $0.turnedAway }) else { return false }
        return ContinuousClock.now - last < .seconds(1)
    }

    /// Adds a request, or says why not.
    func add(_ request: Request) -> IngestError? {
        let refusal: IngestError? = state.withLock { state in
            if state.isClosed { return .stopping }
            if let oldest = state.requests.first, request.enqueued - oldest.enqueued > limits.queueWaitMax {
                state.turnedAway = request.enqueued
                return .waitedTooLong
            }
            let spans = state.spans + request.recordCount
            let bytes = state.bytes + request.bytes
            if !request.hasPlace && !state.requests.isEmpty && !hasRoom(state, spans: spans, bytes: bytes) {
                state.turnedAway = request.enqueued
                return .queueFull
            }
            state.requests.append(request)
            state.spans = spans
            state.bytes = bytes
            return nil
        }
        if refusal == nil { wake() }
        return refusal
    }

    private func hasRoom(_ state: State, spans: Int, bytes: Int) -> Bool {
        spans + state.reservedSpans <= limits.queueSpansMax && bytes + state.reservedBytes <= limits.queueBytesMax
    }

    /// Keeps room for a request that will come, or says why not.
    func reserve(spans: Int, bytes: Int) -> IngestError? {
        state.withLock { state in
            if state.isClosed { return .stopping }
            if let oldest = state.requests.first, ContinuousClock.now - oldest.enqueued > limits.queueWaitMax {
                return .waitedTooLong
            }
            guard hasRoom(state, spans: state.spans + spans, bytes: state.bytes + bytes) else { return .queueFull }
            state.reservedSpans += spans
            state.reservedBytes += bytes
            return nil
        }
    }

    /// Gives kept room back.
    func release(spans: Int, bytes: Int) {
        state.withLock { state in
            state.reservedSpans -= spans
            state.reservedBytes -= bytes
        }
    }

    /// Adds a task; `false` when the queue is closed and it will not run.
    func add(_ task: @escaping Task) -> Bool {
        let added = state.withLock { state in
            if state.isClosed { return false }
            state.tasks.append(task)
            return true
        }
        if added { wake() }
        return added
    }

    /// Takes out what has waited too long; the oldest come first.
    private func expire(_ state: inout State, into work: inout Work) {
        guard let oldest = state.requests.first else { return }
        let now = ContinuousClock.now
        guard now - oldest.enqueued > limits.queueWaitMax else { return }
        let count = state.requests.firstIndex { now - $0.enqueued <= limits.queueWaitMax } ?? state.requests.count
        state.turnedAway = now
        work.expired = Array(state.requests.prefix(count))
        state.requests.removeFirst(count)
        for request in work.expired {
            state.spans -= request.recordCount
            state.bytes -= request.bytes
        }
    }

    /// Lets nothing more in; what is in is still served.
    func close() {
        state.withLock { $0.isClosed = true }
        wake()
    }

    /// Wakes whoever waits in `take`.
    func wake() {
        let isFirst = state.withLock { state in
            defer { state.isWaking = true }
            return !state.isWaking
        }
        if isFirst { arrivals.signal() }
    }

    /// Waits until `deadline` for work, or to be woken, and takes requests up to `spansMax` spans, at least one unless that is 0.
    func take(spansMax: Int, deadline: DispatchTime) -> Work {
        let isEmpty = state.withLock { $0.tasks.isEmpty && (spansMax <= 0 || $0.requests.isEmpty) }
        if isEmpty { _ = arrivals.wait(timeout: deadline) }
        return state.withLock { state in
            if isEmpty { state.isWaking = false }
            var work = Work()
            swap(&work.tasks, &state.tasks)
            expire(&state, into: &work)
            var spans = 0
            var count = 0
            var bytes = 0
            for request in state.requests where spansMax > 0 {
                guard count == 0 || spans + request.recordCount <= spansMax else { break }
                spans += request.recordCount
                bytes += request.bytes
                count += 1
            }
            work.requests = Array(state.requests.prefix(count))
            state.requests.removeFirst(count)
            state.spans -= spans
            state.bytes -= bytes
            work.isClosed = state.isClosed && state.requests.isEmpty
            return work
        }
    }
}
