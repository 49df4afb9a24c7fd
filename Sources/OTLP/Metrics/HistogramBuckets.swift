import TelemetryModel

/// The buckets of a histogram as Prometheus takes them.
enum HistogramBuckets {
    /// Equal bounds become one, and infinity is the last bucket that every histogram has: their counts go together, so that the
    /// cumulative ones stay what they were. Bounds that do not ascend, or do not fit the counts, leave the count alone.
    static func value(_ bounds: [Double], _ counts: [UInt64], count: UInt64, sum: Double?) -> MetricPoint.Value {
        let ascends = !bounds.contains(where: \.isNaN) && zip(bounds, bounds.dropFirst()).allSatisfy(<=)
        guard ascends, counts.count == bounds.count + 1 else { return .buckets(bounds: [], counts: [count], sum: sum) }
        var result: (bounds: [Double], counts: [UInt64]) = ([], [])
        var above: UInt64 = 0
        for (index, count) in counts.enumerated() {
            if index == bounds.count || bounds[index] == .infinity {
                above = Self.sum(above, count)
            } else if let last = result.bounds.indices.last, result.bounds[last] == bounds[index] {
                result.counts[last] = Self.sum(result.counts[last], count)
            } else {
                result.bounds.append(bounds[index])
                result.counts.append(count)
            }
        }
        return .buckets(bounds: result.bounds, counts: result.counts + [above], sum: sum)
    }

    /// The sum, or the largest number.
    static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}

/// One side of an exponential histogram, which is brought to bounds at powers of two.
struct ExponentialBuckets {
    /// Bounds from 2^-30 to 2^40: nanoseconds to terabytes.
    private static let exponents = -30...40

    var offset: Int32 = 0
    var counts: [UInt64] = []

    func value(scale: Int32, atMostZero: UInt64, sum: Double?) -> MetricPoint.Value {
        // Bucket 0 counts what is not above zero, bucket i what is at most 2^(exponents.lowerBound + i - 1), the last all above.
        var buckets = [UInt64](repeating: 0, count: Self.exponents.count + 2)
        buckets[0] = atMostZero
        for (index, count) in counts.enumerated() where count > 0 {
            let exponent = Self.exponent(Int(offset) + index, scale: scale)
            let place = min(max(exponent, Self.exponents.lowerBound), Self.exponents.upperBound + 1) - Self.exponents.lowerBound + 1
            buckets[place] = HistogramBuckets.sum(buckets[place], count)
        }
        var bounds = [0.0]
        for exponent in Self.exponents { bounds.append(Double(sign: .plus, exponent: exponent, significand: 1)) }
        return .buckets(bounds: bounds, counts: buckets, sum: sum)
    }

    /// The power of two that a bucket's upper bound, base^(index + 1) with base 2^(2^-scale), is at most.
    private static func exponent(_ index: Int, scale: Int32) -> Int {
        if scale >= 0 { return (index >> Int(min(scale, 62))) + 1 }
        let shift = Int(min(-Int64(scale), 32))
        let (product, overflow) = (index + 1).multipliedReportingOverflow(by: 1 << shift)
        return overflow ? (index < 0 ? Int.min : Int.max) : product
    }
}
