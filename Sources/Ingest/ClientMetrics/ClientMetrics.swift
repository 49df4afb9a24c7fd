package import PrometheusText
import Synchronization
package import TelemetryModel

/// The latest value of every series that clients sent, for `/metrics`. Held in memory: a restart begins anew, as it does for
/// clients' own counters.
///
/// Bounded: past `seriesMax` series new ones are not taken. A name stays what it was first: points of another kind are not taken.
/// Names that begin like ours are not taken either.
package final class ClientMetrics: Sendable {
    /// Series held at most.
    package static let seriesMax = 10_000
    private static let ownPrefixes = ["agent_", "fusebox_", "process_"]

    private struct Series {
        var value: MetricPoint.Value
        var timeUnixNano: UInt64
    }

    private struct Family {
        var kind: MetricPoint.Kind
        var help: String
        var series: [String: Series] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var seriesCount = 0
    }

    private let state = Mutex(State())
    private let points: CounterMetric
    private let dropped: LabeledCounterMetric

    package init(registry: MetricRegistry) {
        points = registry.register(
            CounterMetric("fusebox_client_points_total", help: "Points of clients' metrics that are shown."))
        dropped = registry.register(
            LabeledCounterMetric(
                "fusebox_client_points_dropped_total", help: "Points of clients' metrics that are not shown.", labels: ["reason"],
                labelSetsMax: 8))
        for reason in ["series", "conflict", "name", "unsupported"] { _ = dropped.cell(reason) }
    }

    /// Counts points of a kind that cannot be shown.
    package func drop(unsupported count: Int) {
        dropped.increment("unsupported", by: Int64(count))
    }

    /// Takes a point; `false` when it is not shown.
    package func take(_ point: MetricPoint) -> Bool {
        let name = PrometheusName.family(point)
        let refusal: String? = state.withLock { state in Self.take(point, name, &state) }
        if let refusal { dropped.increment(refusal) } else { points.increment() }
        return refusal == nil
    }

    private static func take(_ point: MetricPoint, _ name: String, _ state: inout State) -> String? {
        guard !name.isEmpty, !ownPrefixes.contains(where: name.hasPrefix) else { return "name" }
        if let kind = state.families[name]?.kind, kind != point.kind { return "conflict" }
        let labels = PrometheusName.labels(point)
        var value = point.value
        if let old = state.families[name]?.series[labels] {
            // A point that came late, or twice, changes nothing.
            guard point.timeUnixNano > old.timeUnixNano else { return nil }
            if point.isDelta && point.kind != .gauge { value = sum(old.value, value) }
        } else {
            guard state.seriesCount < seriesMax else { return "series" }
            state.seriesCount += 1
        }
        state.families[name, default: Family(kind: point.kind, help: point.help)].series[labels] = Series(
            value: value, timeUnixNano: point.timeUnixNano)
        return nil
    }

    /// What was and what came since; of histograms with other bounds, what came since.
    private static func sum(_ old: MetricPoint.Value, _ new: MetricPoint.Value) -> MetricPoint.Value {
        switch (old, new) {
        case (.number(let old), .number(let new)): return .number(old + new)
        case (.buckets(let oldBounds, let oldCounts, let oldSum), .buckets(let bounds, let counts, let newSum)):
            guard oldBounds == bounds else { return new }
            let sums = zip(oldCounts, counts).map { left, right in
                let (sum, overflow) = left.addingReportingOverflow(right)
                return overflow ? UInt64.max : sum
            }
            return .buckets(bounds: bounds, counts: sums, sum: oldSum + newSum)
        default: return new
        }
    }

    /// Every family as it is now, by name.
    package func families() -> [MetricFamily] {
        let families = state.withLock { $0.families }
        return families.sorted { $0.key < $1.key }.map { name, family in
            MetricFamily(
                name: name, help: family.help, kind: family.kind.prometheus,
                samples: family.series.sorted { $0.key < $1.key }.map { labels, series in
                    MetricFamily.Sample(labels: labels, value: series.value.prometheus)
                })
        }
    }
}

extension MetricPoint.Kind {
    fileprivate var prometheus: MetricFamily.Kind {
        switch self {
        case .gauge: .gauge
        case .counter: .counter
        case .histogram: .histogram
        }
    }
}

extension MetricPoint.Value {
    fileprivate var prometheus: MetricFamily.Value {
        switch self {
        case .number(let value): .double(value)
        case .buckets(let bounds, let counts, let sum):
            .histogram(.init(bounds: bounds, counts: counts.map { Int64(clamping: $0) }, sum: sum))
        }
    }
}
