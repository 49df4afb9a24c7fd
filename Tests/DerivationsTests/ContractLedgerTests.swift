import TelemetryTesting
import Testing

@testable import Derivations

/// What is remembered of loops in chunks is what a look at each run and call one by one gives.
@Suite struct ContractLedgerTests {
    private struct Run {
        var start, end, limit: Int64
        var number: Int
        var isCounted: Bool
    }

    /// Starts that are often the same, and now and then a run as long as all of them.
    private static func interval(_ random: inout SplitMix64) -> (start: Int64, end: Int64) {
        let start = Int64.random(in: 0..<4_000, using: &random)
        let length = Int.random(in: 0..<20, using: &random) == 0 ? 4_000 : Int64.random(in: 1..<60, using: &random)
        return (start, start + length)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func depthsAndBreachesAreThoseOfEachRun(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var ledger = ConcurrencyLedger()
        var runs: [Run] = []
        func depth(_ run: Run) -> Int64 { Int64(runs.count { $0.start <= run.start && run.start < $0.end }) }
        for number in 0..<1_500 {
            if runs.count > 900 || Int.random(in: 0..<8, using: &random) == 0, !runs.isEmpty {
                let gone = runs.remove(at: Int.random(in: 0..<runs.count, using: &random))
                ledger.remove(start: gone.start, end: gone.end, number: gone.number)
                continue
            }
            let (start, end) = Self.interval(&random)
            let limit = Bool.random(using: &random) ? Int64.max : .random(in: 1..<80, using: &random)
            runs.append(Run(start: start, end: end, limit: limit, number: number, isCounted: number % 50 == 0))
            let found = ledger.add(start: start, end: end, number: number, limit: limit, isCounted: number % 50 == 0)
            var deepest: Int64 = 0
            var breaches: [Int] = []
            for index in runs.indices where runs[index].start >= start && runs[index].start < end {
                let own = depth(runs[index])
                deepest = max(deepest, own)
                if own > runs[index].limit && !runs[index].isCounted {
                    runs[index].isCounted = true
                    breaches.append(runs[index].number)
                }
            }
            #expect(found.depthMaximum == deepest)
            #expect(found.breaches.sorted() == breaches.sorted())
        }
        #expect(runs.contains { $0.isCounted })
        for run in runs { ledger.remove(start: run.start, end: run.end, number: run.number) }
        #expect(ledger.isEmpty)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func piecesAreWhatSomeIntervalCovers(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var list = IntervalList()
        var intervals: [IntervalList.Interval] = []
        for _ in 0..<1_500 {
            if Int.random(in: 0..<5, using: &random) == 0, !intervals.isEmpty {
                let gone = intervals.remove(at: Int.random(in: 0..<intervals.count, using: &random))
                list.remove(gone.start, gone.end)
            } else {
                let (start, end) = Self.interval(&random)
                intervals.append(IntervalList.Interval(start: start, end: end))
                list.insert(start, end)
            }
            // What nobody asks for is not worked out, and has to be right later.
            if Int.random(in: 0..<3, using: &random) != 0 { continue }
            let (start, end) = Self.interval(&random)
            var pieces: [IntervalList.Interval] = []
            for interval in intervals.sorted(by: { $0.start < $1.start }) where interval.end > start && interval.start < end {
                let piece = IntervalList.Interval(start: max(start, interval.start), end: min(end, interval.end))
                if let last = pieces.last, piece.start <= last.end {
                    pieces[pieces.count - 1].end = max(last.end, piece.end)
                } else {
                    pieces.append(piece)
                }
            }
            #expect(list.pieces(within: start, end) == pieces)
        }
        for interval in intervals { list.remove(interval.start, interval.end) }
        #expect(list.isEmpty)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64], [true, false])
    func timesAreCountedAsInASortedList(seed: UInt64, theOldestGoFirst: Bool) {
        var random = SplitMix64(seed: seed)
        var times = SortedTimes()
        var all: [Int64] = []
        for step in 0..<6_000 as Range<Int64> {
            if all.count > 2_000 || Int.random(in: 0..<4, using: &random) == 0, !all.isEmpty {
                let place = theOldestGoFirst ? 0 : Int.random(in: 0..<all.count, using: &random)
                times.remove(all.remove(at: place))
                times.remove(.max)
            } else {
                let time = (theOldestGoFirst ? step : 0) + Int64.random(in: 0..<300, using: &random)
                times.insert(time)
                all.insert(time, at: all.partitioningIndex { $0 > time })
            }
            let bound = Int64.random(in: -1..<7_000, using: &random)
            #expect(times.count(upTo: bound) == all.count { $0 <= bound })
        }
        for time in all { times.remove(time) }
        #expect(times.isEmpty)
    }
}
