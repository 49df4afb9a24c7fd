import TelemetryModel

/// The breaker that the fuse table asks for, replayed from outcomes: the machine of metrics.md 2.6. Times are
/// steady.
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
    var openings = Openings()
    /// What this breaker alone added to the counters.
    var total = BreakerEffects()

    init() {}

    /// - Parameter offset: the wall clock less steady time.
    mutating func apply(_ observation: PendingObservation, _ rules: BreakerRules, offset: Int64 = 0) -> BreakerEffects {
        var effects = BreakerEffects()
        if stage == nil { stage = observation.stage }
        // The wall clock has jumped: what was told by it may lie ahead of what is told now.
        if let last, observation.epoch > last.epoch { openedAt = min(openedAt, observation.start) }
        last = observation.order
        if observation.stage == .vector {
            applyVector(observation.duration, rules, &effects)
        } else {
            applyAttempt(observation, rules, offset, &effects)
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
        _ observation: PendingObservation, _ rules: BreakerRules, _ offset: Int64, _ effects: inout BreakerEffects
    ) {
        if state == .open {
            // In flight when it opened, or let through in spite of it: no probe.
            guard observation.start >= openedAt.addingSaturated(rules.cooldown) else { return }
            credit(rules, &effects)
            openings.end()
            state = .halfOpen
            effects.halfOpens += 1
        }
        switch BreakerStep.after(
            observation.outcome, in: state, timeouts: timeouts, threshold: rules.threshold, errorResets: rules.errorResets)
        {
        case .stays: break
        case .counts(let count): timeouts = count
        case .opens: open(by: observation, offset, &effects)
        case .closes:
            state = .closed
            timeouts = 0
            effects.closes += 1
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
        openings.credit(rules.cooldown)
        isCredited = true
    }

    private mutating func open(by observation: PendingObservation, _ offset: Int64, _ effects: inout BreakerEffects) {
        let time = observation.time
        openings.begin(observation, at: time, offset: offset)
        effects.opens += 1
        state = .open
        openedAt = time
        timeouts = 0
        isCredited = false
    }
}
