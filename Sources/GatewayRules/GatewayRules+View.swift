package import Derivations
import TelemetryModel

extension GatewayRules {
    package func view(at now: Int64) -> GatewayView {
        GatewayView(
            models: zip(plan.models, models).map { plan, model in
                .init(
                    name: plan.name, backends: plan.backends.map { self.plan.backends[$0].name }, waiting: model.waiting.count,
                    queueDepth: plan.queueDepth, saturation: causes(plan, model))
            },
            backends: backends.indices.map { backend($0, at: now) },
            running: calls.count, callsMax: plan.callsMax)
    }

    private func causes(_ plan: ModelPlan, _ model: Model) -> [Saturation.Cause] {
        var causes: [Saturation.Cause] = []
        if model.waiting.count * 2 > plan.queueDepth && !model.waiting.isEmpty { causes.append(.queue) }
        if model.saturation.firstTokensAreLate { causes.append(.firstToken) }
        if model.saturation.failsOften { causes.append(.errors) }
        if plan.backends.contains(where: { backends[$0].foreignCalls > 0 }) { causes.append(.bypass) }
        return causes
    }

    package func backend(_ index: Int, at now: Int64) -> GatewayView.Backend {
        let backend = backends[index]
        return .init(
            name: plan.backends[index].name, kind: plan.backends[index].kind, running: backend.running, slots: backend.slots,
            breaker: backend.breaker.state,
            cooldownNanoseconds: backend.breaker.state == .open ? max(0, backend.breaker.dueAt.subtractingSaturated(now)) : 0,
            failures: backend.breaker.failures, opens: backend.breaker.opens, changes: backend.breaker.changes,
            pauseNanoseconds: backend.pausedUntil > now ? backend.pausedUntil.subtractingSaturated(now) : 0,
            isLoading: backend.isLoading && backend.pausedUntil > now, availability: backend.availability,
            isDoubted: backend.doubts > 0, foreignCalls: backend.foreignCalls,
            sinceSuccessNanoseconds: backend.lastSuccess.map { max(0, now.subtractingSaturated($0)) })
    }

    /// Calls of a backend that hold a slot.
    package func running(_ backend: Int) -> Int { backends[backend].running }

    /// The state of a backend's breaker now.
    package func breakerState(_ backend: Int) -> BreakerState { backends[backend].breaker.state }
}
