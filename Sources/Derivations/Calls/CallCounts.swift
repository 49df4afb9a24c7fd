import TelemetryModel

/// What is counted of a call when it settles: plain numbers, and counters by their numbers, which are negative where there is
/// nothing to count.
struct CallCounts: Sendable {
    /// An attempt that has a start and an end.
    struct Attempt: Sendable {
        var outcome: Outcome
        var ok: CounterTable.ID
        var error: CounterTable.ID
        var timeout: CounterTable.ID
        var rejected: CounterTable.ID
        var duration: CounterTable.ID
        /// The series of the timeout's reason and phase.
        var timeoutReason: CounterTable.ID = -1
        var rejections: CounterTable.ID = -1
        /// It finished past its fuse.
        var overruns: CounterTable.ID = -1
        /// As `RetryWindow` has it: the group of the attempt, and what to count on when it repeats a failed one.
        var retryGroup: UInt64
        var retries: CounterTable.ID
        var durationNanoseconds: Int64

        func calls(_ outcome: Outcome) -> CounterTable.ID {
            switch outcome {
            case .ok: ok
            case .error: error
            case .timeout: timeout
            case .rejected: rejected
            }
        }
    }

    /// Tokens by type with the series of each, and what they cost.
    struct Tokens: Sendable {
        var counts: TokenCounts
        var input: CounterTable.ID = -1
        var cacheRead: CounterTable.ID = -1
        var cacheWrite: CounterTable.ID = -1
        var output: CounterTable.ID = -1
        var unspecified: CounterTable.ID = -1
        var cost: CounterTable.ID = -1
        var nanoDollars: Int64 = 0
        var unpriced: CounterTable.ID = -1
        /// The span names no workflow: its trace's counts.
        var hasNoWorkflow = false
        /// The number of the service among those of `PresenceTable`.
        var service: Int32
        var received: Int64
    }

    var attempt: Attempt?
    var tokens: Tokens?
    var timeToFirstToken: CounterTable.ID = -1
    var firstTokenNanoseconds: Int64 = 0
    var prefillBreaches: CounterTable.ID = -1
    var cacheLookups: CounterTable.ID = -1
    /// Of the span or its receipt, whichever came first.
    var endUnixNano: Int64

    /// How a call failed, as one number that is not 0.
    static func failure(_ outcome: Outcome, _ reason: TimeoutReason?, _ phase: Phase) -> UInt32 {
        guard outcome == .error || outcome == .timeout else { return 0 }
        return UInt32(outcome.code) | UInt32(reason.map { $0.code + 1 } ?? 0) << 8 | UInt32(phase.code) << 16
    }

    /// The outcome and the codes of reason and phase in such a number.
    static func ending(_ failure: UInt32) -> (outcome: Outcome, reason: TimeoutReason?, phase: Phase) {
        let reason = Int(failure >> 8 & 0xFF) - 1
        let phase = Int(failure >> 16 & 0xFF)
        return (
            Outcome(code: UInt8(truncatingIfNeeded: failure & 0xFF)),
            TimeoutReason.allCases.indices.contains(reason) ? TimeoutReason.allCases[reason] : nil,
            Phase.allCases.indices.contains(phase) ? Phase.allCases[phase] : .call
        )
    }
}
