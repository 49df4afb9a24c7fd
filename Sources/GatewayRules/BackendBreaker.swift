package import Derivations
import TelemetryModel

/// What the end of a call says about the backend that it ran on.
package enum Evidence: Equatable, Sendable {
    case success
    /// A fuse blew.
    case timeout
    /// The backend failed in another way.
    case failure
    /// Nothing: the client left, the request was at fault, or the backend was busy.
    case nothing
    /// The connection to a process that is looked after here was lost: the process may have ended, and then it is nothing.
    case doubt

    /// Whether the backend failed; `nil` when that is not said.
    var isFailure: Bool? {
        switch self {
        case .success: false
        case .timeout, .failure: true
        case .nothing, .doubt: nil
        }
    }

    /// As the fuse table counts it. A failure counts as a timeout does, or a backend that refuses connections would never be left
    /// alone.
    var outcome: Outcome? {
        switch self {
        case .success: .ok
        case .timeout, .failure: .timeout
        case .nothing, .doubt: nil
        }
    }
}

/// The breaker of a backend: closed, open, half-open with one probe. Its steps are those of the derived breakers
/// (`BreakerStep`, metrics.md 2.6), so that who reads its spans comes to the same states.
package struct BackendBreaker: Equatable, Sendable {
    /// A cooldown lasts up to a tenth longer, so that breakers that opened together do not probe together. Never shorter: a probe
    /// within the cooldown would not be one by metrics.md.
    static let jitterRatio = 0.1

    private static let changesMax = 50

    package struct Change: Equatable, Sendable {
        package var state: BreakerState
        package var at: Int64
    }

    package private(set) var state = BreakerState.closed
    /// Failures in a row.
    package private(set) var failures = 0
    /// When a probe may go; means something while open.
    package private(set) var dueAt: Int64 = 0
    /// Changes with every change of state and every probe: what a call of an earlier one says is out of date.
    package private(set) var generation: UInt64 = 0
    package private(set) var isProbing = false
    package private(set) var opens: Int64 = 0
    /// The last changes of its state, oldest first.
    package private(set) var changes: [Change] = []

    private let threshold: Int
    private let cooldownNanoseconds: Int64

    package init(threshold: Int, cooldownNanoseconds: Int64) {
        self.threshold = max(1, threshold)
        self.cooldownNanoseconds = max(0, cooldownNanoseconds)
    }

    /// Whether a call may go now, as a probe or not.
    package func admits(at now: Int64) -> Bool {
        state == .closed || isProbeDue(at: now)
    }

    /// Whether the next call is a probe.
    package func isProbeDue(at now: Int64) -> Bool {
        switch state {
        case .open: now >= dueAt
        case .halfOpen: !isProbing
        case .closed, .unknown: false
        }
    }

    /// Refuses whatever comes until `dueAt`.
    package func isShut(at now: Int64) -> Bool { state == .open && now < dueAt }

    /// Lets a call go that `admits` allows; says whether it is the probe.
    package mutating func begin(at now: Int64) -> Bool {
        guard isProbeDue(at: now) else { return false }
        if state != .halfOpen { note(.halfOpen, now) }
        state = .halfOpen
        isProbing = true
        generation &+= 1
        return true
    }

    /// Takes in what a call of that generation tells. Says whether the breaker opened.
    package mutating func take(_ evidence: Evidence, generation: UInt64, at moment: GatewayMoment) -> Bool {
        guard generation == self.generation else { return false }
        guard let outcome = evidence.outcome else {
            // A probe that tells nothing hands its place back.
            isProbing = false
            return false
        }
        switch BreakerStep.after(outcome, in: state, timeouts: failures, threshold: threshold, errorResets: false) {
        case .stays: return false
        case .counts(let count):
            failures = count
            return false
        case .closes:
            change(to: .closed, at: moment.nanoseconds)
            return false
        case .opens:
            change(to: .open, at: moment.nanoseconds)
            opens = opens.addingSaturated(1)
            let extra = Double(cooldownNanoseconds) * Self.jitterRatio * moment.chance
            dueAt = moment.nanoseconds.addingSaturated(cooldownNanoseconds).addingSaturated(Int64(exactly: extra.rounded()) ?? 0)
            return true
        }
    }

    /// The server behind it is a new one: what the old one did is not held against it.
    package mutating func reset(at now: Int64) { change(to: .closed, at: now) }

    private mutating func note(_ next: BreakerState, _ now: Int64) {
        changes.append(Change(state: next, at: now))
        if changes.count > Self.changesMax { changes.removeFirst() }
    }

    private mutating func change(to next: BreakerState, at now: Int64) {
        if next != state { note(next, now) }
        state = next
        failures = 0
        isProbing = false
        generation &+= 1
    }
}
