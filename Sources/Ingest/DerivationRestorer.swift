package import Derivations
package import SemanticColumns
package import SpanStore
import TelemetryModel

/// Brings the derivations back as of the last commit: the stored state, and the observations that were still settling, read again
/// from the spans that they came from.
package struct DerivationRestorer {
    /// Attempts behind the settle watermark that are read again at most, for silent retries.
    private static let retryAttemptsMax = 2 * SpanDerivations.Limits.retryAttemptsMax

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
            for (id, attemptsMax) in try recentSegments(derivations, horizon).reversed() {
                let stored = try history.batch(
                    ofSegment: id, receivedAfter: horizon, watermark: derivations.watermarkUnixNano, attemptsMax: attemptsMax)
                restore(stored, into: &derivations, &reader, &observer)
            }
            return derivations
        }
    }

    /// Segments with something to read again, the latest first, each with how many attempts before the watermark are wanted of it.
    private func recentSegments(
        _ derivations: SpanDerivations, _ horizon: Int64
    ) throws(StoreError) -> [(id: Int64, attemptsMax: Int)] {
        var recent: [(Int64, Int)] = []
        var attemptsLeft = Self.retryAttemptsMax
        for segment in try history.segmentsNewestFirst() {
            let isSettled = segment.receivedMaximumUnixNano <= derivations.watermarkUnixNano
            // Behind the watermark only the latest attempts matter.
            if segment.receivedMaximumUnixNano <= horizon || isSettled && attemptsLeft == 0 { break }
            recent.append((segment.id, attemptsLeft))
            if isSettled { attemptsLeft = max(0, attemptsLeft - (try history.attemptCount(ofSegment: segment.id))) }
        }
        return recent
    }

    private func restore(
        _ stored: StoredBatch, into derivations: inout SpanDerivations, _ reader: inout ColumnReader, _ observer: inout SpanObserver
    ) {
        var batch = stored.batch
        reader.begin(&batch)
        observer.begin(batch)
        var observed = ObservedSpan(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0))
        for (index, span) in batch.spans.enumerated() {
            reader.read(span, of: &batch)
            observer.observe(
                span, reader.row, of: batch, receivedTimeUnixNano: stored.receivedTimesUnixNano[index], into: &observed)
            derivations.restore(observed)
        }
    }
}
