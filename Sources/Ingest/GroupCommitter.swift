import PrometheusText
import SegmentFormat
import SemanticColumns
import SpanStore
import TelemetryModel

/// Encodes a group of spans, commits it with what was derived of it, and answers those who wait. One thread at a time.
final class GroupCommitter: @unchecked Sendable {
    private let store: SpanStore
    private var encoder = SegmentEncoder(derivedColumns: Column.storedNames, annotations: .derived)
    private let logEncoder = LogSegmentEncoder()
    private let metrics: IngestMetrics
    private let board: SnapshotBoard?
    private let clock: @Sendable () -> Int64
    private let onOutcome: @Sendable (StoreError?) -> Void

    /// - Parameters:
    ///   - board: learns what becomes of commits, and shows what they made durable.
    ///   - onOutcome: is told of each commit, and of why it failed, before anybody is answered.
    init(
        store: SpanStore, board: SnapshotBoard? = nil, metrics: IngestMetrics, clock: @escaping @Sendable () -> Int64,
        onOutcome: @escaping @Sendable (StoreError?) -> Void = { _ in }
    ) {
        self.onOutcome = onOutcome
        self.store = store
        self.board = board
        self.metrics = metrics
        self.clock = clock
        metrics.storedSpans.set(Double(store.storedSpans))
    }

    /// Makes it durable, or says why not. The answers are given by `answer`.
    func commit(_ pending: PendingCommit) -> Result<Void, StoreError> {
        do throws(StoreError) {
            let segment = try encoded(pending.group)
            let logs = try encoded(pending.logs)
            board?.begin()
            try store.commit(
                segment, pending.rows, annex: pending.annex, logs: logs, nowUnixNano: pending.nowUnixNano,
                unsettledSpans: pending.unsettledSpans)
            if pending.probes { try store.probe(nowUnixNano: pending.nowUnixNano) }
            onOutcome(nil)
            note(pending)
            // Before anybody is answered, so that whoever then asks sees what was acknowledged.
            board?.succeed(number: pending.number, pending.snapshot)
            return .success(())
        } catch {
            board?.fail(error.message)
            metrics.commits.increment(error.commitResult)
            onOutcome(error)
            return .failure(error)
        }
    }

    private func encoded(_ group: SpanGroup) throws(StoreError) -> EncodedSegment? {
        do throws(SegmentError) {
            return try encoder.encode(group)
        } catch {
            throw .segment(error)
        }
    }

    private func encoded(_ logs: LogGroup) throws(StoreError) -> EncodedLogSegment? {
        do throws(SegmentError) {
            return try logEncoder.encode(logs)
        } catch {
            throw .segment(error)
        }
    }

    private func note(_ pending: PendingCommit) {
        guard !pending.group.isEmpty || !pending.answers.isEmpty else { return }
        metrics.commits.increment("ok")
        metrics.commitDuration.record(ContinuousClock.now - pending.started)
        metrics.lastCommit.set(Double(clock()) / 1e9)
        metrics.storedSpans.set(Double(store.storedSpans))
        if !pending.group.isEmpty { metrics.commitSpans.record(Double(pending.group.spanCount)) }
        for answer in pending.answers { count(answer.result) }
    }

    private func count(_ result: IngestResult) {
        metrics.accepted.increment(by: Int64(result.accepted))
        if result.duplicates > 0 {
            metrics.duplicates.increment("identical", by: Int64(result.duplicates - result.conflicts))
            metrics.duplicates.increment("conflict", by: Int64(result.conflicts))
        }
        if result.rejections.total > 0 {
            let invalid = result.rejections.invalidIDs + result.rejections.timesOutOfRange
            metrics.rejected.increment("invalid", by: Int64(invalid))
            metrics.rejected.increment("too_old", by: Int64(result.rejections.tooOld))
        }
    }

    /// Tells those who wait what became of it.
    static func answer(_ pending: PendingCommit, _ outcome: Result<Void, StoreError>) {
        for answer in pending.answers {
            switch outcome {
            case .success: answer.finish(.success(answer.result))
            case .failure(let error): answer.finish(.failure(.store(error)))
            }
        }
    }

    /// For the end: empties the log into the file.
    func finish() { store.emptyLog() }
}

extension StoreError {
    /// The value of the label `result` of `fusebox_commits_total`.
    fileprivate var commitResult: String {
        if isDiskFull { return "full" }
        return isContention ? "busy" : "error"
    }
}
