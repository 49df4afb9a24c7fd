import TelemetryModel

/// Bootstrap of the difference of a percentile between two samples. Latencies of neighbouring runs are alike, so whole blocks of
/// time are drawn, not single runs.
package struct BlockBootstrap: Sendable {
    /// A sample whose runs lie in blocks.
    package struct Sample: Sendable {
        /// Values in ascending order with the block of each.
        fileprivate var sorted: [(value: Int64, block: Int32)]
        fileprivate var sizes: [Int]

        package var count: Int { sorted.count }
        package var blockCount: Int { sizes.count }

        /// - Parameter blocks: the values of each block.
        package init(blocks: [[Int64]]) {
            sizes = blocks.map(\.count)
            sorted = blocks.enumerated().flatMap { index, values in values.map { ($0, Int32(index)) } }
                .sorted { ($0.value, $0.block) < ($1.value, $1.block) }
        }

        package func percentile(_ fraction: Double) -> Int64? {
            OrderStatistics.nearestRank(sorted, fraction)?.value
        }

        /// The percentile of the sample in which block i stands `weights[i]` times.
        fileprivate func percentile(_ fraction: Double, weights: [Int]) -> Int64 {
            var total = 0
            for (size, weight) in zip(sizes, weights) { total += size * weight }
            // From the top: that is the short way for a p95.
            var above = total - OrderStatistics.rank(total, fraction)
            for entry in sorted.reversed() {
                above -= weights[Int(entry.block)]
                if above < 0 { return entry.value }
            }
            return sorted.first?.value ?? 0
        }
    }

    /// Runs of a minute go together; blocks with fewer runs join the next one.
    package enum Limits {
        package static let blockNanoseconds: Int64 = 60_000_000_000
        package static let runsPerBlockMin = 30
        /// With fewer blocks the draws say nothing.
        package static let blocksMin = 6
    }

    package let replicates: Int
    private var generator: SeededGenerator

    package init(replicates: Int = 10_000, seed: UInt64) {
        self.replicates = replicates
        generator = SeededGenerator(seed: seed)
    }

    /// The blocks of runs in the order of their ends.
    package static func blocks(_ runs: [(endUnixNano: Int64, duration: Int64)]) -> [[Int64]] {
        blockRanges(runs.map(\.endUnixNano)).map { range in range.map { runs[$0].duration } }
    }

    /// Ranges of positions, of at least a minute and at least 30 runs each; the rest joins the last one.
    package static func blockRanges(_ endsUnixNano: [Int64]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start = 0
        for index in endsUnixNano.indices {
            let isLongEnough = endsUnixNano[index].subtractingSaturated(endsUnixNano[start]) >= Limits.blockNanoseconds
            if isLongEnough && index - start >= Limits.runsPerBlockMin {
                ranges.append(start..<index)
                start = index
            }
        }
        guard start < endsUnixNano.count else { return ranges }
        if endsUnixNano.count - start >= Limits.runsPerBlockMin || ranges.isEmpty {
            ranges.append(start..<endsUnixNano.count)
        } else {
            ranges[ranges.count - 1] = ranges[ranges.count - 1].lowerBound..<endsUnixNano.count
        }
        return ranges
    }

    private mutating func weights(_ count: Int) -> [Int] {
        var weights = [Int](repeating: 0, count: count)
        for _ in 0..<count { weights[Int.random(in: 0..<count, using: &generator)] += 1 }
        return weights
    }

    /// Differences B − A of a percentile over the replicates, in ascending order.
    ///
    /// - Parameter isPaired: the blocks of both hold the same items, so both get the same draws.
    package mutating func differences(_ first: Sample, _ second: Sample, _ fraction: Double, isPaired: Bool) -> [Int64] {
        guard first.count > 0, second.count > 0 else { return [] }
        var differences: [Int64] = []
        differences.reserveCapacity(replicates)
        for _ in 0..<replicates {
            let drawn = weights(first.blockCount)
            let other = isPaired && first.blockCount == second.blockCount ? drawn : weights(second.blockCount)
            differences.append(second.percentile(fraction, weights: other) - first.percentile(fraction, weights: drawn))
        }
        return differences.sorted()
    }
}

/// What a comparison of one percentile says.
package struct Comparison: Sendable {
    package enum Finding: String, Sendable {
        case differs
        case equivalent
        case notResolved = "not resolved"
    }

    package var fraction: Double
    package var first: Percentile
    package var second: Percentile
    /// B − A, nanoseconds.
    package var difference: Int64
    /// At the level that Holm's rule gives this percentile among the others.
    package var lower: Int64
    package var upper: Int64
    /// What counts as a difference: 100 ms, or 5 % of A if that is more.
    package var margin: Int64
    package var finding: Finding
    /// Why it is not resolved; empty otherwise.
    package var reason = ""

    /// A claim needs this many runs on each side.
    package static let countMin = 200

    /// Compares percentiles of two samples, several at once by Holm's rule: the clearest one is held to the strictest level.
    package static func compare(
        _ first: BlockBootstrap.Sample, _ second: BlockBootstrap.Sample, fractions: [Double], isPaired: Bool,
        bootstrap: inout BlockBootstrap
    ) -> [Comparison] {
        var entries: [(index: Int, differences: [Int64], p: Double)] = []
        for (index, fraction) in fractions.enumerated() {
            let differences = bootstrap.differences(first, second, fraction, isPaired: isPaired)
            let below = differences.reduce(0) { $0 + ($1 <= 0 ? 1 : 0) }
            let above = differences.reduce(0) { $0 + ($1 >= 0 ? 1 : 0) }
            let p = differences.isEmpty ? 1 : min(1, 2 * Double(min(below, above)) / Double(differences.count))
            entries.append((index, differences, p))
        }
        var results: [Int: Comparison] = [:]
        var isOpen = true
        for (place, entry) in entries.sorted(by: { ($0.p, $0.index) < ($1.p, $1.index) }).enumerated() {
            let level = 0.05 / Double(fractions.count - place)
            let comparison = judge(first, second, fractions[entry.index], entry.differences, level: level, mayDiffer: isOpen)
            // Once one is not told apart, those behind it are not either.
            if comparison.lower <= 0 && comparison.upper >= 0 { isOpen = false }
            results[entry.index] = comparison
        }
        return fractions.indices.compactMap { results[$0] }
    }

    private static func judge(
        _ first: BlockBootstrap.Sample, _ second: BlockBootstrap.Sample, _ fraction: Double, _ differences: [Int64], level: Double,
        mayDiffer: Bool
    ) -> Comparison {
        let a = first.percentile(fraction) ?? 0
        let b = second.percentile(fraction) ?? 0
        let lower = OrderStatistics.nearestRank(differences, level / 2) ?? 0
        let upper = OrderStatistics.nearestRank(differences, 1 - level / 2) ?? 0
        let margin = max(100_000_000, a / 20)
        var comparison = Comparison(
            fraction: fraction, first: Percentile(ofSorted: first.values, fraction), second: Percentile(ofSorted: second.values, fraction),
            difference: b.subtractingSaturated(a), lower: lower, upper: upper, margin: margin, finding: .notResolved)
        let blocks = min(first.blockCount, second.blockCount)
        if min(first.count, second.count) < countMin {
            comparison.reason = "n=\(first.count) and \(second.count); a claim needs \(countMin) runs on each side"
        } else if blocks < BlockBootstrap.Limits.blocksMin {
            comparison.reason =
                "n=\(first.count) and \(second.count), in \(blocks) blocks of a minute; a claim needs \(BlockBootstrap.Limits.blocksMin)"
        } else if mayDiffer && (lower > 0 || upper < 0) && comparison.difference.magnitude >= margin.magnitude {
            comparison.finding = .differs
        } else if lower > -margin && upper < margin {
            comparison.finding = .equivalent
        } else {
            comparison.reason = "n=\(first.count) and \(second.count)"
        }
        return comparison
    }
}

extension BlockBootstrap.Sample {
    /// In ascending order.
    package var values: [Int64] { sorted.map(\.value) }
}
