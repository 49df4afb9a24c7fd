package import OTLP
package import PrometheusText

/// The collector's own counters about HTTP.
package final class HTTPMetrics: Sendable {
    /// What every request of a transport counts, found once.
    private struct TransportCells: Sendable {
        let duration: HistogramCell
        /// Answered with success, in protobuf.
        let success: CounterCell
        let plainBytes: CounterCell
    }

    private let requests: LabeledCounterMetric
    private let requestDuration: LabeledHistogramMetric
    private let requestBytes: LabeledCounterMetric
    private let inflight: GaugeMetric
    private let backpressure: LabeledCounterMetric
    private let http: TransportCells
    private let grpc: TransportCells
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
                help: "Profiles, which are refused in partial_success, and metrics that are not shown, which are accepted and not stored.",
                labels: ["signal"], labelSetsMax: 4))
        expositionDuration = registry.register(
            LabeledHistogramMetric(
                "fusebox_exposition_duration_seconds", help: "Making one answer to a scrape.", unit: .seconds,
                bounds: HistogramBounds.latencySeconds, labels: ["format"], labelSetsMax: 4))
        exposedSeries = registry.register(
            GaugeMetric("fusebox_exposed_series", help: "Samples in the last answer to a scrape."))
        _ = backpressure.cell("503")
        http = TransportCells(
            duration: requestDuration.cell("http"), success: requests.cell("http", "protobuf", "200"),
            plainBytes: requestBytes.cell("http", "identity"))
        grpc = TransportCells(
            duration: requestDuration.cell("grpc"), success: requests.cell("grpc", "protobuf", "0"),
            plainBytes: requestBytes.cell("grpc", "identity"))
        for signal in ["metrics", "profiles"] { _ = droppedRecords.cell(signal) }
    }

    private func cells(_ transport: ExportTransport) -> TransportCells { transport == .http ? http : grpc }

    // MARK: Export requests

    /// An export request came.
    package func began() { inflight.add(1) }

    /// It is over: answered with a status of its transport, or its connection is gone.
    ///
    /// - Parameters:
    ///   - code: the status of the answer; `nil` without one.
    ///   - nanoseconds: since the request's head.
    package func ended(_ transport: ExportTransport, _ encoding: OTLPMessage.Encoding, code: Int?, nanoseconds: Int64) {
        inflight.add(-1)
        let cells = cells(transport)
        cells.duration.record(Double(nanoseconds) / 1e9)
        guard let code else { return }
        let isSuccess = transport == .http ? code == 200 : code == 0
        if isSuccess && encoding == .protobuf { return cells.success.increment() }
        let transportName = transport == .http ? "http" : "grpc"
        requests.increment(transportName, encoding == .protobuf ? "protobuf" : "json", "\(code)")
    }

    /// A client was told to try again.
    package func toldToRetry() { backpressure.increment("503") }

    func count(bytes: Int, _ transport: ExportTransport, _ coding: ContentEncoding) {
        if coding == .identity { return cells(transport).plainBytes.increment(by: Int64(bytes)) }
        requestBytes.increment(transport == .http ? "http" : "grpc", coding.rawValue, by: Int64(bytes))
    }
}
