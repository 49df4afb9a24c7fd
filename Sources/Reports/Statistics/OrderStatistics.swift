/// Percentiles by rank, and the ranks between which the true one lies with a confidence of at least 95 %.
package enum OrderStatistics {
    /// Below this many values no 95 % bound on a p95 exists: 0.95^59 < 0.05 ≤ 0.95^58.
    package static let p95CountMin = 59

    /// The value at rank ⌈p·n⌉ of sorted values.
    package static func nearestRank<Value>(_ sorted: [Value], _ fraction: Double) -> Value? {
        guard !sorted.isEmpty else { return nil }
        return sorted[min(sorted.count, max(1, rank(sorted.count, fraction))) - 1]
    }

    /// ⌈p·n⌉, kept from slipping over an integer by rounding.
    package static func rank(_ count: Int, _ fraction: Double) -> Int {
        Int((fraction * Double(count) - 1e-9).rounded(.up))
    }

    /// Ranks (lower, upper), from 1, of a two-sided interval for a quantile: the binomial distribution gives at most 2.5 % to each
    /// side. `nil` where there are too few values for it.
    package static func interval(_ count: Int, _ fraction: Double) -> (lower: Int, upper: Int)? {
        let tail = 0.025
        // P(B ≤ l − 1) ≤ tail, with the largest such l; P(B ≥ u) ≤ tail, with the smallest such u.
        let cumulative = binomialCumulative(count, fraction)
        guard let first = cumulative.first, first <= tail else { return nil }
        let lower = (cumulative.lastIndex { $0 <= tail } ?? 0) + 1
        guard let index = cumulative.firstIndex(where: { 1 - $0 <= tail }), index + 1 <= count else { return nil }
        return (lower, index + 1)
    }

    /// P(B ≤ k) for k = 0...n, B binomial. From the largest term outwards, so that nothing underflows.
    private static func binomialCumulative(_ count: Int, _ fraction: Double) -> [Double] {
        guard count > 0, fraction > 0, fraction < 1 else { return [] }
        let odds = fraction / (1 - fraction)
        let mode = min(count, Int(Double(count + 1) * fraction))
        var terms = [Double](repeating: 0, count: count + 1)
        terms[mode] = 1
        var index = mode
        while index < count && terms[index] > 0 {
            terms[index + 1] = terms[index] * Double(count - index) / Double(index + 1) * odds
            index += 1
        }
        index = mode
        while index > 0 && terms[index] > 0 {
            terms[index - 1] = terms[index] * Double(index) / (Double(count - index + 1) * odds)
            index -= 1
        }
        let sum = terms.reduce(0, +)
        var running = 0.0
        return terms.map { term in
            running += term / sum
            return running
        }
    }
}

/// A percentile of durations with its interval.
package struct Percentile: Equatable, Sendable {
    package var count: Int
    /// Nanoseconds; `nil` without values.
    package var value: Int64?
    package var lower: Int64?
    package var upper: Int64?

    /// Of values in ascending order.
    package init(ofSorted sorted: [Int64], _ fraction: Double) {
        count = sorted.count
        value = OrderStatistics.nearestRank(sorted, fraction)
        if let ranks = OrderStatistics.interval(sorted.count, fraction) {
            lower = sorted[ranks.lower - 1]
            upper = sorted[ranks.upper - 1]
        }
    }
}
