import TelemetryModel
import Testing

@testable import ClickHouse

@Suite struct SpanBlocksTests {
    private static let day: Int64 = 86_400_000_000_000

    private func batch(_ spans: [(name: String, start: Int64)]) -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string("svc")])
        builder.beginScope(name: "tests")
        for (index, span) in spans.enumerated() {
            var description = SpanDescription(
                traceID: TraceID(high: 1, low: UInt64(index)), spanID: SpanID(UInt64(index + 1)), name: span.name)
            description.startTimeUnixNano = span.start
            description.endTimeUnixNano = span.start + 5
            builder.append(description)
        }
        return SpanBatch.combining([builder.batch])
    }

    private func blocks(_ batch: SpanBatch, wanted: Set<String>? = nil) -> [DayBlock] {
        let count = batch.spans.count
        return SpanBlocks(
            batch, ordinals: (0..<count).map(Int64.init), received: [Int64](repeating: 9, count: count),
            derived: ClickHouseColumns.derived.map { _ in [DerivedValue](repeating: .none, count: count) }, node: "n"
        ).blocks(wanted: wanted)
    }

    @Test func rowsArePartedByDayAndSortedByTheKey() {
        let found = blocks(
            batch([("b", Self.day), ("a", Self.day + 3_000_000_000), ("a", Self.day), ("x", -1), ("z", 3 * Self.day - 1)]),
            wanted: ["SpanName"])
        #expect(found.map(\.day) == [-1, 1, 2] && found.map(\.rowCount) == [1, 3, 1])
        let header: [UInt8] = [1, 3, 8] + Array("SpanName".utf8) + [6] + Array("String".utf8)
        #expect(found[1].bytes == header + [1, 0x61, 1, 0x61, 1, 0x62])
        #expect(found[1].columns == ["SpanName"])
    }

    @Test func aSpanIsTheseBytes() {
        let block = blocks(
            batch([("n", 258)]), wanted: ["Timestamp", "SpanId", "Duration", "Events.Name", "tool_name", "tokens", "FuseboxNode"])[
                0]
        func column(_ name: String, _ type: String, _ data: [UInt8]) -> [UInt8] {
            [UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(type.utf8.count)] + Array(type.utf8) + data
        }
        let zeros = [UInt8](repeating: 0, count: 8)
        var expected: [UInt8] = [7, 1] + column("Timestamp", "DateTime64(9)", [2, 1, 0, 0, 0, 0, 0, 0])
        expected += column("SpanId", "String", [16] + Array("0000000000000001".utf8))
        expected += column("Duration", "UInt64", [5, 0, 0, 0, 0, 0, 0, 0]) + column("Events.Name", "Array(String)", zeros)
        expected += column("FuseboxNode", "String", [1, 0x6E])
        expected += column("tool_name", "String", [0]) + column("tokens", "Nullable(Int64)", [1] + zeros)
        #expect(block.bytes == expected)
    }

    @Test func fewDaysGoAtOnce() {
        #expect(BlockDays.countOfFewDays((0..<100).map { Int64($0) * Self.day }) == BlockDays.daysMax)
        #expect(BlockDays.countOfFewDays((0..<100).map { Int64($0 % 5) * Self.day }) == 100)
        #expect(BlockDays.countOfFewDays([]) == 0)
        #expect(BlockDays.day(unixNano: .min) == -106_752 && BlockDays.day(unixNano: .max) == 106_751)
        #expect(
            BlockDays.day(unixNano: -1) == -1 && BlockDays.day(unixNano: -Self.day) == -1
                && BlockDays.day(unixNano: -Self.day - 1) == -2)
    }

    @Test(
        arguments: [
            (.double(2), "2"), (.double(-0.5), "-0.5"), (.double(1e300), "1e+300"), (.double(.infinity), "Infinity"),
            (.double(.nan), "NaN"),
            (.int(.min), "-9223372036854775808"), (.bool(false), "false"), (.string("é'\n"), "é'\n"), (.bytes([0, 255]), "AP8="),
            (.array([.string("a"), .int(1)]), #"["a",1]"#),
        ] as [(AttributeValue, String)])
    func valuesAreTextsAsTheCollectorWritesThem(value: AttributeValue, text: String) throws {
        var builder = SpanBatchBuilder()
        builder.beginResource([:])
        builder.beginScope(name: "")
        var span = SpanDescription(traceID: TraceID(high: 0, low: 1), spanID: SpanID(1), name: "n")
        span.attributes.append("k", value)
        builder.append(span)
        var writer = AttributeText()
        let record = try #require(builder.batch.attributes.last)
        #expect(String(decoding: writer.text(record, in: builder.batch.bytes), as: UTF8.self) == text)
    }
}
