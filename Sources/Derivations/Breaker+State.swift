import TelemetryModel

/// A breaker's state row. What waits is not in it: the stored spans give it back.
extension Breaker {
    static let stateKind = "breaker"

    var stateRow: StateRow {
        var writer = StateWriter()
        writer.add("service", key.service)
        writer.add("kind", key.kind.rawValue)
        writer.add("scope", key.scope)
        writer.add("tool", key.tool)
        if let last = reported.last, let stage = reported.stage {
            writer.add("reported", reported.state.rawValue)
            writer.add("reported_stage", stage.rawValue)
            writer.add("reported_last", last)
            writer.add("since", reported.since)
            writer.add("evidence", reported.evidence)
            writer.add("credited", reported.credited)
            writer.add("expired", reported.isExpired)
            writer.add("last_edge", reported.lastEdge)
            if let opening = reported.openings.current { writer.add("reported_opening", opening.text) }
            Self.write(reported.total, .reported, &writer)
        }
        if let last = derived.last, let stage = derived.stage {
            writer.add("derived", derived.state.rawValue)
            writer.add("derived_stage", stage.rawValue)
            writer.add("derived_last", last)
            writer.add("timeouts", Int64(derived.timeouts))
            writer.add("opened_at", derived.openedAt)
            writer.add("cooldown_credited", derived.isCredited)
            if let opening = derived.openings.current { writer.add("derived_opening", opening.text) }
            if derived.window.count > 0 { writer.add("window", derived.window.text) }
            Self.write(derived.total, .derived, &writer)
        }
        return StateRow(kind: Self.stateKind, key: key.text, value: writer.finish())
    }

    static func key(_ reader: StateReader) -> BreakerKey? {
        guard let service = reader.string("service"), let scope = reader.string("scope"), let tool = reader.string("tool"),
            let kind = reader.string("kind").flatMap(BreakerKey.Kind.init(rawValue:))
        else { return nil }
        return BreakerKey(service: service, scope: scope, tool: tool, kind: kind)
    }

    /// Reads the machines; one that is not there, or not whole, stays new.
    mutating func readMachines(_ reader: StateReader, _ rules: BreakerRules) {
        if let state = reader.string("reported").flatMap(BreakerState.init(rawValue:)),
            let stage = reader.string("reported_stage").flatMap(Stage.init(rawValue:)),
            let last = reader.string("reported_last").flatMap(OrderKey.init(text:))
        {
            reported.state = state
            reported.stage = stage
            reported.last = last
            reported.since = reader.integer("since") ?? 0
            reported.evidence = reader.integer("evidence") ?? 0
            reported.credited = reader.integer("credited") ?? 0
            reported.isExpired = reader.bool("expired") ?? false
            reported.lastEdge = reader.integer("last_edge") ?? .min
            reported.openings = Openings(current: reader.string("reported_opening").flatMap(Opening.init(text:)))
            reported.total = Self.effects(.reported, reader)
        }
        if let state = reader.string("derived").flatMap(BreakerState.init(rawValue:)),
            let stage = reader.string("derived_stage").flatMap(Stage.init(rawValue:)),
            let last = reader.string("derived_last").flatMap(OrderKey.init(text:))
        {
            derived.state = state
            derived.stage = stage
            derived.last = last
            derived.timeouts = Int(clamping: reader.integer("timeouts") ?? 0)
            derived.openedAt = reader.integer("opened_at") ?? 0
            derived.isCredited = reader.bool("cooldown_credited") ?? true
            derived.openings = Openings(current: reader.string("derived_opening").flatMap(Opening.init(text:)))
            derived.window = VectorWindow(text: reader.string("window") ?? "", capacity: rules.vectorWindow) ?? VectorWindow()
            derived.total = Self.effects(.derived, reader)
        }
    }

    /// What the effects of a machine are called.
    private struct EffectNames: Sendable {
        static let reported = EffectNames("reported")
        static let derived = EffectNames("derived")

        let opens: String
        let halfOpens: String
        let closes: String
        let cooldown: String

        private init(_ machine: String) {
            opens = "\(machine)_opens"
            halfOpens = "\(machine)_half_opens"
            closes = "\(machine)_closes"
            cooldown = "\(machine)_cooldown_ns"
        }
    }

    private static func write(_ effects: BreakerEffects, _ names: EffectNames, _ writer: inout StateWriter) {
        writer.add(names.opens, effects.opens)
        writer.add(names.halfOpens, effects.halfOpens)
        writer.add(names.closes, effects.closes)
        writer.add(names.cooldown, effects.cooldownNanoseconds)
    }

    private static func effects(_ names: EffectNames, _ reader: StateReader) -> BreakerEffects {
        BreakerEffects(
            opens: reader.integer(names.opens) ?? 0,
            halfOpens: reader.integer(names.halfOpens) ?? 0,
            closes: reader.integer(names.closes) ?? 0,
            cooldownNanoseconds: reader.integer(names.cooldown) ?? 0)
    }
}
