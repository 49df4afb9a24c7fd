import TelemetryTesting
import Testing

@testable import SpanStore

@Suite struct MergePlanTests {
    private func candidates(_ counts: [Int]) -> [MergePlan.Candidate] {
        var next: Int64 = 0
        return counts.enumerated().map { id, count in
            defer { next += Int64(count) }
            return MergePlan.Candidate(
                id: Int64(id), firstOrdinal: next, ordinalCount: Int64(count), spanCount: count, storedBytes: count * 40)
        }
    }

    @Test func fewSmallSegmentsStayAsTheyAre() {
        #expect(MergePlan.choose([]) == nil)
        #expect(MergePlan.choose(candidates(Array(repeating: 400, count: 15))) == nil)
        #expect(MergePlan.choose(candidates([60_000, 400, 60_000, 400])) == nil)
    }

    @Test func manyAreMergedUpToTheSizeOfASegment() {
        #expect(MergePlan.choose(candidates(Array(repeating: 400, count: 16))) == 0..<16)
        #expect(MergePlan.choose(candidates(Array(repeating: 400, count: 900))) == 0..<81)
        #expect(MergePlan.choose(candidates(Array(repeating: 1, count: 900))) == 0..<512)
    }

    @Test func aLargeOneAmongSmallOnesIsNotWrittenAgainForThem() {
        #expect(MergePlan.choose(candidates([15_000] + Array(repeating: 400, count: 20))) == 1..<21)
        #expect(MergePlan.choose(candidates([15_000, 4_000, 4_350, 13_750, 4_250, 4_250])) == 1..<6)
    }

    @Test func smallOnesBetweenLargeOnesArePutTogether() {
        #expect(MergePlan.choose(candidates([20_000, 400, 300, 20_000, 400, 300])) == 1..<3)
        #expect(MergePlan.choose(candidates([400, 300, 20_000])) == 0..<2)
    }

    @Test func whatLiesOnTwoSidesOfADeletionIsNotPutTogether() {
        var parted = candidates(Array(repeating: 400, count: 40))
        parted.removeSubrange(20..<22)
        #expect(MergePlan.choose(parted) == 0..<20)
        // Behind the gap it goes on as ever; before it no neighbours will come.
        parted.removeSubrange(1..<20)
        #expect(MergePlan.choose(parted) == 1..<19)
        var few = candidates([400, 300, 200, 400, 300])
        few.remove(at: 2)
        #expect(MergePlan.choose(few) == 0..<2)
    }

    /// Whatever sizes come, the number of segments and the writing stay bounded.
    @Test(arguments: [1, 2, 3])
    func segmentsAndWritingStayBounded(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var held: [MergePlan.Candidate] = []
        var came = 0
        var written = 0
        for id in 0..<6_000 {
            let count = Int.random(in: 1...(Int.random(in: 0..<20, using: &random) == 0 ? 5_000 : 400), using: &random)
            came += count
            held.append(
                MergePlan.Candidate(
                    id: Int64(id), firstOrdinal: Int64(came - count), ordinalCount: Int64(count), spanCount: count,
                    storedBytes: count * 40))
            while let chosen = MergePlan.choose(held) {
                let total = held[chosen].reduce(0) { $0 + $1.spanCount }
                #expect(total <= MergeLimits.spansMax && chosen.count > 1)
                written += total
                held.replaceSubrange(
                    chosen,
                    with: [
                        MergePlan.Candidate(
                            id: held[chosen.upperBound - 1].id, firstOrdinal: held[chosen.lowerBound].firstOrdinal,
                            ordinalCount: Int64(total), spanCount: total, storedBytes: total * 40)
                    ])
            }
        }
        #expect(held.reduce(0) { $0 + $1.spanCount } == came)
        #expect(held.count < 40 + 2 * came / MergeLimits.spansEnough)
        #expect(written < 4 * came)
    }
}
