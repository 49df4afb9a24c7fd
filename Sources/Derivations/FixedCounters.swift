import PrometheusText

/// Counters whose labels are known beforehand. They are made, at zero, with the first span.
struct FixedCounters: Sendable {
    let discardedLate: CounterTable.ID
    let discardedSkew: CounterTable.ID
    let discardedUnknownState: CounterTable.ID
    let discardedOverflow: CounterTable.ID
    let negativeDuration: CounterTable.ID
    let future: CounterTable.ID
    let missingTime: CounterTable.ID
    /// By the order of `LabelTable.Label`'s cases.
    let overflows: [CounterTable.ID]

    init(_ counters: inout CounterTable, created: Int64) {
        func make(_ family: Family, _ name: String, _ value: String) -> CounterTable.ID {
            counters.id(family, LabelText.render([(name, value)]), created: created)
        }
        discardedLate = make(.eventsDiscarded, "reason", "late")
        discardedSkew = make(.eventsDiscarded, "reason", "skew")
        discardedUnknownState = make(.eventsDiscarded, "reason", "unknown_state")
        discardedOverflow = make(.eventsDiscarded, "reason", "overflow")
        negativeDuration = make(.clockAnomalies, "kind", "negative_duration")
        future = make(.clockAnomalies, "kind", "future")
        missingTime = make(.clockAnomalies, "kind", "missing_time")
        overflows = LabelTable.Label.allCases.map { make(.labelOverflow, "label", $0.rawValue) }
    }
}
