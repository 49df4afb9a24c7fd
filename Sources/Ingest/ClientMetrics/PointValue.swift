import PrometheusText
import TelemetryModel

/// Arithmetic on clients' values: what leaves a type's range stops at its end.
extension MetricPoint.Value {
    /// Whether a series of that kind can have the value: counters do not fall and are numbers, and what is added up is finite.
    func isPossible(_ kind: MetricPoint.Kind, isDelta: Bool) -> Bool {
        switch (kind, self) {
        case (.gauge, .integer), (.histogram, .buckets): true
        case (.gauge, .number(let value)): !isDelta || value.isFinite
        case (.counter, .integer(let value)): value >= 0
        case (.counter, .number(let value)): isDelta ? value >= 0 && value.isFinite : value >= 0
        default: false
        }
    }

    /// What was and what came since; of histograms with other bounds, what came since.
    func adding(_ new: MetricPoint.Value) -> MetricPoint.Value {
        switch (self, new) {
        case (.integer(let old), .integer(let new)):
            let (sum, overflow) = old.addingReportingOverflow(new)
            return overflow ? .number(Double(old) + Double(new)) : .integer(sum)
        case (.integer(let old), .number(let new)): return .finite(Double(old) + new)
        case (.number(let old), .integer(let new)): return .finite(old + Double(new))
        case (.number(let old), .number(let new)): return .finite(old + new)
        case (.buckets(let oldBounds, let oldCounts, let oldSum), .buckets(let bounds, let counts, let newSum)):
            guard oldBounds == bounds else { return new }
            let sums = zip(oldCounts, counts).map { left, right in
                let (sum, overflow) = left.addingReportingOverflow(right)
                return overflow ? UInt64.max : sum
            }
            // A part that is not known, or no number, leaves the whole unknown.
            let sum = oldSum.flatMap { old in newSum.map { old + $0 } }
            return .buckets(bounds: bounds, counts: sums, sum: sum.flatMap { $0.isFinite ? $0 : nil })
        default: return new
        }
    }

    private static func finite(_ value: Double) -> MetricPoint.Value {
        .number(min(max(value, -.greatestFiniteMagnitude), .greatestFiniteMagnitude))
    }

    /// Lines of the exposition.
    var lines: Int {
        switch self {
        case .integer, .number: 1
        case .buckets(_, let counts, _): counts.count + 2
        }
    }

    var prometheus: MetricFamily.Value {
        switch self {
        case .integer(let value): .integer(value)
        case .number(let value): .double(value)
        case .buckets(let bounds, let counts, let sum):
            .histogram(.init(bounds: bounds, counts: counts.map { Int64(clamping: $0) }, sum: sum))
        }
    }
}

extension MetricPoint.Kind {
    var prometheus: MetricFamily.Kind {
        switch self {
        case .gauge: .gauge
        case .counter: .counter
        case .histogram: .histogram
        }
    }
}
