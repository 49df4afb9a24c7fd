import TelemetryModel

/// What a target's sender does next, from what the target answered: a value that reads no clock and throws no dice.
///
/// After a failure it waits longer and longer, by chance from nothing up to the whole of the wait, so that a fleet does not come back as
/// one. After five in a row the breaker is open: then it waits ten seconds at least, whatever chance says, and lets one try through.
package struct DeliveryState: Equatable, Sendable {
    package struct Limits: Equatable, Sendable {
        package var waitMin: Int64 = 1_000_000_000
        package var waitMax: Int64 = 300_000_000_000
        /// `Retry-After` is believed up to this.
        package var retryAfterMax: Int64 = 3_600_000_000_000
        package var failuresToOpen = 5
        package var openWaitMin: Int64 = 10_000_000_000
        /// Between two tries with a credential, or at an address, that is not known there.
        package var unauthorizedWait: Int64 = 30_000_000_000
        package var misdirectedWait: Int64 = 60_000_000_000
        /// So many spans in a row may be set aside as the ones that a target does not take. One that takes nothing at all stops instead:
        /// something else is wrong.
        package var refusalsInARowMax = 64

        package init() {}
    }

    /// The names are shown by `fusebox forward status` and in metrics.
    package enum Phase: String, CaseIterable, Sendable {
        case sending
        case waiting
        /// The breaker is open.
        case open
        case unauthorized
        case misdirected
        /// It takes nothing: until `fusebox forward resume`.
        case refusing
    }

    /// What becomes of what was sent.
    package enum Verdict: Equatable, Sendable {
        /// It is there, but for so many.
        case delivered(rejected: Int64)
        /// The same bytes again, when it is time.
        case again
        /// The first half of it, at once.
        case half
        /// It is one, and the target does not take it: it is set aside, and the next goes on.
        case aside(code: Int)
    }

    package let limits: Limits
    package private(set) var phase = Phase.sending
    /// What the target said last that was not a yes.
    package private(set) var message = ""
    /// On the clock of `now`: nothing is sent before.
    package private(set) var notBefore = Int64.min
    package private(set) var failuresInARow = 0
    private var refusalsInARow = 0

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Whether something may be sent now.
    package func maySend(now: Int64) -> Bool { phase != .refusing && now >= notBefore }

    /// Takes an answer to `count` spans or log records.
    ///
    /// - Parameters:
    ///   - now: nanoseconds on a clock that goes forward.
    ///   - chance: from 0 up to, and without, 1.
    package mutating func take(_ answer: DeliveryAnswer, count: Int, now: Int64, chance: Double) -> Verdict {
        switch answer {
        case .accepted(let rejected, let message):
            begin()
            self.message = message
            return .delivered(rejected: min(rejected, Int64(count)))
        case .later(_, let after, let message):
            failuresInARow += 1
            self.message = message
            let isOpen = failuresInARow >= limits.failuresToOpen
            phase = isOpen ? .open : .waiting
            var wait = Int64(Double(longestWait) * min(max(chance, 0), 1))
            if isOpen { wait = max(wait, limits.openWaitMin) }
            if let after { wait = max(wait, min(max(0, after), limits.retryAfterMax)) }
            notBefore = now.addingSaturated(wait)
            return .again
        case .unauthorized(_, let message): return stand(.unauthorized, message, now.addingSaturated(limits.unauthorizedWait))
        case .misdirected(_, let message): return stand(.misdirected, message, now.addingSaturated(limits.misdirectedWait))
        case .tooLarge(let message): return refuse(413, message, count)
        case .refused(let code, let message): return refuse(code, message, count)
        }
    }

    /// The longest that a wait is after so many failures.
    private var longestWait: Int64 {
        let doublings = min(failuresInARow - 1, 40)
        return min(limits.waitMin.multipliedSaturated(by: 1 << Int64(max(0, doublings))), limits.waitMax)
    }

    private mutating func stand(_ phase: Phase, _ message: String, _ until: Int64) -> Verdict {
        self.phase = phase
        self.message = message
        failuresInARow = 0
        notBefore = until
        return .again
    }

    private mutating func refuse(_ code: Int, _ message: String, _ count: Int) -> Verdict {
        failuresInARow = 0
        phase = .sending
        self.message = message
        guard count <= 1 else { return .half }
        refusalsInARow += 1
        guard refusalsInARow <= limits.refusalsInARowMax else {
            phase = .refusing
            return .again
        }
        return .aside(code: code)
    }

    /// Begins anew: something was taken, or an operator said so.
    package mutating func begin() {
        phase = .sending
        message = ""
        notBefore = .min
        failuresInARow = 0
        refusalsInARow = 0
    }

    /// The credential is another one: it is tried at once.
    package mutating func credentialChanged() {
        if phase == .unauthorized { notBefore = .min }
    }

    /// Nothing goes before a time, for the sake of a rate.
    package mutating func rest(until time: Int64) { notBefore = max(notBefore, time) }
}
