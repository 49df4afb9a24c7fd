import Derivations
import GatewayRules
import TelemetryModel

/// What `GET /-/status` answers.
enum GatewayStatus {
    static func document(_ shared: GatewayShared) -> JSONValue {
        let view = shared.desk.view
        return [
            "running": .integer(Int64(view.running)),
            "calls_max": .optional(view.callsMax.map(Int64.init)),
            "models": .array(view.models.map(model)),
            "backends": .array(view.backends.enumerated().map { backend($1, shared, $0) }),
            "kubernetes": shared.cluster.reporter?.document ?? .null,
        ]
    }

    private static func model(_ model: GatewayView.Model) -> JSONValue {
        [
            "name": .string(model.name), "backends": .array(model.backends.map(JSONValue.string)),
            "waiting": .integer(Int64(model.waiting)), "queue_depth": .integer(Int64(model.queueDepth)),
            "saturated": .array(model.saturation.map { .string($0.rawValue) }),
        ]
    }

    private static func backend(_ backend: GatewayView.Backend, _ shared: GatewayShared, _ index: Int) -> JSONValue {
        let now = GatewaySources.uptimeNanoseconds()
        return [
            "name": .string(backend.name), "kind": .string(backend.kind.rawValue),
            "running": .integer(Int64(backend.running)), "slots": .integer(Int64(backend.slots)),
            "breaker": .string(backend.breaker.rawValue), "cooldown_s": .double(Double(backend.cooldownNanoseconds) / 1e9),
            "failures_in_a_row": .integer(Int64(backend.failures)), "breaker_opens": .integer(backend.opens),
            "loading": .bool(backend.isLoading), "pause_s": .double(Double(backend.pauseNanoseconds) / 1e9),
            "last_success_s": .optional(backend.sinceSuccessNanoseconds.map { Double($0) / 1e9 }),
            "breaker_changes": .array(
                backend.changes.map { ["state": .string($0.state.rawValue), "age_s": age($0.at, now)] }),
            "first_token_p95_s": .optional(shared.board.figures(index).firstTokenSeconds.quantile(0.95)),
            "tokens_per_second": .optional(shared.board.figures(index).tokensPerSecond.quantile(0.5)),
            "foreign_calls": .integer(Int64(backend.foreignCalls)), "health": health(index, shared, now),
            "process": shared.supervisors[index].map { $0.condition.document(port: shared.board.port(index), at: now) } ?? .null,
        ]
    }

    private static func age(_ time: Int64, _ now: Int64) -> JSONValue {
        .double(Double(max(0, now.subtractingSaturated(time))) / 1e9)
    }

    /// What is known of its health, and how old that is.
    private static func health(_ backend: Int, _ shared: GatewayShared, _ now: Int64) -> JSONValue {
        let (state, evidenceAt) = state(backend, shared, now)
        return [
            "state": .string(state),
            "evidence_s": .optional(evidenceAt.map { Double(max(0, now.subtractingSaturated($0))) / 1e9 }),
        ]
    }

    /// A backend's state in a word, and when it was last seen to be in it.
    static func state(_ backend: Int, _ shared: GatewayShared, _ now: Int64) -> (state: String, evidenceAt: Int64?) {
        if let condition = shared.supervisors[backend]?.condition { return (condition.stateText, condition.lastSign) }
        guard let watched = shared.watcher.condition(backend, at: now) else { return ("waiting", nil) }
        return (watched.state.rawValue, watched.evidenceAt)
    }

    /// Whether each model has a backend that may take calls, and what keeps it from keeping up; a line each.
    static func readiness(_ shared: GatewayShared) -> (isReady: Bool, lines: [String]) {
        let view = shared.desk.view
        let now = GatewaySources.uptimeNanoseconds()
        var isReady = true
        var lines: [String] = []
        for (plan, model) in zip(shared.settings.plan.models, view.models) {
            let serves = serves(plan, view, shared, now)
            isReady = isReady && serves
            let saturation = model.saturation.map(\.rawValue).joined(separator: ", ")
            lines.append(
                "\(model.name): \(serves ? "ready" : "not ready")\(saturation.isEmpty ? "" : ", saturated: \(saturation)")")
        }
        return (isReady, lines)
    }

    /// Whether each model has a backend that may take calls, by their positions in the plan.
    static func servedModels(_ shared: GatewayShared) -> [Bool] {
        let view = shared.desk.view
        let now = GatewaySources.uptimeNanoseconds()
        return shared.settings.plan.models.map { serves($0, view, shared, now) }
    }

    private static func serves(_ plan: ModelPlan, _ view: GatewayView, _ shared: GatewayShared, _ now: Int64) -> Bool {
        plan.backends.contains { index in
            let state = state(index, shared, now).state
            return view.backends[index].availability == .up && view.backends[index].breaker != .open
                && ["ready", "suspect", "unknown"].contains(state)
        }
    }
}
