import PrometheusText

/// Counters whose labels are known beforehand. They are made, at zero, with the first span.
struct FixedCounters: Sendable {
    let discardedLate: CounterTable.ID
    let discardedSkew: CounterTable.ID
    let discardedUnknownState: CounterTable.ID
    let discardedOverflow: CounterTable.ID
    let settledEarly: CounterTable.ID
    let negativeDuration: CounterTable.ID
    let future: CounterTable.ID
    let missingTime: CounterTable.ID
    let serviceOverflow: CounterTable.ID
    let toolOverflow: CounterTable.ID
    let workflowOverflow: CounterTable.ID
    let modelOverflow: CounterTable.ID
    let hostOverflow: CounterTable.ID

    init(_ counters: inout CounterTable, created: Int64) {
        func make(_ family: Family, _ name: String, _ value: String) -> CounterTable.ID {
            counters.id(family, LabelText.render([(name, value)]), created: created)
        }
        discardedLate = make(.eventsDiscarded, "reason", "late")
        discardedSkew = make(.eventsDiscarded, "reason", "skew")
        discardedUnknownState = make(.eventsDiscarded, "reason", "unknown_state")
        discardedOverflow = make(.eventsDiscarded, "reason", "overflow")
        settledEarly = counters.id(.settledEarly, "", created: created)
        negativeDuration = make(.clockAnomalies, "kind", "negative_duration")
        future = make(.clockAnomalies, "kind", "future")
        missingTime = make(.clockAnomalies, "kind", "missing_time")
        serviceOverflow = make(.labelOverflow, "label", LabelTable.Label.service.rawValue)
        toolOverflow = make(.labelOverflow, "label", LabelTable.Label.tool.rawValue)
        workflowOverflow = make(.labelOverflow, "label", LabelTable.Label.workflow.rawValue)
        modelOverflow = make(.labelOverflow, "label", LabelTable.Label.model.rawValue)
        hostOverflow = make(.labelOverflow, "label", LabelTable.Label.host.rawValue)
    }
}
