/// The last figures of something.
package struct RecentFigures: Equatable, Sendable {
    package static let countMax = 50

    private var values: [Double] = []
    private var next = 0

    package init() {}

    package var count: Int { values.count }
    /// 0 without figures.
    package var mean: Double { values.reduce(0, +) / Double(max(values.count, 1)) }

    package mutating func add(_ value: Double) {
        if values.count < Self.countMax {
            values.append(value)
        } else {
            values[next] = value
            next = (next + 1) % Self.countMax
        }
    }

    /// The smallest figure that so large a part of them, from 0 up to 1, does not exceed; `nil` without figures.
    package func quantile(_ share: Double) -> Double? {
        let sorted = values.sorted()
        return sorted.isEmpty ? nil : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}
