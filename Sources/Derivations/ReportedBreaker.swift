import TelemetryModel

/// A breaker as its client reports it: the machine of metrics.md 2.5. Times are steady.
struct ReportedBreaker: Equatable, Sendable {
    var state = BreakerState.closed
    /// When the current opening began. This and the next two mean something only while open.
    var since: Int64 = 0
    /// The last time at which it was known to be open.
    var evidence: Int64 = 0
    /// Up to where open time was added to the counter.
    var credited: Int64 = 0
    /// A cooldown has passed since the last evidence.
    var isExpired = false
    /// The last change of state.
    var lastEdge = Int64.min
    /// The newest observation that was looked at.
    var last: OrderKey?
    /// The label of its counters: the stage of the first observation.
    var stage: Stage?
    var openings = Openings()
    /// What this breaker alone added to the counters.
    var total = BreakerEffects()

    init() {}

    /// What is shown: an expired opening is unknown.
    var shown: BreakerState { state == .open && isExpired ? .unknown : state }

    /// - Parameter offset: the wall clock less steady time.
    mutating func apply(_ observation: PendingObservation, _ rules: BreakerRules, offset: Int64 = 0) -> BreakerEffects {
        var effects = BreakerEffects()
        let seen = observation.state
        let time = observation.time
        if stage == nil { stage = observation.stage }
        let isFirst = last == nil
        if let last, observation.epoch > last.epoch { rebase(before: time) }
        last = observation.order
        if let skew = rules.skew, !isFirst, seen != state, observation.kind != .transition,
            time.subtractingSaturated(lastEdge) < skew
        {
            effects.skewed = 1
            total.add(effects)
            return effects
        }
        if state == .open {
            applyWhileOpen(observation, rules, offset, &effects)
        } else if seen == .open {
            effects.opens += 1
            open(by: observation, offset)
        } else if seen == .halfOpen && state == .closed {
            effects.halfOpens += 1
            change(to: .halfOpen, at: time)
        } else if seen == .closed && state == .halfOpen {
            effects.closes += 1
            change(to: .closed, at: time)
        }
        total.add(effects)
        return effects
    }

    /// The wall clock has jumped since the last observation, and what was told by it may lie ahead of what is told now.
    private mutating func rebase(before time: Int64) {
        since = min(since, time)
        evidence = min(evidence, time)
        credited = min(credited, time)
        if lastEdge > time { lastEdge = .min }
    }

    private mutating func applyWhileOpen(
        _ observation: PendingObservation, _ rules: BreakerRules, _ offset: Int64, _ effects: inout BreakerEffects
    ) {
        let time = observation.time
        let end = evidence.addingSaturated(rules.cooldown)
        let probeStart = since.addingSaturated(rules.cooldown).subtractingSaturated(rules.slack)
        let isProbe = observation.kind == .attempt && observation.start >= probeStart
        let moment = isProbe ? observation.start : time
        if moment > end {
            credit(to: end, &effects)
            isExpired = true
        }
        if observation.state != .open {
            credit(to: min(moment, end), &effects)
            if observation.state == .halfOpen || isProbe { effects.halfOpens += 1 }
            if observation.state == .closed { effects.closes += 1 }
            openings.end()
            change(to: observation.state, at: time)
        } else if isProbe {
            credit(to: min(moment, end), &effects)
            effects.halfOpens += 1
            effects.opens += 1
            openings.end()
            open(by: observation, offset)
        } else {
            credit(to: time, &effects)
            evidence = max(evidence, time)
            isExpired = false
            openings.credit(0)
        }
    }

    /// When an open breaker that nothing more is heard of is credited; `nil` when there is nothing to wait for.
    func expiry(_ rules: BreakerRules) -> Int64? {
        state == .open && !isExpired ? evidence.addingSaturated(rules.cooldown).addingSaturated(rules.settle) : nil
    }

    mutating func expire(_ rules: BreakerRules) -> BreakerEffects {
        var effects = BreakerEffects()
        credit(to: evidence.addingSaturated(rules.cooldown), &effects)
        isExpired = true
        openings.credit(0)
        total.add(effects)
        return effects
    }

    private mutating func credit(to time: Int64, _ effects: inout BreakerEffects) {
        guard time > credited else { return }
        let nanoseconds = time.subtractingSaturated(credited)
        effects.cooldownNanoseconds = effects.cooldownNanoseconds.addingSaturated(nanoseconds)
        openings.credit(nanoseconds)
        credited = time
    }

    private mutating func open(by observation: PendingObservation, _ offset: Int64) {
        let time = observation.time
        openings.begin(observation, at: time, offset: offset)
        change(to: .open, at: time)
        since = time
        evidence = time
        credited = time
        isExpired = false
    }

    private mutating func change(to next: BreakerState, at time: Int64) {
        state = next
        lastEdge = time
    }
}
