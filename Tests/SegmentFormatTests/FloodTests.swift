import TelemetryModel
import TelemetryTesting
import Testing

@testable import SegmentFormat

/// Keys, values and ids that were chosen to collide cost a commit and a merge what random ones cost. What is counted is probes.
@Suite struct FloodTests {
    /// The numbers of the hash that is stored, which everybody knows.
    private static let known = HashSeed(0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93)

    private static func bytes(_ first: UInt64, _ second: UInt64) -> [UInt8] {
        [first, second].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }

    private static func keys(_ count: Int, colliding: Bool, under seed: HashSeed = known) -> [[UInt8]] {
        var random = SplitMix64(seed: 3)
        return (0..<UInt64(count)).map { colliding ? bytes(seed.first ^ 16, $0) : bytes(random.next(), random.next()) }
    }

    /// Spans with 100 of the keys each, as they may come on the wire: bytes that need be no UTF-8.
    private static func batch(_ keys: [[UInt8]]) -> SpanBatch {
        var builder = SpanBatchBuilder()
        for start in stride(from: 0, to: keys.count, by: 100) {
            var attributes: AttributeList = [:]
            for key in start..<min(start + 100, keys.count) { attributes.append("k\(key)", .int(1)) }
            var span = SpanDescription(traceID: TraceID(high: 1, low: 7), spanID: SpanID(UInt64(start + 1)), name: "span")
            span.attributes = attributes
            builder.append(span)
        }
        var batch = builder.batch
        for (number, key) in keys.enumerated() {
            batch.keys[number] = ByteSlice(WireRange(offset: batch.bytes.count, count: key.count))
            batch.bytes += key
        }
        return batch
    }

    @Test func keysOfAttributes() throws {
        func probes(_ keys: [[UInt8]]) throws -> Int {
            var encoder = SegmentEncoder(
                derivedColumns: [], annotations: AnnotationValues(stages: [], outcomes: [], timeoutReasons: [], timeoutPhases: [])
            )
            let batch = Self.batch(keys)
            var group = SpanGroup()
            for (index, span) in batch.spans.enumerated() { group.append(span, at: index, annotations: SpanAnnotations()) }
            group.add(batch)
            #expect(try encoder.encode(group)?.spanCount == batch.spans.count)
            return encoder.names.probeCount
        }
        #expect(try probes(Self.keys(60_000, colliding: true)) <= 2 * probes(Self.keys(60_000, colliding: false)))
    }

    @Test(arguments: [false, true])
    func textsOfAColumn(isSeedKnown: Bool) {
        let seed = isSeedKnown ? HashSeed(1, 2) : .process
        func dictionary(_ keys: [[UInt8]]) -> (probes: Int, taken: Int) {
            var dictionary = TextDictionary(seed: seed)
            dictionary.removeAll(valueCount: 4 * keys.count)
            var taken = 0
            for key in keys where !dictionary.isUseless {
                let range = WireRange(offset: 0, count: key.count)
                for _ in 0..<4 { _ = dictionary.append(range, of: key.span.bytes) }
                taken += 1
            }
            return (dictionary.probeCount, taken)
        }
        let random = dictionary(Self.keys(60_000, colliding: false))
        #expect(random.taken == 60_000)
        let colliding = dictionary(Self.keys(60_000, colliding: true, under: isSeedKnown ? seed : Self.known))
        #expect(colliding.probes <= 2 * random.probes)
        // Given up where the seed was known: the column's texts are then written one after the other.
        #expect(isSeedKnown ? colliding.taken < 200 : colliding.taken == 60_000)
    }

    @Test func textsOfAMergedColumn() {
        func probes(_ keys: [[UInt8]]) -> Int {
            var column = GatheredColumn(rowCount: keys.count)
            var bytes: [UInt8] = []
            var ranges: [Range<Int>] = []
            for key in keys {
                ranges.append(bytes.count..<bytes.count + key.count)
                bytes += key
            }
            column.gather(
                DecodedColumn(bytes: bytes, presence: nil, values: .texts(ranges)), base: 0, of: TakenRows(all: keys.count))
            return column.texts.probeCount
        }
        #expect(probes(Self.keys(60_000, colliding: true)) <= 2 * probes(Self.keys(60_000, colliding: false)))
    }

    @Test(arguments: [false, true])
    func idsOfTraces(isSeedKnown: Bool) {
        let seed = isSeedKnown ? HashSeed(1, 2) : .process
        func probes(_ traces: [TraceID]) -> Int {
            var table = TraceTable(seed: seed)
            table.removeAll()
            for (number, trace) in traces.enumerated() { #expect(table.index(of: trace) == number) }
            return table.probeCount
        }
        var random = SplitMix64(seed: 4)
        let ordinary = probes((0..<60_000).map { _ in TraceID(high: random.next(), low: random.next()) })
        let known = isSeedKnown ? seed : Self.known
        #expect(probes((0..<60_000).map { TraceID(high: $0, low: known.second) }) <= 2 * ordinary)
        #expect(probes((0..<60_000).map { TraceID(high: known.first, low: $0) }) <= 2 * ordinary)
        #expect(probes((0..<60_000).map { TraceID(high: $0, low: 0x9E37_79B9_7F4A_7C15) }) <= 2 * ordinary)
    }
}
