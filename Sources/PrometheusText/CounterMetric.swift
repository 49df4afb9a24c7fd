import Synchronization

/// One count that only grows. Increments are a single atomic addition.
package final class CounterCell: Sendable {
    private let count = Atomic<Int64>(0)

    package init() {}

    /// Adds `amount`, which must not be negative.
    package func increment(by amount: Int64 = 1) {
        precondition(amount >= 0)
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    /// The count as it is now.
    package var value: Int64 { count.load(ordering: .relaxed) }
}

/// A counter without labels.
package final class CounterMetric: MetricSource {
    private let name: String
    private let help: String
    private let unit: MetricFamily.Unit?
    private let cell = CounterCell()

    /// `name` ends in `_total`, behind the unit if there is one.
    package init(_ name: String, help: String, unit: MetricFamily.Unit? = nil) {
        self.name = name
        self.help = help
        self.unit = unit
    }

    /// Adds `amount`, which must not be negative.
    package func increment(by amount: Int64 = 1) {
        cell.increment(by: amount)
    }

    /// The count as it is now.
    package var value: Int64 { cell.value }

    package func family() -> MetricFamily {
        MetricFamily(name: name, help: help, kind: .counter, unit: unit, samples: [.init(value: .integer(cell.value))])
    }
}

/// A counter with labels, whose sets of values are bounded: past `labelSetsMax` they count under `__overflow__`.
package final class LabeledCounterMetric: MetricSource {
    private let name: String
    private let help: String
    private let unit: MetricFamily.Unit?
    private let cells: LabelSets<CounterCell>

    /// `name` ends in `_total`, behind the unit if there is one. `labels` are the label names in their order.
    package init(_ name: String, help: String, unit: MetricFamily.Unit? = nil, labels: [String], labelSetsMax: Int) {
        self.name = name
        self.help = help
        self.unit = unit
        cells = LabelSets(names: labels, setsMax: labelSetsMax) { CounterCell() }
    }

    /// The count of one set of label values. It shows at zero from now on; keep it to count without a look-up.
    @discardableResult
    package func cell(_ values: String...) -> CounterCell {
        cells.cell(values)
    }

    /// Adds `amount`, which must not be negative, to the count of one set of label values.
    package func increment(_ values: String..., by amount: Int64 = 1) {
        cells.cell(values).increment(by: amount)
    }

    /// The counts of all sets of label values together.
    package var total: Int64 { cells.rendered().reduce(0) { $0 + $1.cell.value } }

    package func family() -> MetricFamily {
        MetricFamily(
            name: name, help: help, kind: .counter, unit: unit,
            samples: cells.rendered().map { .init(labels: $0.labels, value: .integer($0.cell.value)) })
    }
}
