import SegmentFormat
import SQLite
import SpanStore
import StoreSQL
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

/// A segment in the file: in how many rows, and behind which directory.
@Suite struct StoredSegmentTests {
    /// Whether the sections lie in one stream or in three, the spans are the same.
    @Test(arguments: [(100, 1), (90_000, 3)])
    func longSectionsAreStreamsOfTheirOwn(textCount: Int, streams: Int) throws {
        let fixture = try StoreFixture()
        let text = String(repeating: "ab", count: textCount / 2)
        try fixture.ingest(Batches.of((1...3).map { Batches.span(1, $0, ["prompt": .string(text), "tool_name": "t"]) }))
        #expect(try fixture.sql("SELECT count(*) FROM segment_stream") == [["\(streams)"]])
        let shown = try fixture.sql("SELECT tool_name, attr(attributes, 'prompt') FROM spans")
        #expect(shown == [[String]](repeating: ["t", text], count: 3))
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
    }

    /// A directory whose checksum is right and whose bytes are not: what a later release, or a fault of ours, might write.
    @Test func aDirectoryOfAnyBytesIsReadOrRefusedAndEndsNothing() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of((1...20).map { Batches.span(1, $0, ["tool_name": "t", "n": .int(5)]) }))
        let connection = try SQLReader(folder: fixture.folder).connection
        let statement = try connection.prepare("SELECT directory FROM segment")
        #expect(try statement.step())
        let sound = try StoredFrame.bytes(of: statement.blob(0))
        _ = try SegmentDirectory(decoding: sound)
        var random = SplitMix64(seed: 9)
        for _ in 0..<20_000 {
            var bytes = sound
            for _ in 0...Int(random.next() % 3) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.next() % 4 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
            if let directory = try? SegmentDirectory(decoding: bytes) {
                for column in directory.columns where column.encoding != .alias {
                    #expect(column.offset >= 0 && column.offset + column.length <= directory.streamCounts[column.stream])
                }
            }
        }
    }
}
