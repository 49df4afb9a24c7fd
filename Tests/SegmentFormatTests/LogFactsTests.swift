import TelemetryModel
import TelemetryTesting
import Testing

@testable import SegmentFormat

/// The facts of a log segment come back from their bytes as they went in, or not at all.
@Suite struct LogFactsTests {
    @Test func encodedFactsDecodeToThemselves() throws {
        var builder = LogSegmentBuilder()
        builder.append(LogBatches.of(LogBatches.everything), receivedTimeUnixNano: 9_000)
        builder.append(LogBatches.of([.init(time: 1, trace: 1)], service: "other"), receivedTimeUnixNano: 10_000)
        let encoded = builder.facts.encoded
        #expect(try LogFacts(decoding: encoded) == builder.facts)
        for count in 0..<encoded.count {
            #expect(throws: SegmentError.self) { try LogFacts(decoding: Array(encoded.prefix(count))) }
        }
    }

    @Test func damagedFactsNeverTrap() throws {
        var builder = LogSegmentBuilder()
        builder.append(LogBatches.of(LogBatches.everything), receivedTimeUnixNano: 9_000)
        let encoded = builder.facts.encoded
        var chance = SplitMix64(seed: 28)
        for _ in 0..<4000 {
            var damaged = encoded
            for _ in 0..<Int.random(in: 1...3, using: &chance) {
                damaged[Int.random(in: damaged.indices, using: &chance)] = UInt8.random(in: 0...255, using: &chance)
            }
            guard let facts = try? LogFacts(decoding: damaged) else { continue }
            _ = facts.statistics
            #expect(facts.offsets.count == facts.rows.count + 1)
        }
    }
}
