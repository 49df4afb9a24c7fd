import TelemetryModel

/// Whether a model's backends keep up, by the calls of late: how long first tokens took, and how many failed.
package struct Saturation: Equatable, Sendable {
    package enum Cause: String, CaseIterable, Sendable {
        /// More than half of the places to wait in are taken.
        case queue
        /// The 95th percentile of the first tokens of late is above their fuse.
        case firstToken = "first_token"
        /// More than a fifth of the calls of late failed.
        case errors
        /// Somebody else keeps the backend busy: it works on more than it got from here.
        case bypass
    }

    /// Fewer say nothing.
    private static let callsMin = 10
    private static let errorRatio = 0.2

    /// Parts of their budgets that first tokens took.
    private var firstTokens = RecentFigures()
    /// 1 for a call that failed, else 0.
    private var failures = RecentFigures()

    package init() {}

    /// A first token came after a part of its fuse's time, or the fuse blew (1 or more).
    package mutating func firstToken(budgetShare: Double) { firstTokens.add(budgetShare) }

    package mutating func ended(isFailure: Bool) { failures.add(isFailure ? 1 : 0) }

    package var firstTokensAreLate: Bool {
        guard firstTokens.count >= Self.callsMin else { return false }
        return (firstTokens.quantile(0.95) ?? 0) >= 1
    }

    package var failsOften: Bool {
        failures.count >= Self.callsMin && failures.mean > Self.errorRatio
    }
}
