/// What the outcome of one attempt makes of a breaker: the rule of metrics.md 2.6. Replayed over spans by `DerivedBreaker`, acted on
/// by the gateway.
package enum BreakerStep: Equatable, Sendable {
    /// Nothing changes.
    case stays
    /// So many timeouts in a row now.
    case counts(Int)
    case opens
    case closes

    /// The step of a breaker that is closed or half-open; an open one takes none before its cooldown is over.
    ///
    /// - Parameters:
    ///   - timeouts: in a row up to now.
    ///   - threshold: so many in a row open it.
    package static func after(
        _ outcome: Outcome, in state: BreakerState, timeouts: Int, threshold: Int, errorResets: Bool
    ) -> BreakerStep {
        switch (state, outcome) {
        case (.halfOpen, .timeout): .opens
        case (.halfOpen, .ok): .closes
        case (.halfOpen, _): .stays
        case (_, .timeout): timeouts < threshold - 1 ? .counts(timeouts + 1) : .opens
        case (_, .ok): .counts(0)
        case (_, .error): errorResets ? .counts(0) : .stays
        case (_, .rejected): .stays
        }
    }
}
