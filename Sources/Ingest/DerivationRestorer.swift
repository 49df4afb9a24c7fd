package import Derivations
import SegmentFormat
package import SemanticColumns
package import SpanStore
package import TelemetryModel

/// Brings the derivations back as of the last commit: the stored state, and the observations that were still settling, read again
/// from the spans that they came from. Which those are is told by the order of arrival, counted from the last span back.
package struct DerivationRestorer {
    /// Settled attempts that are read again at most, for silent retries.
    private static let retryAttemptsMax = 2 * SpanDerivations.Limits.retryAttemptsMax

    private let history: SpanHistory
    private let policy: FusePolicy
    private let table: ColumnTable

    package init(history: SpanHistory, policy: FusePolicy, table: ColumnTable) {
        self.history = history
        self.policy = policy
        self.table = table
    }

    /// - Parameter prices: what tokens of calls cost that were not counted yet.
    package func restored(prices: PriceTable) throws(StoreError) -> SpanDerivations {
        try history.snapshot { () throws(StoreError) in
            var derivations = try stored()
            derivations.prices = PriceBook(prices.models)
            if let watermark = derivations.olderWatermarkUnixNano {
                try adopt(receivedAfter: watermark, into: &derivations)
                derivations.finishRestoration()
                return derivations
            }
            var reading = Reading(table)
            let settledBefore = derivations.firstUnsettled
            let wantedFrom = derivations.firstWanted
            for segment in try recentSegments(derivations).reversed() {
                let (stored, places) = try history.batch(
                    ofSegment: segment.id, from: Int(clamping: wantedFrom - segment.first),
                    unsettledFrom: Int(clamping: settledBefore - segment.first), attemptsMax: segment.attemptsMax)
                reading.read(stored) { index, span in derivations.restore(span, ordinal: segment.first + Int64(places[index])) }
            }
            derivations.finishRestoration()
            return derivations
        }
    }

    /// How many of the last spans a restoration needs: they must not be deleted.
    package func unsettledSpans() throws(StoreError) -> Int64 {
        try history.snapshot { () throws(StoreError) in
            let derivations = try stored()
            guard let watermark = derivations.olderWatermarkUnixNano else { return derivations.unsettledSpans }
            return try history.segmentsNewestFirst().prefix { $0.receivedMaximumUnixNano > watermark }
                .reduce(0) { $0 + $1.ordinalCount }
        }
    }

    private func stored() throws(StoreError) -> SpanDerivations {
        let rows = try history.derivations()
        return SpanDerivations(
            policy: policy, snapshot: DerivationSnapshot(counters: rows.counters, labels: rows.labels, states: rows.states))
    }

    private struct RecentSegment {
        var id: Int64
        /// The ordinal of its first span.
        var first: Int64
        /// How many settled attempts are wanted of it.
        var attemptsMax: Int
    }

    /// Segments with something to read again, the latest first.
    private func recentSegments(_ derivations: SpanDerivations) throws(StoreError) -> [RecentSegment] {
        var recent: [RecentSegment] = []
        var attemptsLeft = Self.retryAttemptsMax
        var end = derivations.arrivals
        for segment in try history.segmentsNewestFirst() {
            let isSettled = end <= derivations.firstUnsettled
            if end <= derivations.firstWanted || isSettled && attemptsLeft == 0 { break }
            let first = end - segment.ordinalCount
            recent.append(RecentSegment(id: segment.id, first: first, attemptsMax: attemptsLeft))
            if isSettled { attemptsLeft = max(0, attemptsLeft - (try history.attemptCount(ofSegment: segment.id))) }
            end = first
        }
        return recent
    }

    /// Takes over what waited in a store that told it by times of receipt, which did not fall then.
    private func adopt(receivedAfter watermark: Int64, into derivations: inout SpanDerivations) throws(StoreError) {
        var reading = Reading(table)
        for segment in try history.segmentsNewestFirst().prefix(while: { $0.receivedMaximumUnixNano > watermark }).reversed() {
            let stored = try history.batch(ofSegment: segment.id, receivedAfter: watermark)
            reading.read(stored) { _, span in derivations.adopt(span) }
        }
    }

    /// From stored spans to what the derivations read of them.
    private struct Reading {
        private var reader: ColumnReader
        private var observer = SpanObserver()

        init(_ table: ColumnTable) {
            reader = ColumnReader(table: table)
        }

        mutating func read(_ stored: StoredBatch, _ body: (Int, borrowing ObservedSpan) -> Void) {
            var batch = stored.batch
            reader.begin(&batch)
            observer.begin(batch)
            var observed = ObservedSpan(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0))
            for (index, span) in batch.spans.enumerated() {
                reader.read(span, of: &batch)
                observer.observe(
                    span, reader.row, of: batch, receivedTimeUnixNano: stored.receivedTimesUnixNano[index], into: &observed)
                body(index, observed)
            }
        }
    }
}
