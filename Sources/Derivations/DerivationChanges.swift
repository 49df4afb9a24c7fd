package import TelemetryModel

/// All that the derivations keep in the store, as it was read back. The order of the rows does not matter.
package struct DerivationSnapshot: Equatable, Sendable {
    package var counters: [CounterRow]
    package var labels: [LabelRow]
    package var states: [StateRow]

    package init(counters: [CounterRow] = [], labels: [LabelRow] = [], states: [StateRow] = []) {
        self.counters = counters
        self.labels = labels
        self.states = states
    }
}

/// What changed since the last take: to be written, whole, in the transaction that stores the spans it comes from.
package struct DerivationChanges: Equatable, Sendable {
    /// What names a state row.
    package struct StateKey: Hashable, Sendable {
        package var kind: String
        @ByBytes package var key: String

        package init(kind: String, key: String) {
            self.kind = kind
            self.key = key
        }
    }

    /// Rows to insert.
    package var counters: [CounterRow] = []
    /// New values of rows that were inserted before.
    package var counterValues: [CounterValue] = []
    /// Rows to insert.
    package var labels: [LabelRow] = []
    /// Rows to insert or to replace, by kind and key; no key is also in `removedStates`.
    package var states: [StateRow] = []
    package var removedStates: [StateKey] = []
    /// Edges of breakers, in the order in which they were applied.
    package var transitions: [BreakerTransitionRow] = []
    /// Openings of breakers that began, went on or ended, to insert or to replace, in this order.
    package var openings: [BreakerOpening] = []

    package init() {}

    package var isEmpty: Bool {
        counters.isEmpty && counterValues.isEmpty && labels.isEmpty && states.isEmpty && removedStates.isEmpty && transitions.isEmpty
            && openings.isEmpty
    }
}
