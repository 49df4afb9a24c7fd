import Derivations
import SemanticColumns
import SpanStore
import TelemetryModel

/// Takes spans in, one after the other: asks whether each is new, reads its columns, derives from it, and puts it in the group.
struct SpanGatherer {
    private let presence: SpanPresence
    var derivations: SpanDerivations
    private(set) var group = SpanGroup()
    private var reader: ColumnReader
    private var observer = SpanObserver()
    private var observed = ObservedSpan(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0))
    private var annotations = SpanAnnotations()

    init(presence: SpanPresence, derivations: SpanDerivations, table: ColumnTable) {
        self.presence = presence
        self.derivations = derivations
        reader = ColumnReader(table: table)
    }

    /// Sets the time at which the spans that follow were received; it must not go back.
    mutating func advance(to nowUnixNano: Int64) {
        annotations.receivedTimeUnixNano = nowUnixNano
        derivations.advance(to: nowUnixNano)
    }

    /// Prepares for the spans of a batch.
    mutating func begin(_ batch: inout SpanBatch) {
        reader.begin(&batch)
        observer.begin(batch)
    }

    /// Takes the batch's spans in from position `start` on, until the group is full; gives the position of the next one.
    ///
    /// - Parameter committing: the group that is being committed, whose spans are not known to be stored yet.
    mutating func append(
        _ batch: inout SpanBatch, from start: Int, _ result: inout IngestResult, committing: inout SpanGroup?
    ) throws(StoreError) -> Int {
        let floor = presence.retentionFloorUnixNano ?? .min
        var index = start
        while index < batch.spans.count && group.spanCount < SegmentFormat.spansPerCommitMax {
            let span = batch.spans[index]
            index += 1
            if span.endTimeUnixNano <= floor {
                result.rejections.tooOld += 1
                continue
            }
            if !presence.isCertainlyNew(span) {
                let answer = try answer(span, &committing)
                if answer != .new {
                    result.duplicates += 1
                    if answer == .conflict { result.conflicts += 1 }
                    continue
                }
            }
            reader.read(span, of: &batch)
            observer.observe(
                span, reader.row, of: batch, receivedTimeUnixNano: annotations.receivedTimeUnixNano, into: &observed)
            annotate(derivations.observe(observed))
            group.append(span, at: index - 1, annotations: annotations)
            reader.row.forEachStored { column, value in group.appendDerived(value, column: column) }
            result.accepted += 1
        }
        group.add(batch)
        return index
    }

    private mutating func answer(
        _ span: SpanRecord, _ committing: inout SpanGroup?
    ) throws(StoreError) -> SpanPresence.Answer {
        let pendingHash =
            group.contentHash(span.traceID, span.spanID) ?? committing?.contentHash(span.traceID, span.spanID)
        return try presence.answer(span, pendingHash: pendingHash)
    }

    private mutating func annotate(_ classification: Classification) {
        annotations.stage = classification.stage.code + 1
        annotations.outcome = classification.isAttempt ? classification.outcome.code + 1 : 0
        let reason = classification.isAttempt ? classification.timeoutReason : nil
        annotations.timeoutReason = reason.map { $0.code + 1 } ?? 0
        annotations.timeoutPhase = reason == nil ? 0 : classification.phase.code + 1
    }

    /// What was gathered and what it changed; another group begins.
    mutating func take() -> (SpanGroup, DerivationChanges) {
        defer { group = SpanGroup() }
        return (group, derivations.takeChanges())
    }

    /// Forgets the group; the derivations are ahead of the store then.
    mutating func discard() { group = SpanGroup() }
}
