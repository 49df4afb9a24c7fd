package import PrometheusText
package import SpanStore
import Synchronization
import TelemetryModel

/// The collector's own figures about forwarding.
package final class ForwardMetrics: Sendable {
    /// What gauges are made of: as one target's sender last saw it.
    struct Sight: Sendable {
        var nextOrdinal: Int64 = 0
        /// When the oldest that was not delivered was received; `nil` when there is none.
        var oldestReceivedUnixNano: Int64?
        var inFlight = 0
        var pausedReason: String?
        var lastSuccessUnixNano: Int64?
    }

    struct Key: Hashable, Sendable {
        var target: String
        var signal: ForwardSignal
    }

    /// Reasons of `fusebox_forward_paused`.
    static let pausedReasons = ["operator"] + [DeliveryState.Phase.open, .unauthorized, .misdirected, .refusing].map(\.rawValue)
    private static let labelSetsMax = 8 * ForwardPlan.targetsMax

    let spans: LabeledCounterMetric
    let requests: LabeledCounterMetric
    let bytes: LabeledCounterMetric
    let retries: LabeledCounterMetric
    let ambiguous: LabeledCounterMetric
    let requestDuration: LabeledHistogramMetric
    let batchCounts: LabeledHistogramMetric
    private let sights: SightBoard

    /// - Parameters:
    ///   - retention: how long, and how many bytes, are kept.
    ///   - unixNano: the wall clock.
    package init(
        registry: MetricRegistry, source: ForwardSource, retention: RetentionLimits, unixNano: @escaping @Sendable () -> Int64
    ) {
        let labels = ["target", "signal"]
        func counter(_ name: String, _ help: String, _ unit: MetricFamily.Unit? = nil, _ more: [String] = []) -> LabeledCounterMetric {
            registry.register(
                LabeledCounterMetric(name, help: help, unit: unit, labels: labels + more, labelSetsMax: Self.labelSetsMax))
        }
        spans = counter(
            "fusebox_forward_spans_total", "Spans and log records that are done with, by what became of them.", nil, ["result"])
        requests = counter("fusebox_forward_requests_total", "Requests to targets, by HTTP's code; 0 without an answer.", nil, ["code"])
        bytes = counter("fusebox_forward_bytes_total", "Bytes of request bodies, compressed.", .bytes)
        retries = counter("fusebox_forward_retries_total", "Requests that went again because the one before had no answer, or not yet a yes.")
        ambiguous = counter("fusebox_forward_ambiguous_total", "Requests of which nobody knows whether they arrived.")
        requestDuration = registry.register(
            LabeledHistogramMetric(
                "fusebox_forward_request_duration_seconds", help: "From the first byte of a request to the last of its answer.",
                unit: .seconds, bounds: [0.005, 0.02, 0.1, 0.5, 2, 10, 30, 60], labels: labels, labelSetsMax: Self.labelSetsMax))
        batchCounts = registry.register(
            LabeledHistogramMetric(
                "fusebox_forward_batch_spans", help: "Spans or log records of a request.",
                bounds: [1, 8, 64, 512, 4096, 8192, 65_536], labels: labels, labelSetsMax: Self.labelSetsMax))
        let board = SightBoard()
        sights = board
        func gauge(
            _ name: String, _ help: String, _ unit: MetricFamily.Unit? = nil, _ value: @escaping @Sendable (Key, Sight) -> Double?
        ) {
            _ = registry.register(
                SightGauge(shape: MetricFamily(name: name, help: help, kind: .gauge, unit: unit), board: board, value: value))
        }
        gauge("fusebox_forward_lag_spans", "Spans or log records that a target was not given yet.") { key, sight in
            Double(max(0, source.nextOrdinal(of: key.signal) - sight.nextOrdinal))
        }
        gauge("fusebox_forward_lag_seconds", "Age of the oldest that a target was not given yet.", .seconds) { _, sight in
            Self.lag(sight, unixNano())
        }
        gauge(
            "fusebox_forward_budget_seconds", "About how long until retention takes what a target was not given yet.", .seconds
        ) { key, sight in
            ForwardBudget.seconds(
                retention, lagSeconds: Self.lag(sight, unixNano()),
                storedBytes: source.storedBytes(from: sight.nextOrdinal, of: key.signal))
        }
        gauge("fusebox_forward_inflight", "Spans or log records of the request that is under way.") { _, sight in Double(sight.inFlight) }
        gauge("fusebox_forward_last_success_timestamp_seconds", "When a target last took something.", .seconds) { _, sight in
            sight.lastSuccessUnixNano.map { Double($0) / 1e9 }
        }
        _ = registry.register(PausedFamily(board: board))
    }

    private static func lag(_ sight: Sight, _ unixNano: Int64) -> Double {
        sight.oldestReceivedUnixNano.map { max(0, Double(unixNano.subtractingSaturated($0)) / 1e9) } ?? 0
    }

    func update(_ target: String, _ signal: ForwardSignal, _ change: (inout Sight) -> Void) {
        sights.update(Key(target: target, signal: signal), change)
    }
}

/// How long what was not delivered stays.
enum ForwardBudget {
    /// Younger lags say nothing of how fast the store fills.
    private static let lagMin = 60.0

    /// About how many seconds until retention takes the oldest that was not delivered; infinite without retention.
    ///
    /// - Parameters:
    ///   - lagSeconds: the age of the oldest.
    ///   - storedBytes: of what came since.
    static func seconds(_ retention: RetentionLimits, lagSeconds: Double, storedBytes: Int64) -> Double {
        var budget = retention.age.map { max(0, Double($0) / 1e9 - lagSeconds) } ?? .infinity
        if let bytes = retention.bytes, lagSeconds >= lagMin, storedBytes > 0 {
            budget = min(budget, max(0, Double(bytes - storedBytes)) / (Double(storedBytes) / lagSeconds))
        }
        return budget
    }
}

/// What senders last saw, for whoever asks.
private final class SightBoard: Sendable {
    private let sights = Mutex<[ForwardMetrics.Key: ForwardMetrics.Sight]>([:])

    func update(_ key: ForwardMetrics.Key, _ change: (inout ForwardMetrics.Sight) -> Void) {
        sights.withLock { change(&$0[key, default: ForwardMetrics.Sight()]) }
    }

    var all: [(key: ForwardMetrics.Key, sight: ForwardMetrics.Sight)] {
        sights.withLock { sights in
            sights.map { ($0.key, $0.value) }
                .sorted { ($0.0.target, $0.0.signal.rawValue) < ($1.0.target, $1.0.signal.rawValue) }
        }
    }
}

private struct SightGauge: MetricSource {
    let shape: MetricFamily
    let board: SightBoard
    let value: @Sendable (ForwardMetrics.Key, ForwardMetrics.Sight) -> Double?

    func family() -> MetricFamily {
        shape.with(
            board.all.compactMap { key, sight in
                value(key, sight).map {
                    .init(labels: LabelText.render([("target", key.target), ("signal", key.signal.rawValue)]), value: .double($0))
                }
            })
    }
}

/// 1 for the reason for which a target gets nothing now.
private struct PausedFamily: MetricSource {
    let board: SightBoard

    func family() -> MetricFamily {
        MetricFamily(
            name: "fusebox_forward_paused", help: "1 for the reason for which a target gets nothing now.", kind: .gauge,
            samples: board.all.flatMap { key, sight in
                ForwardMetrics.pausedReasons.map { reason in
                    .init(
                        labels: LabelText.render([("target", key.target), ("signal", key.signal.rawValue), ("reason", reason)]),
                        value: .integer(sight.pausedReason == reason ? 1 : 0))
                }
            })
    }
}
