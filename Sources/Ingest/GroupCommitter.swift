import PrometheusText
import SemanticColumns
import SpanStore
import TelemetryModel

/// Encodes a group of spans, commits it with what was derived of it, and answers those who wait. One thread at a time.
final class GroupCommitter: @unchecked Sendable {
    private let store: SpanStore
    private var encoder = SegmentEncoder(derivedColumns: Column.storedNames, annotations: .derived)
    private let logEncoder = LogSegmentEncoder()
    private let metrics: IngestMetrics
    private let clock: @Sendable () -> Int64
    private let onError: @Sendable (StoreError) -> Void

    /// - Parameter onError: is told of each commit that failed, before anybody is answered.
    init(
        store: SpanStore, metrics: IngestMetrics, clock: @escaping @Sendable () -> Int64,
        onError: @escaping @Sendable (StoreError) -> Void = { _ in }
    ) {
        self.onError = onError
        self.store = store
        self.metrics = metrics
        self.clock = clock
        metrics.storedSpans.set(Double(store.storedSpans))
    }

    /// Makes it durable, or says why not. The answers are given by `answer`.
    func commit(_ pending: PendingCommit) -> Result<Void, StoreError> {
        do throws(StoreError) {
            try store.commit(
                try encoded(pending.group), pending.rows, annex: pending.annex, logs: try encoded(pending.logs),
                nowUnixNano: pending.nowUnixNano)
            if pending.probes { try store.probe(nowUnixNano: pending.nowUnixNano) }
            note(pending)
            return .success(())
        } catch {
            metrics.commits.increment(error.commitResult)
            onError(error)
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
