import Derivations
import PrometheusText
import SemanticColumns
import SpanStore
import TelemetryModel

/// Everything that the writer's thread owns: the store, the derivations and the segment that is being filled. It is used by that
/// thread alone; `@unchecked Sendable` because tasks carry a reference to it across, and run there.
final class WriterState: @unchecked Sendable {
    let store: SpanStore
    private(set) var derivations: SpanDerivations
    private let restorer: DerivationRestorer
    private var reader: ColumnReader
    private let metrics: IngestMetrics
    private var builder: SegmentBuilder
    private var observer = SpanObserver()
    private var annotations = SpanAnnotations()
    /// The latest time that the derivations were told; receipt times never go back, whatever the wall clock does.
    private(set) var clockUnixNano: Int64 = 0
    /// Evals and counts that go with the next commit, and what is asked beside it.
    private(set) var annex: WriterAnnex
    /// Whether the last try to commit failed.
    private(set) var lastCommitFailed = false

    init(store: SpanStore, policy: FusePolicy, table: ColumnTable, metrics: IngestMetrics) throws(StoreError) {
        self.store = store
        reader = ColumnReader(table: table)
        self.metrics = metrics
        builder = SegmentBuilder(derivedColumns: Column.storedNames)
        restorer = DerivationRestorer(history: store.history, policy: policy, table: table)
        derivations = try restorer.restored()
        clockUnixNano = derivations.clockUnixNano
        annex = WriterAnnex(prices: try store.prices())
        derivations.prices = annex.priceBook
    }

    // MARK: Storing

    /// Stores the requests' spans in one transaction, or more when one request is larger than a segment. Gives a result for each
    /// request; when it throws, none may be acknowledged.
    func store(_ requests: inout [IngestQueue.Request], nowUnixNano: Int64) throws(StoreError) -> [IngestResult] {
        let received = advance(to: nowUnixNano)
        var results: [IngestResult] = []
        do {
            for index in requests.indices {
                results.append(try append(&requests[index].batch, received: received))
            }
            try commit()
        } catch {
            builder.removeAll()
            try restore()
            throw error
        }
        return results
    }

    private func append(_ batch: inout SpanBatch, received: Int64) throws(StoreError) -> IngestResult {
        var result = IngestResult(rejections: batch.rejections)
        reader.begin(&batch)
        observer.begin(batch)
        annex.begin(batch)
        builder.begin(batch)
        annotations.receivedTimeUnixNano = received
        for index in batch.spans.indices {
            let span = batch.spans[index]
            if let floor = store.retentionFloorUnixNano, span.endTimeUnixNano <= floor {
                result.rejections.tooOld += 1
                continue
            }
            switch try presence(span) {
            case .new: break
            case .identical:
                result.duplicates += 1
                continue
            case .conflict:
                result.duplicates += 1
                result.conflicts += 1
                continue
            }
            reader.read(span, of: &batch)
            let observed = observer.observe(span, reader.row, of: batch, receivedTimeUnixNano: received)
            let classification = derivations.observe(observed)
            annotate(classification)
            annex.observe(span, reader.row, of: batch, observed, classification)
            builder.append(span, of: batch, derived: reader.row.values, annotations: annotations)
            result.accepted += 1
            if builder.spanCount == SegmentFormat.spansPerCommitMax {
                try commit()
                builder.begin(batch)
            }
        }
        return result
    }

    @inline(__always)
    private func presence(_ span: SpanRecord) throws(StoreError) -> SpanStore.Presence {
        if store.isCertainlyNew(span) { return .new }
        return try store.presence(span, pendingHash: builder.contentHash(span.traceID, span.spanID))
    }

    private func annotate(_ classification: Classification) {
        annotations.stage = classification.stage.rawValue
        annotations.outcome = classification.isAttempt ? classification.outcome.rawValue : ""
        annotations.timeoutReason = ""
        annotations.timeoutPhase = ""
        if classification.isAttempt, let reason = classification.timeoutReason {
            annotations.timeoutReason = reason.rawValue
            annotations.timeoutPhase = classification.phase.rawValue
        }
    }

    private func commit() throws(StoreError) {
        let segment: EncodedSegment?
        do throws(SegmentError) {
            segment = try builder.finish()
        } catch {
            throw .segment(error)
        }
        let rows = DerivationRows(derivations.takeChanges())
        lastCommitFailed = true
        try store.commit(segment, rows, annex: annex.takeRows(), nowUnixNano: clockUnixNano)
        lastCommitFailed = false
        if let segment { metrics.commitSpans.record(Double(segment.spanCount)) }
    }

    // MARK: Time

    /// Moves the derivations' clock and gives it; it never goes back.
    @discardableResult
    private func advance(to nowUnixNano: Int64) -> Int64 {
        clockUnixNano = max(clockUnixNano, nowUnixNano)
        derivations.advance(to: clockUnixNano)
        return clockUnixNano
    }

    /// Lets observations settle and breakers expire, and commits what that changed.
    func tick(nowUnixNano: Int64) throws(StoreError) {
        advance(to: nowUnixNano)
        do {
            try commit()
        } catch {
            try restore()
            throw error
        }
    }

    /// Commits rows that stand beside the spans: imported evals, prices, stalls, a heartbeat.
    func store(_ rows: AnnexRows, nowUnixNano: Int64) throws(StoreError) {
        annex.add(rows)
        try tick(nowUnixNano: nowUnixNano)
        if let prices = rows.prices {
            annex.replace(prices)
            derivations.prices = annex.priceBook
        }
    }

    /// Goes back to what is committed, after a commit that failed.
    private func restore() throws(StoreError) {
        annex.removeAll()
        derivations = try restorer.restored()
        derivations.prices = annex.priceBook
    }
}

extension DerivationRows {
    init(_ changes: DerivationChanges) {
        self.init()
        counters = changes.counters
        labels = changes.labels
        states = changes.states
        transitions = changes.transitions
        removedStates = changes.removedStates.map { StateRow(kind: $0.kind, key: $0.key, value: "") }
    }
}
