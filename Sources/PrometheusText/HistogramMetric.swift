import Synchronization

/// The counts of one histogram behind a lock, so that a scrape sees buckets and sum of the same moment.
package final class HistogramCell: Sendable {
    private let state: Mutex<MetricFamily.Histogram>

    /// `bounds` are inclusive upper bounds, finite and ascending.
    package init(bounds: [Double]) {
        precondition(bounds.allSatisfy(\.isFinite) && zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 })
        state = Mutex(.init(bounds: bounds, counts: [Int64](repeating: 0, count: bounds.count + 1), sum: 0))
    }

    /// Counts a value; NaN is ignored. Linear in the number of bounds.
    package func record(_ value: Double) {
        state.withLock { histogram in
            guard let bucket = histogram.bucket(of: value) else { return }
            histogram.counts[bucket] &+= 1
            histogram.sum = (histogram.sum ?? 0) + value
        }
    }

    /// Counts a duration in seconds.
    package func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        record(Double(seconds) + Double(attoseconds) / 1e18)
    }

    /// The counts as they are now.
    package var value: MetricFamily.Histogram { state.withLock { $0 } }
}

/// A histogram without labels.
package final class HistogramMetric: MetricSource {
    private let name: String
    private let help: String
    private let unit: MetricFamily.Unit?
    private let cell: HistogramCell

    /// `bounds` are inclusive upper bounds, finite and ascending.
    package init(_ name: String, help: String, unit: MetricFamily.Unit? = nil, bounds: [Double]) {
        self.name = name
        self.help = help
        self.unit = unit
        cell = HistogramCell(bounds: bounds)
    }

    /// Counts a value; NaN is ignored.
    package func record(_ value: Double) {
        cell.record(value)
    }

    /// Counts a duration in seconds.
    package func record(_ duration: Duration) {
        cell.record(duration)
    }

    package func family() -> MetricFamily {
        MetricFamily(name: name, help: help, kind: .histogram, unit: unit, samples: [.init(value: .histogram(cell.value))])
    }
}

/// A histogram with labels, whose sets of values are bounded: past `labelSetsMax` they count under `__overflow__`.
package final class LabeledHistogramMetric: MetricSource {
    private let name: String
    private let help: String
    private let unit: MetricFamily.Unit?
    private let cells: LabelSets<HistogramCell>

    /// `labels` are the label names in their order; `bounds` are inclusive upper bounds, finite and ascending.
    package init(
        _ name: String, help: String, unit: MetricFamily.Unit? = nil, bounds: [Double], labels: [String], labelSetsMax: Int
    ) {
        self.name = name
        self.help = help
        self.unit = unit
        cells = LabelSets(names: labels, setsMax: labelSetsMax) { HistogramCell(bounds: bounds) }
    }

    /// The counts of one set of label values. They show at zero from now on; keep the cell to record without a look-up.
    @discardableResult
    package func cell(_ values: String...) -> HistogramCell {
        cells.cell(values)
    }

    package func family() -> MetricFamily {
        MetricFamily(
            name: name, help: help, kind: .histogram, unit: unit,
            samples: cells.rendered().map { .init(labels: $0.labels, value: .histogram($0.cell.value)) })
    }
}

/// Bucket bounds that several metrics share.
package enum HistogramBounds {
    /// 5 ms to 10 s: requests and commits.
    package static let latencySeconds: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
}
