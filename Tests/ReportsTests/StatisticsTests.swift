import Foundation
import TelemetryModel
import Testing

@testable import Reports

@Suite struct OrderStatisticsTests {
    @Test(arguments: [(100, 90, 100), (200, 184, 197), (500, 465, 485), (1000, 936, 964), (72, 64, 72)])
    func ranksOfTheIntervalOfAP95(count: Int, lower: Int, upper: Int) throws {
        let ranks = try #require(OrderStatistics.interval(count, 0.95))
        #expect(ranks.lower == lower && ranks.upper == upper)
    }

    @Test func anIntervalOfAP95NeedsSeventyTwoValues() {
        for count in 0..<72 { #expect(OrderStatistics.interval(count, 0.95) == nil, "\(count)") }
    }

    @Test func theNearestRankIsTheCeiling() {
        #expect([1, 19, 20, 21, 100, 1000].map { OrderStatistics.rank($0, 0.95) } == [1, 19, 19, 20, 95, 950])
        #expect(OrderStatistics.nearestRank([Int](), 0.95) == nil)
        #expect(OrderStatistics.nearestRank([7], 0.95) == 7)
    }

    /// Lognormal latencies: how often the interval holds the true p95. At n = 200 the ranks promise at least 95 %.
    @Test(arguments: [100, 200, 500]) func theIntervalHoldsTheTruePercentile(count: Int) throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let truth = exp(0.6 * 1.6448536269514722)
        let ranks = try #require(OrderStatistics.interval(count, 0.95))
        var held = 0
        let repetitions = 4000
        for _ in 0..<repetitions {
            let values = (0..<count).map { _ in lognormal(0.6, &generator) }.sorted()
            if values[ranks.lower - 1] <= truth && truth <= values[ranks.upper - 1] { held += 1 }
        }
        let coverage = Double(held) / Double(repetitions)
        #expect((0.94...0.99).contains(coverage), "\(coverage)")
    }
}

private func lognormal(_ sigma: Double, _ generator: inout SeededGenerator) -> Double {
    exp(sigma * normal(&generator))
}

private func normal(_ generator: inout SeededGenerator) -> Double {
    let radius = sqrt(-2 * log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &generator)))
    return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &generator))
}

@Suite struct BlockBootstrapTests {
    private func sample(_ count: Int, scale: Double, _ generator: inout SeededGenerator, autocorrelation: Double = 0) -> [[Int64]] {
        var last = normal(&generator)
        let step = sqrt(1 - autocorrelation * autocorrelation)
        let runs = (0..<count).map { index -> (endUnixNano: Int64, duration: Int64) in
            last = autocorrelation * last + step * normal(&generator)
            return (Int64(index) * 2_000_000_000, Int64(scale * 1e9 * exp(0.6 * last)))
        }
        return BlockBootstrap.blocks(runs)
    }

    @Test func blocksHaveAMinuteAndThirtyRunsAndLoseNone() {
        let runs = (0..<500).map { (endUnixNano: Int64($0) * 1_000_000_000, duration: Int64($0)) }
        let blocks = BlockBootstrap.blocks(runs)
        #expect(blocks.dropLast().allSatisfy { $0.count == 60 })
        #expect(blocks.flatMap { $0 } == (0..<500).map(Int64.init))
        let slow = BlockBootstrap.blocks((0..<100).map { (endUnixNano: Int64($0) * 30_000_000_000, duration: 1) })
        #expect(slow.map(\.count) == [30, 30, 40])
        #expect(BlockBootstrap.blocks([]).isEmpty)
    }

    @Test func theSameSeedGivesTheSameDraws() {
        var generator = SeededGenerator(seed: 1)
        let a = BlockBootstrap.Sample(blocks: sample(300, scale: 1, &generator))
        let b = BlockBootstrap.Sample(blocks: sample(300, scale: 1.2, &generator))
        var first = BlockBootstrap(replicates: 200, seed: 9)
        var second = BlockBootstrap(replicates: 200, seed: 9)
        #expect(first.differences(a, b, 0.95, isPaired: false) == second.differences(a, b, 0.95, isPaired: false))
    }

    /// The promised 95 % of the difference's interval, independent latencies: within three points, or wider.
    @Test func theIntervalOfTheDifferenceHoldsTheTruth() {
        var generator = SeededGenerator(seed: 5)
        var held = 0
        let repetitions = 300
        for repetition in 0..<repetitions {
            let a = BlockBootstrap.Sample(blocks: sample(600, scale: 1, &generator))
            let b = BlockBootstrap.Sample(blocks: sample(600, scale: 1, &generator))
            var bootstrap = BlockBootstrap(replicates: 400, seed: UInt64(repetition))
            let differences = bootstrap.differences(a, b, 0.95, isPaired: false)
            if differences[9] <= 0 && 0 <= differences[389] { held += 1 }
        }
        let coverage = Double(held) / Double(repetitions)
        #expect((0.92...0.99).contains(coverage), "\(coverage)")
    }

    private func finding(_ scale: Double, count: Int = 600) -> [Comparison] {
        var generator = SeededGenerator(seed: 3)
        let a = BlockBootstrap.Sample(blocks: sample(count, scale: 1, &generator))
        let b = BlockBootstrap.Sample(blocks: sample(count, scale: scale, &generator))
        var bootstrap = BlockBootstrap(replicates: 1000, seed: 4)
        return Comparison.compare(a, b, fractions: [0.5, 0.95], isPaired: false, bootstrap: &bootstrap)
    }

    @Test func aDoubledLatencyDiffers() {
        #expect(finding(2).map(\.finding) == [.differs, .differs])
    }

    @Test func tooFewRunsResolveNothing() {
        let comparisons = finding(3, count: 100)
        #expect(comparisons.map(\.finding) == [.notResolved, .notResolved])
        #expect(comparisons[1].reason.contains("n=100"))
    }

    @Test func theSameSampleIsEquivalent() {
        var generator = SeededGenerator(seed: 3)
        let a = BlockBootstrap.Sample(blocks: sample(3000, scale: 0.01, &generator))
        var bootstrap = BlockBootstrap(replicates: 500, seed: 4)
        let comparisons = Comparison.compare(a, a, fractions: [0.95], isPaired: true, bootstrap: &bootstrap)
        #expect(comparisons.map(\.finding) == [.equivalent])
        #expect(comparisons[0].difference == 0 && comparisons[0].lower == 0 && comparisons[0].upper == 0)
    }
}

@Suite struct IntervalSweepTests {
    private func interval(_ start: Int64, _ end: Int64) -> IntervalSweep.Interval {
        IntervalSweep.Interval(start * 1_000_000_000, end * 1_000_000_000)
    }

    /// metrics.md 4.2's worked example: 80 s idle, 2.667 GPU minutes of two GPUs, 0.0533 USD at 2.40 an hour, 40 s a tool.
    @Test func idleSecondsOfTheWorkedExample() {
        let idle = IntervalSweep.idle(
            slow: [("A", interval(50, 130)), ("B", interval(120, 200))],
            busy: [interval(0, 60), interval(100, 160), interval(300, 420)], from: 0, until: 600_000_000_000)
        #expect(idle.nanoseconds == 80_000_000_000)
        #expect(idle.byName == ["A": 40e9, "B": 40e9])
        #expect(DecimalText.rounded(80.0 / 60 * 2, digits: 3) == "2.667")
        #expect(DecimalText.rounded(80.0 / 3600 * 2.40, digits: 4) == "0.0533")
    }

    @Test func theToolsAddUpToTheWhole() {
        var generator = SeededGenerator(seed: 8)
        for _ in 0..<50 {
            func random() -> IntervalSweep.Interval {
                let start = Int64.random(in: -10..<100, using: &generator)
                return IntervalSweep.Interval(start, start + Int64.random(in: 0..<30, using: &generator))
            }
            let slow = (0..<10).map { (name: "t\($0 % 3)", interval: random()) }
            let busy = (0..<5).map { _ in random() }
            let idle = IntervalSweep.idle(slow: slow, busy: busy, from: 0, until: 90)
            let covered = (0..<90).filter { time in
                slow.contains { $0.interval.start <= time && time < $0.interval.end }
                    && !busy.contains { $0.start <= time && time < $0.end }
            }
            #expect(idle.nanoseconds == Int64(covered.count))
            #expect(abs(idle.byName.values.reduce(0, +) - Double(idle.nanoseconds)) < 1e-6)
        }
    }

    @Test func holesAreWhatNobodyCovers() {
        #expect(
            IntervalSweep.holes([.init(2, 4), .init(3, 5), .init(7, 20)], from: 0, until: 10) == [.init(0, 2), .init(5, 7)])
        #expect(IntervalSweep.holes([], from: 0, until: 10) == [.init(0, 10)])
    }
}

@Suite struct TextTests {
    @Test func hashesAsTheStandardSays() {
        #expect(SHA256.hexadecimal(of: []) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(SHA256.hexadecimal(of: Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let long = Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)
        #expect(SHA256.hexadecimal(of: long) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        var pieces = SHA256()
        for _ in 0..<1000 { pieces.update([UInt8](repeating: 0x61, count: 1000)) }
        #expect(pieces.hexadecimal() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func numbersAreRoundedHalfAwayFromZero() {
        #expect(DecimalText.rounded(5.89117, digits: 4) == "5.8912")
        #expect(DecimalText.rounded(-0.5, digits: 0) == "-1")
        #expect(DecimalText.rounded(100, digits: 3) == "100")
        #expect(DecimalText.rounded(0.0004, digits: 3) == "0")
        #expect(DecimalText.rounded(.nan, digits: 3) == "–")
    }

    /// RFC 8785, appendix B: numbers as ECMAScript writes them.
    @Test func canonicalJSON() throws {
        let text = #"{"b":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"a":"\u20ac$\u000F\nA'B\"\\","10":null}"#
        let value = try JSONValue.parse(Array(text.utf8)[...])
        #expect(value.canonical == #"{"10":null,"a":"€$\u000f\nA'B\"\\","b":[333333333.3333333,1e+30,4.5,0.002,1e-27]}"#)
        for (number, text) in [
            (1e21, "1e+21"), (1e20, "100000000000000000000"), (0.000001, "0.000001"), (0.0000001, "1e-7"), (-0.0, "0"), (123.456, "123.456"),
        ] {
            #expect(JSONValue.double(number).canonical == text)
        }
    }
}
