/// The breaker that the fuse table asks for, replayed from outcomes: the machine of metrics.md 2.6. Times are nanoseconds since
/// 1970.
struct DerivedBreaker: Equatable, Sendable {
    var state = BreakerState.closed
    /// Timeouts in a row.
    var timeouts = 0
    /// When it opened; means something only while open.
    var openedAt: Int64 = 0
    /// The current opening's cooldown is in the counter.
    var isCredited = true
    var last: OrderKey?
    /// The label of its counters: the stage of the first observation.
    var stage: Stage?
    var window = VectorWindow()
    /// What this breaker alone added to the counters.
    var total = BreakerEffects()

    init() {}

    mutating func apply(_ observation: PendingObservation, _ rules: BreakerRules) -> BreakerEffects {
        var effects = BreakerEffects()
        if stage == nil { stage = observation.stage }
        last = observation.order
        if observation.stage == .vector {
            applyVector(observation.duration, rules, &effects)
        } else {
            applyAttempt(observation, rules, &effects)
        }
        total.add(effects)
        return effects
    }

    private mutating func applyVector(
        _ duration: VectorWindow.DurationClass, _ rules: BreakerRules, _ effects: inout BreakerEffects
    ) {
        window.append(duration, capacity: rules.vectorWindow)
        guard window.count >= rules.vectorMinimum else { return }
        if state == .closed && window.isP95AboveGate {
            state = .halfOpen
            effects.halfOpens += 1
        } else if state == .halfOpen && window.isP95WithinClosingGate {
            state = .closed
            effects.closes += 1
        }
    }

    private mutating func applyAttempt(
        _ observation: PendingObservation, _ rules: BreakerRules, _ effects: inout BreakerEffects
    ) {
        if state == .open {
            // In flight when it opened, or let through in spite of it: no probe.
            guard observation.start >= openedAt.addingSaturated(rules.cooldown) else { return }
            credit(rules, &effects)
            state = .halfOpen
            effects.halfOpens += 1
        }
        switch (state, observation.outcome) {
        case (.halfOpen, .timeout): open(at: observation.time, &effects)
        case (.halfOpen, .ok):
            state = .closed
            timeouts = 0
            effects.closes += 1
        case (.halfOpen, _): break
        case (_, .timeout):
            timeouts += 1
            if timeouts >= rules.threshold { open(at: observation.time, &effects) }
        case (_, .ok): timeouts = 0
        case (_, .error): if rules.errorResets { timeouts = 0 }
        case (_, .rejected): break
        }
    }

    /// When the cooldown is credited without a probe; `nil` when there is nothing to wait for.
    func expiry(_ rules: BreakerRules) -> Int64? {
        state == .open && !isCredited ? openedAt.addingSaturated(rules.cooldown).addingSaturated(rules.settle) : nil
    }

    mutating func expire(_ rules: BreakerRules) -> BreakerEffects {
        var effects = BreakerEffects()
        credit(rules, &effects)
        total.add(effects)
        return effects
    }

    private mutating func credit(_ rules: BreakerRules, _ effects: inout BreakerEffects) {
        guard !isCredited else { return }
        effects.cooldownNanoseconds = effects.cooldownNanoseconds.addingSaturated(rules.cooldown)
        isCredited = true
    }

    private mutating func open(at time: Int64, _ effects: inout BreakerEffects) {
        effects.opens += 1
        state = .open
        openedAt = time
        timeouts = 0
        isCredited = false
    }
}
