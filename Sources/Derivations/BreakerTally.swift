import PrometheusText
import TelemetryModel

/// Counts breakers by label set and state for the gauges.
struct BreakerTally {
    private var counts: [ExactText: [BreakerState: Int64]] = [:]
    /// Label set to the longest time that a breaker of it is open, nanoseconds; 0 when none is.
    private(set) var ages: [ExactText: Int64] = [:]

    /// Has every label set of the machine's counters, of which `opens` stands for all.
    init(opens: Family, _ counters: CounterTable) {
        for series in counters.series where series.family == opens {
            counts[ExactText(series.labels)] = [:]
            ages[ExactText(series.labels)] = 0
        }
    }

    mutating func add(_ labels: String, _ state: BreakerState, openFor age: Int64) {
        let labels = ExactText(labels)
        counts[labels, default: [:]][state, default: 0] += 1
        if state == .open { ages[labels] = max(ages[labels] ?? 0, age) }
    }

    /// Every state of every label set.
    var instanceSamples: [MetricFamily.Sample] {
        counts.flatMap { labels, states in
            BreakerState.allCases.map { state in
                MetricFamily.Sample(labels: "\(labels.text),state=\"\(state.rawValue)\"", value: .integer(states[state] ?? 0))
            }
        }
    }
}

extension Breaker {
    func labels(_ stage: Stage) -> String {
        BreakerCounters.labels(service: serviceLabel, tool: toolLabel, stage: stage)
    }
}
