package import PrometheusText

/// The collector's own counters about HTTP.
package final class HTTPMetrics: Sendable {
    package let requests: LabeledCounterMetric
    package let requestDuration: LabeledHistogramMetric
    package let requestBytes: LabeledCounterMetric
    package let inflight: GaugeMetric
    package let backpressure: LabeledCounterMetric
    package let droppedRecords: LabeledCounterMetric
    package let expositionDuration: LabeledHistogramMetric
    package let exposedSeries: GaugeMetric

    package init(registry: MetricRegistry) {
        requests = registry.register(
            LabeledCounterMetric(
                "fusebox_ingest_requests_total", help: "Export requests answered.", labels: ["transport", "encoding", "code"],
                labelSetsMax: 64))
        requestDuration = registry.register(
            LabeledHistogramMetric(
                "fusebox_ingest_request_duration_seconds", help: "From a request's head to its answer.", unit: .seconds,
                bounds: HistogramBounds.latencySeconds, labels: ["transport"], labelSetsMax: 4))
        requestBytes = registry.register(
            LabeledCounterMetric(
                "fusebox_ingest_request_bytes_total", help: "Bytes of export requests as they came over the wire.",
                unit: .bytes, labels: ["transport", "compression"], labelSetsMax: 16))
        inflight = registry.register(
            GaugeMetric("fusebox_ingest_inflight_requests", help: "Export requests that are being answered."))
        backpressure = registry.register(
            LabeledCounterMetric(
                "fusebox_backpressure_responses_total", help: "Answers that told the client to try again.", labels: ["code"],
                labelSetsMax: 4))
        droppedRecords = registry.register(
            LabeledCounterMetric(
                "fusebox_records_dropped_total",
                help: "Profiles, and metrics that are not shown, which were accepted and not stored.",
                labels: ["signal"], labelSetsMax: 4))
        expositionDuration = registry.register(
            LabeledHistogramMetric(
                "fusebox_exposition_duration_seconds", help: "Making one answer to a scrape.", unit: .seconds,
                bounds: HistogramBounds.latencySeconds, labels: ["format"], labelSetsMax: 4))
        exposedSeries = registry.register(
            GaugeMetric("fusebox_exposed_series", help: "Samples in the last answer to a scrape."))
        _ = backpressure.cell("503")
        for signal in ["metrics", "profiles"] { _ = droppedRecords.cell(signal) }
    }
}
