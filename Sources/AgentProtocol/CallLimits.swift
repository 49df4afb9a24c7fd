import Synchronization

/// How many tool calls are answered: so many at a time, and so many a second, whoever asks. An agent in a loop is told to wait, and the
/// page, Grafana and the ingest keep the rest of the machine.
package final class CallLimits: Sendable {
    package struct Rates: Sendable {
        /// Calls that are worked on at the same time; half of the reading threads.
        package var concurrent = 2
        /// Calls that are answered at once after a pause.
        package var burst = 60.0
        /// Calls a second after that.
        package var perSecond = 20.0

        package init() {}
    }

    private struct State {
        var running = 0
        var tokens: Double
        var filledAt: ContinuousClock.Instant?
    }

    private let rates: Rates
    private let state: Mutex<State>

    package init(_ rates: Rates = Rates()) {
        self.rates = rates
        state = Mutex(State(tokens: rates.burst))
    }

    /// Takes a place for a call, or says why there is none.
    package func enter(at now: ContinuousClock.Instant) -> String? {
        state.withLock { state in
            let elapsed = state.filledAt.map { $0.duration(to: now) / .seconds(1) } ?? 0
            state.tokens = min(rates.burst, state.tokens + max(0, elapsed) * rates.perSecond)
            state.filledAt = now
            guard state.running < rates.concurrent else {
                return "\(rates.concurrent) calls are being answered already; wait for one of yours to end, then ask again"
            }
            guard state.tokens >= 1 else {
                return "more than \(Int(rates.perSecond)) calls a second; wait a second, and ask for more at once: a larger limit, or one "
                    + "query_sql instead of many calls"
            }
            state.tokens -= 1
            state.running += 1
            return nil
        }
    }

    /// Gives the place of a call back.
    package func leave() {
        state.withLock { $0.running -= 1 }
    }
}
