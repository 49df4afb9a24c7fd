/// A circuit breaker as an agent has it in its memory: three timeouts in a row open it for 30 s, then one call is let through to
/// try; two that come back close it. It keeps the record that a collector has to find in the spans.
struct DemoBreaker: Sendable {
    private enum State: String {
        case closed
        case open
        case halfOpen = "half_open"
    }

    private static let timeoutsMax = 3
    private static let successesToClose = 2
    /// Nanoseconds.
    static let cooldown: Int64 = 30_000_000_000

    private var state = State.closed
    private var timeouts = 0
    private var successes = 0
    private var openedAt: Int64 = 0
    /// When a span last said that it was open.
    private var lastEvidence: Int64 = 0

    private(set) var opens = 0
    private(set) var halfOpens = 0
    private(set) var closes = 0
    /// Open time as spans can show it: to the start of the next call that was let through, but no longer than a cooldown past the
    /// last span that said open.
    private(set) var cooldownNanoseconds: Int64 = 0

    /// The value of `breaker_state`.
    var name: String { state.rawValue }

    /// True when a call at this time may go out. One that may not is evidence, once it has ended.
    mutating func admits(at time: Int64) -> Bool {
        guard state == .open else { return true }
        guard time >= openedAt + Self.cooldown else { return false }
        cooldownNanoseconds += min(time, lastEvidence + Self.cooldown) - openedAt
        halfOpens += 1
        successes = 0
        state = .halfOpen
        return true
    }

    /// A call was refused.
    mutating func refused(at time: Int64) {
        lastEvidence = max(lastEvidence, time)
    }

    /// A call came back. Errors that are answers change nothing.
    mutating func answered(isError: Bool) {
        guard !isError else { return }
        timeouts = 0
        guard state == .halfOpen else { return }
        successes += 1
        guard successes >= Self.successesToClose else { return }
        state = .closed
        closes += 1
    }

    mutating func timedOut(at time: Int64) {
        timeouts += 1
        guard state == .halfOpen || timeouts >= Self.timeoutsMax else { return }
        state = .open
        opens += 1
        timeouts = 0
        openedAt = time
        lastEvidence = time
    }
}
