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
    private var group = SpanGroup()
    private var encoder = SegmentEncoder(derivedColumns: Column.storedNames, annotations: .derived)
    private var observer = SpanObserver()
    private var annotations = SpanAnnotations()
    /// The latest time that the derivations were told; receipt times never go back, whatever the wall clock does.
    private(set) var clockUnixNano: Int64 = 0
    /// Whether the last try to commit failed.
    private(set) var lastCommitFailed = false

    init(store: SpanStore, policy: FusePolicy, table: ColumnTable, metrics: IngestMetrics) throws(StoreError) {
        self.store = store
        reader = ColumnReader(table: table)
        self.metrics = metrics
        restorer = DerivationRestorer(history: store.history, policy: policy, table: table)
        derivations = try restorer.restored()
        clockUnixNano = derivations.clockUnixNano
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
            group = SpanGroup()
            derivations = try restorer.restored()
            throw error
        }
        return results
    }

    private func append(_ batch: inout SpanBatch, received: Int64) throws(StoreError) -> IngestResult {
        var result = IngestResult(rejections: batch.rejections)
        reader.begin(&batch)
        observer.begin(batch)
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
            annotate(derivations.observe(observer.observe(span, reader.row, of: batch, receivedTimeUnixNano: received)))
            group.append(span, at: index, annotations: annotations)
            reader.row.forEachStored { column, value in group.appendDerived(value, column: column) }
            result.accepted += 1
            if group.spanCount == SegmentFormat.spansPerCommitMax {
                group.add(batch)
                try commit()
            }
        }
        group.add(batch)
        return result
    }

    @inline(__always)
    private func presence(_ span: SpanRecord) throws(StoreError) -> SpanStore.Presence {
        if store.isCertainlyNew(span) { return .new }
        return try store.presence(span, pendingHash: group.contentHash(span.traceID, span.spanID))
    }

    private func annotate(_ classification: Classification) {
        annotations.stage = classification.stage.code + 1
        annotations.outcome = classification.isAttempt ? classification.outcome.code + 1 : 0
        let reason = classification.isAttempt ? classification.timeoutReason : nil
        annotations.timeoutReason = reason.map { $0.code + 1 } ?? 0
        annotations.timeoutPhase = reason == nil ? 0 : classification.phase.code + 1
    }

    private func commit() throws(StoreError) {
        let segment: EncodedSegment?
        do throws(SegmentError) {
            segment = try encoder.encode(group)
        } catch {
            throw .segment(error)
        }
        let rows = DerivationRows(derivations.takeChanges())
        lastCommitFailed = true
        try store.commit(segment, rows, nowUnixNano: clockUnixNano)
        lastCommitFailed = false
        group = SpanGroup()
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
            derivations = try restorer.restored()
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

extension AnnotationValues {
    /// The texts of a classification, by their codes.
    static let derived = AnnotationValues(
        stages: Stage.allCases.map(\.rawValue), outcomes: Outcome.allCases.map(\.rawValue),
        timeoutReasons: TimeoutReason.allCases.map(\.rawValue), timeoutPhases: Phase.allCases.map(\.rawValue))
}
