package import PrometheusText

/// What of the derivations is shown, as of one moment: a copy that costs a few retains, and leaves out what waits for a verdict and all that
/// is remembered for spans to come. For while a copy lives, the writer copies each array of it before it changes that.
package struct DerivationView: Sendable {
    let policy: FusePolicy
    let rules: BreakerRules
    let counters: CounterTable
    let presence: PresenceTable
    let book: BreakerBook
    let time: SettleClock
    /// Observations that wait for older ones, and calls that wait for their relatives.
    package let pendingObservations: Int

    /// How many spans ever came.
    package var arrivals: Int64 { time.arrivals }
}

extension SpanDerivations {
    /// All that is shown of it now.
    package var view: DerivationView {
        DerivationView(
            policy: policy, rules: rules, counters: counters, presence: presence, book: book, time: time,
            pendingObservations: pendingObservations)
    }

    /// Every family that `DerivationView.collect` may give, without samples.
    package static var declaredFamilies: [MetricFamily] {
        SpanDerivations(policy: FusePolicy()).view.everyFamily(at: 0).map(\.declaration)
    }
}
