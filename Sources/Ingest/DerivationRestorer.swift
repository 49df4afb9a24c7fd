package import Derivations
package import SemanticColumns
package import SpanStore
import TelemetryModel

/// Brings the derivations back as of the last commit: the stored state, and the observations that were still settling, read again
/// from the spans that they came from.
package struct DerivationRestorer {
    /// Spans behind the settle watermark that are read again at most, for silent retries.
    private static let retrySpansMax = 500_000

    private let history: SpanHistory
    private let policy: FusePolicy
    private let table: ColumnTable

    package init(history: SpanHistory, policy: FusePolicy, table: ColumnTable) {
        self.history = history
        self.policy = policy
        self.table = table
    }

    package func restored() throws(StoreError) -> SpanDerivations {
        try history.snapshot { () throws(StoreError) in
            let rows = try history.derivations()
            var derivations = SpanDerivations(
                policy: policy,
                snapshot: DerivationSnapshot(counters: rows.counters, labels: rows.labels, states: rows.states))
            let horizon = derivations.restoreFromUnixNano
            var reader = ColumnReader(table: table)
            var observer = SpanObserver()
            for id in try recentSegments(derivations, horizon).reversed() {
                try restore(segment: id, into: &derivations, after: horizon, &reader, &observer)
            }
            return derivations
        }
    }

    private func recentSegments(_ derivations: SpanDerivations, _ horizon: Int64) throws(StoreError) -> [Int64] {
        var recent: [Int64] = []
        var spans = 0
        for segment in try history.segmentsNewestFirst() {
            let isSettled = segment.receivedMaximumUnixNano <= derivations.watermarkUnixNano
            // Behind the watermark only the latest attempts matter.
            if segment.receivedMaximumUnixNano <= horizon || isSettled && spans > Self.retrySpansMax { break }
            recent.append(segment.id)
            spans += segment.spanCount
        }
        return recent
    }

    private func restore(
        segment id: Int64, into derivations: inout SpanDerivations, after horizon: Int64, _ reader: inout ColumnReader,
        _ observer: inout SpanObserver
    ) throws(StoreError) {
        let stored = try history.batch(ofSegment: id)
        var batch = stored.batch
        reader.begin(&batch)
        observer.begin(batch)
        var observed = ObservedSpan(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0))
        for (index, span) in batch.spans.enumerated() where stored.receivedTimesUnixNano[index] > horizon {
            reader.read(span, of: &batch)
            observer.observe(
                span, reader.row, of: batch, receivedTimeUnixNano: stored.receivedTimesUnixNano[index], into: &observed)
            derivations.restore(observed)
        }
    }
}
