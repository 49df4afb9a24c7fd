import TelemetryModel
import TelemetryTesting
import Testing

@testable import SegmentFormat

/// The facts of a log segment come back from their bytes as they went in, or not at all.
@Suite struct LogFactsTests {
    private static let everything: [LogBatches.Description] = [
        .init(
            time: 3_000, observed: 4_000, trace: 1, span: 5, severity: 17, event: "exception", body: "boom",
            attributes: ["exception.type": "E", "n": 1, "list": ["a", 2.5], "map": ["k": true]]),
        .init(time: 1_000, severity: -3, body: 42),
        .init(observed: 2_500, severity: 24, body: ["a": [1, "x"]]),
        .init(severity: 0, body: .bytes([1, 2, 3])),
        .init(time: .max, trace: 2, span: .max, body: true),
        .init(time: 5, body: ""),
        .init(time: 6, body: 1.5),
    ]

    @Test func encodedFactsDecodeToThemselves() throws {
        var builder = LogSegmentBuilder()
        builder.append(LogBatches.of(Self.everything), receivedTimeUnixNano: 9_000)
        builder.append(LogBatches.of([.init(time: 1, trace: 1)], service: "other"), receivedTimeUnixNano: 10_000)
        let encoded = builder.facts.encoded
        #expect(try LogFacts(decoding: encoded) == builder.facts)
        for count in 0..<encoded.count {
            #expect(throws: SegmentError.self) { try LogFacts(decoding: Array(encoded.prefix(count))) }
        }
    }

    @Test func damagedFactsNeverTrap() throws {
        var builder = LogSegmentBuilder()
        builder.append(LogBatches.of(Self.everything), receivedTimeUnixNano: 9_000)
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
