package import Derivations
package import SegmentFormat
package import SemanticColumns
package import SpanStore
package import TelemetryModel

/// Takes spans in, one after the other: asks whether each is new, reads its columns, derives from it, and puts it in the group.
package struct SpanGatherer {
    private let presence: SpanPresence
    private(set) var derivations: SpanDerivations
    /// Evals and counts that go with the next commit.
    var annex: WriterAnnex
    private(set) var group = SpanGroup()
    private var reader: ColumnReader
    private var observer = SpanObserver()
    private var observed = ObservedSpan(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0))
    private var annotations = SpanAnnotations()

    package init(presence: SpanPresence, derivations: SpanDerivations, table: ColumnTable, prices: PriceTable) {
        self.presence = presence
        self.derivations = derivations
        annex = WriterAnnex(prices: prices)
        reader = ColumnReader(table: table)
        self.derivations.prices = annex.priceBook
    }

    /// The derivations' settle clock: everything that settles, settles when it moves.
    var settleClock: Int64 { derivations.clock }

    /// Observations that wait for older ones.
    var pendingObservations: Int { derivations.pendingObservations }

    /// How far requests between services are counted.
    var serviceGraphCursor: ServiceGraphCursor { derivations.serviceGraphCursor }

    /// Counts requests between services.
    mutating func count(_ update: ServiceGraphUpdate) { derivations.count(update) }

    /// Puts the derivations as they were read anew in the place of these.
    mutating func replace(_ restored: SpanDerivations) {
        derivations = restored
        derivations.prices = annex.priceBook
    }

    /// Counts by these prices from here on.
    mutating func replace(_ prices: PriceTable) {
        annex.replace(prices)
        derivations.prices = annex.priceBook
    }

    /// Sets the moment at which the spans that follow were received.
    package mutating func advance(to moment: Moment) {
        annotations.receivedTimeUnixNano = moment.unixNano
        derivations.advance(to: moment)
    }

    /// Prepares for the spans of a batch.
    package mutating func begin(_ batch: inout SpanBatch) {
        group.reserve(spanCount: batch.spans.count)
        reader.begin(&batch)
        observer.begin(batch)
        annex.begin(batch)
    }

    /// Takes the batch's spans in from position `start` on, until the group is full; gives the position of the next one.
    ///
    /// - Parameter committing: the group that is being committed, whose spans are not known to be stored yet.
    package mutating func append(
        _ batch: inout SpanBatch, from start: Int, _ result: inout IngestResult, committing: inout SpanGroup?
    ) throws(StoreError) -> Int {
        let floor = presence.retentionFloorUnixNano ?? .min
        var index = start
        while index < batch.spans.count && group.spanCount < SegmentFormat.spansPerCommitMax {
            let span = batch.spans[index]
            index += 1
            let latest = SpanTimes.latestKnown(
                start: span.startTimeUnixNano, end: span.endTimeUnixNano, received: annotations.receivedTimeUnixNano)
            if latest <= floor {
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
            let classification = derivations.observe(observed)
            annotations.take(classification, tellsParent: observed.tellsParent)
            annex.observe(span, reader.row, of: batch, observed, classification)
            reader.row.forEachStored { column, value in group.appendDerived(value, column: column) }
            group.append(span, at: index - 1, annotations: annotations)
            result.accepted += 1
        }
        group.add(batch)
        return index
    }

    private mutating func answer(
        _ span: SpanRecord, _ committing: inout SpanGroup?
    ) throws(StoreError) -> SpanPresence.Answer {
        let pendingHash =
            group.contentHash(span.identity) ?? committing?.contentHash(span.identity)
        return try presence.answer(span, pendingHash: pendingHash)
    }

    /// What was gathered and what it changed; another group begins.
    package mutating func take() -> (SpanGroup, DerivationChanges, AnnexRows) {
        defer { group = SpanGroup() }
        return (group, derivations.takeChanges(), annex.takeRows())
    }

    /// Forgets the group; the derivations are ahead of the store then.
    mutating func discard() {
        group = SpanGroup()
        annex.removeAll()
    }
}

extension SpanAnnotations {
    /// Notes how a span ended.
    ///
    /// - Parameter tellsParent: the span is no attempt, but its ending is that of one.
    package mutating func take(_ classification: Classification, tellsParent: Bool) {
        stage = classification.stage.code + 1
        let hasEnding = classification.isAttempt || tellsParent
        outcome = hasEnding ? classification.outcome.code + 1 : 0
        let reason = hasEnding ? classification.timeoutReason : nil
        timeoutReason = reason.map { $0.code + 1 } ?? 0
        timeoutPhase = reason == nil ? 0 : classification.phase.code + 1
    }
}
