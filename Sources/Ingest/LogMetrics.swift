import PrometheusText
import SpanStore
import TelemetryModel

/// The collector's own counters about log records: what `IngestMetrics` is for spans.
final class LogMetrics: Sendable {
    let received: CounterMetric
    let accepted: CounterMetric
    let rejected: LabeledCounterMetric
    let dropped: LabeledCounterMetric
    private let stored: GaugeMetric
    private let segments: GaugeMetric

    init(registry: MetricRegistry) {
        received = registry.register(
            CounterMetric("fusebox_log_records_received_total", help: "Log records decoded from export requests."))
        accepted = registry.register(
            CounterMetric("fusebox_log_records_accepted_total", help: "Log records stored in a committed transaction."))
        rejected = registry.register(
            LabeledCounterMetric(
                "fusebox_log_records_rejected_total", help: "Log records refused and reported in partial_success.",
                labels: ["reason"], labelSetsMax: 4))
        dropped = registry.register(
            LabeledCounterMetric(
                "fusebox_log_records_dropped_total", help: "Log records answered with 503 because they could not be stored.",
                labels: ["reason"], labelSetsMax: 16))
        stored = registry.register(GaugeMetric("fusebox_stored_log_records", help: "Log records in the store."))
        segments = registry.register(GaugeMetric("fusebox_log_segments", help: "Segments of log records in the store."))
        for reason in ["invalid", "too_large", "too_many"] { _ = rejected.cell(reason) }
        for reason in IngestMetrics.dropReasons { _ = dropped.cell(reason) }
    }

    /// Counts a request that was stored.
    func count(accepted records: Int, _ rejections: LogRejections) {
        accepted.increment(by: Int64(records))
        guard rejections.total > 0 else { return }
        rejected.increment("invalid", by: Int64(rejections.timesOutOfRange + rejections.tooDeep))
        rejected.increment("too_large", by: Int64(rejections.tooLarge))
        rejected.increment("too_many", by: Int64(rejections.tooMany))
    }

    func show(_ ledger: LogLedger) {
        stored.set(Double(ledger.storedRecords))
        segments.set(ledger.segmentCount)
    }
}
