import Derivations
import GatewayRules
package import PrometheusText

/// The families `fusebox_gateway_…`.
package final class GatewayMetrics: Sendable {
    /// Sets of label values of a family: models and backends are configured, the rest is ours.
    private static let labelSetsMax = 2_000
    private static let secondsBounds: [Double] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]

    private let requests: LabeledCounterMetric
    private let requestSeconds: LabeledHistogramMetric
    private let queueWaitSeconds: LabeledHistogramMetric
    private let firstTokenSeconds: LabeledHistogramMetric
    private let rejections: LabeledCounterMetric
    private let cancelled: LabeledCounterMetric
    private let tokens: LabeledCounterMetric
    let retries: LabeledCounterMetric
    let failures: LabeledCounterMetric
    let backendRestarts: LabeledCounterMetric
    private let clusterRequests: LabeledCounterMetric

    package init(registry: MetricRegistry) {
        func counter(_ name: String, _ help: String, _ labels: [String]) -> LabeledCounterMetric {
            registry.register(
                LabeledCounterMetric(name, help: help, labels: labels, labelSetsMax: Self.labelSetsMax))
        }
        func histogram(_ name: String, _ help: String, _ labels: [String]) -> LabeledHistogramMetric {
            registry.register(
                LabeledHistogramMetric(
                    name, help: help, unit: .seconds, bounds: Self.secondsBounds, labels: labels,
                    labelSetsMax: Self.labelSetsMax))
        }
        requests = counter(
            "fusebox_gateway_requests_total", "Requests for a model that are over.", ["model", "backend", "outcome", "code"])
        requestSeconds = histogram(
            "fusebox_gateway_request_seconds", "From a request's body to the end of its answer.", ["model", "backend"])
        queueWaitSeconds = histogram("fusebox_gateway_queue_wait_seconds", "From a request's body to its slot.", ["model"])
        firstTokenSeconds = histogram(
            "fusebox_gateway_first_token_seconds", "From the slot to the first token of a streamed answer.", ["model", "backend"])
        rejections = counter(
            "fusebox_gateway_rejections_total", "Requests that the gateway answered itself.", ["model", "reason"])
        cancelled = counter(
            "fusebox_gateway_cancelled_total", "Requests whose clients went away, and how far they were.", ["model", "phase"])
        tokens = counter("fusebox_gateway_tokens_total", "Tokens as the backends count them.", ["model", "type"])
        retries = counter("fusebox_gateway_retries_total", "Attempts that were repeated.", ["model", "reason"])
        backendRestarts = counter(
            "fusebox_gateway_backend_ends_total", "Ends of processes that the gateway started, by why.", ["backend", "reason"])
        clusterRequests = counter(
            "fusebox_gateway_kubernetes_requests_total", "Requests to the API server of the cluster that is told of the models.",
            ["verb", "kind", "code"])
        failures = counter("fusebox_gateway_failures_total", "Attempts that failed before an answer.", ["backend", "reason"])
    }

    /// A request to the cluster's API server; without an answer its code is `none`.
    func cluster(_ request: ClusterRequest, _ answer: ClusterAnswer) {
        let code =
            switch answer {
            case .done: "2xx"
            case .status(let code, _, _): "\(code)"
            case .nothing: "none"
            }
        clusterRequests.increment(request.verb, request.object.kind, code)
    }

    func queueWait(_ model: String, _ nanoseconds: Int64) {
        queueWaitSeconds.cell(model).record(Double(nanoseconds) / 1e9)
    }

    func firstToken(_ model: String, _ backend: String, _ nanoseconds: Int64) {
        firstTokenSeconds.cell(model, backend).record(Double(nanoseconds) / 1e9)
    }

    /// - Parameter model: the configured name, which may be `*`: what clients call it would be a label without bound.
    func ended(_ record: CallRecord, backend: String, model: String) {
        let code = if case .cancelled = record.outcome { 499 } else { record.status }
        requests.increment(model, backend, record.outcomeLabel, "\(code)")
        requestSeconds.cell(model, backend).record(Double(record.endTimeUnixNano &- record.startTimeUnixNano) / 1e9)
        switch record.outcome {
        case .refused(let refusal): rejections.increment(model, refusal.reason)
        case .cancelled:
            let phase =
                record.grantTimeUnixNano == nil ? "queue" : record.firstTokenTimeUnixNano == nil ? "prefill" : "generation"
            cancelled.increment(model, phase)
        case .ok, .backendError: break
        }
        if let count = record.facts.inputTokens { tokens.increment(model, "input", by: count) }
        if let count = record.facts.outputTokens { tokens.increment(model, "output", by: count) }
    }
}
