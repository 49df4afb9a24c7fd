import PrometheusText

/// The counters that the breakers of one service, tool and stage add to.
struct BreakerCounters: Sendable {
    let opens: CounterTable.ID
    let halfOpens: CounterTable.ID
    let closes: CounterTable.ID
    let cooldown: CounterTable.ID

    /// Finds the counters, or makes them at zero.
    static func reported(_ labels: String, _ counters: inout CounterTable, created: Int64) -> BreakerCounters {
        BreakerCounters(
            opens: counters.id(.breakerOpens, labels, created: created),
            halfOpens: counters.id(.breakerHalfOpens, labels, created: created),
            closes: counters.id(.breakerCloses, labels, created: created),
            cooldown: counters.id(.breakerCooldown, labels, created: created))
    }

    static func derived(_ labels: String, _ counters: inout CounterTable, created: Int64) -> BreakerCounters {
        BreakerCounters(
            opens: counters.id(.derivedOpens, labels, created: created),
            halfOpens: counters.id(.derivedHalfOpens, labels, created: created),
            closes: counters.id(.derivedCloses, labels, created: created),
            cooldown: counters.id(.derivedCooldown, labels, created: created))
    }

    static func labels(service: String, tool: String, stage: Stage) -> String {
        LabelText.render([("service_name", service), ("tool", tool), ("stage", stage.rawValue)])
    }

    func add(_ effects: BreakerEffects, _ counters: inout CounterTable) {
        counters.add(opens, effects.opens)
        counters.add(halfOpens, effects.halfOpens)
        counters.add(closes, effects.closes)
        counters.add(cooldown, effects.cooldownNanoseconds)
    }
}
