import TelemetryModel

/// The policy as the breaker machines need it, in range. Times are nanoseconds.
struct BreakerRules: Sendable {
    let threshold: Int
    let cooldown: Int64
    let settle: Int64
    /// How much before the end of the cooldown a probe may begin.
    let slack: Int64
    /// `nil` unless hosts share breakers.
    let skew: Int64?
    let errorResets: Bool
    let vectorWindow: Int
    let vectorMinimum: Int
    let gate: Int64
    let closingGate: Int64

    init(_ policy: FusePolicy) {
        threshold = max(1, policy.breakerThreshold)
        cooldown = max(0, policy.breakerCooldownNanoseconds)
        settle = max(1, policy.breakerSettleNanoseconds)
        slack = min(SpanDerivations.Limits.probeSlackNanoseconds, cooldown / 10)
        skew = policy.breakerScope == .service ? policy.skewNanoseconds : nil
        errorResets = policy.errorPolicy == .reset
        vectorWindow = min(max(1, policy.vectorWindow), SpanDerivations.Limits.vectorWindowMax)
        vectorMinimum = max(1, policy.vectorMinimum)
        gate = max(0, policy.vectorP95GateNanoseconds ?? policy.vectorQueryTimeoutNanoseconds)
        closingGate = Self.closing(gate, policy.vectorHysteresis)
    }

    private static func closing(_ gate: Int64, _ part: Double) -> Int64 {
        guard part > 0 else { return 0 }
        return Int64(exactly: (Double(gate) * min(part, 1)).rounded()) ?? gate
    }
}

/// What applying one observation, or the end of a cooldown, adds to the counters.
struct BreakerEffects: Equatable, Sendable {
    var opens: Int64 = 0
    var halfOpens: Int64 = 0
    var closes: Int64 = 0
    var cooldownNanoseconds: Int64 = 0
    var skewed: Int64 = 0

    mutating func add(_ other: BreakerEffects) {
        // Most observations move nothing.
        guard other != BreakerEffects() else { return }
        opens = opens.addingSaturated(other.opens)
        halfOpens = halfOpens.addingSaturated(other.halfOpens)
        closes = closes.addingSaturated(other.closes)
        cooldownNanoseconds = cooldownNanoseconds.addingSaturated(other.cooldownNanoseconds)
        skewed = skewed.addingSaturated(other.skewed)
    }
}
