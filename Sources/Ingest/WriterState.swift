import Derivations
import PrometheusText
import SemanticColumns
import SpanStore
import TelemetryModel

/// Everything that the writer's thread owns: the store, the derivations and the segment that is being filled. It is used by that
/// thread alone; `@unchecked Sendable` because tasks carry a reference to it across, and run there.
final class WriterState: @unchecked Sendable {
    /// Raw values of `Column` that a segment stores, in order: positions of `SpanAnnotations.values`.
    private static let storedColumns = Column.allCases.filter { Column.stored.contains($0.rawValue) }

    let store: SpanStore
    private(set) var derivations: SpanDerivations
    private let restorer: DerivationRestorer
    private let table: ColumnTable
    private let metrics: IngestMetrics
    private var builder: SegmentBuilder
    private var observer = SpanObserver()
    private var annotations = SpanAnnotations()
    /// The latest time that the derivations were told; receipt times never go back, whatever the wall clock does.
    private(set) var clockUnixNano: Int64 = 0
    /// Whether the last try to commit failed.
    private(set) var lastCommitFailed = false

    init(store: SpanStore, policy: FusePolicy, table: ColumnTable, metrics: IngestMetrics) throws(StoreError) {
        self.store = store
        self.table = table
        self.metrics = metrics
        builder = SegmentBuilder(derivedColumns: Self.storedColumns.map(\.name))
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
            builder.removeAll()
            derivations = try restorer.restored()
            throw error
        }
        return results
    }

    private func append(_ batch: inout SpanBatch, received: Int64) throws(StoreError) -> IngestResult {
        var result = IngestResult(rejections: batch.rejections)
        var reader = ColumnReader(table: table, batch: &batch)
        observer.begin(batch)
        builder.begin(batch)
        annotations.receivedTimeUnixNano = received
        for index in batch.spans.indices {
            let span = batch.spans[index]
            if let floor = store.retentionFloorUnixNano, span.endTimeUnixNano <= floor {
                result.rejections.tooOld += 1
                continue
            }
            switch try store.presence(span, in: builder) {
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
            let observed = observer.observe(span, reader, of: batch, receivedTimeUnixNano: received)
            annotate(derivations.observe(observed), reader)
            builder.append(span, of: batch, annotations: annotations)
            result.accepted += 1
            if builder.spanCount == SegmentFormat.spansPerCommitMax {
                try commit()
                builder.begin(batch)
            }
        }
        return result
    }

    private func annotate(_ classification: Classification, _ reader: ColumnReader) {
        annotations.values.removeAll(keepingCapacity: true)
        for (position, column) in Self.storedColumns.enumerated() {
            let value = reader[column]
            switch value.kind {
            case .none: continue
            case .text: annotations.values.append((position, .text(value.slice, sourceKey: value.sourceKey)))
            case .integer: annotations.values.append((position, .integer(value.integer, sourceKey: value.sourceKey)))
            }
        }
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
        if segment == nil && rows.isEmpty { return }
        lastCommitFailed = true
        try store.commit(segment.map { [$0] } ?? [], rows)
        lastCommitFailed = false
        metrics.commitSpans.record(Double(segment?.spanCount ?? 0))
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
        removedStates = changes.removedStates.map { StateRow(kind: $0.kind, key: $0.key, value: "") }
    }
}
