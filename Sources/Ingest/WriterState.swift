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
    /// While the disk is suspect nothing is committed, counters included.
    var isSuspended = false
    /// Whether the derivations hold what was not committed, because reading back what was has failed.
    private var isAhead = false
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
    }

    // MARK: Storing

    /// Stores the requests' spans in one transaction, or more when one request is larger than a segment. Gives a result for each
    /// request; when it throws, none may be acknowledged.
    func store(_ requests: inout [IngestQueue.Request], nowUnixNano: Int64) throws(StoreError) -> [IngestResult] {
        if isAhead { try restore() }
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

    /// Goes back to what is committed.
    private func restore() throws(StoreError) {
        isAhead = true
        derivations = try restorer.restored()
        isAhead = false
    }

    /// The disk is trusted again: goes on from what is committed.
    func resume() throws(StoreError) {
        builder.removeAll()
        try restore()
        isSuspended = false
        lastCommitFailed = false
    }

    private func append(_ batch: inout SpanBatch, received: Int64) throws(StoreError) -> IngestResult {
        var result = IngestResult(rejections: batch.rejections)
        reader.begin(&batch)
        observer.begin(batch)
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
            annotate(derivations.observe(observed))
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
        // A commit of nothing succeeds whatever the disk is like, and says nothing about it.
        let isTelling = segment != nil || !rows.isEmpty
        if isTelling { lastCommitFailed = true }
        try store.commit(segment, rows, nowUnixNano: clockUnixNano)
        if isTelling { lastCommitFailed = false }
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
        if isSuspended { return }
        if isAhead { try restore() }
        advance(to: nowUnixNano)
        do {
            try commit()
            if lastCommitFailed {
                // Nobody may be sending while readiness says that nothing is taken.
                try store.probe(nowUnixNano: clockUnixNano)
                lastCommitFailed = false
            }
        } catch {
            try restore()
            throw error
        }
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
