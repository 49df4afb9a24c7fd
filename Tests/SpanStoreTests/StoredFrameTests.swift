import SQLite
import TelemetryModel
import Testing

@testable import SpanStore

/// Bytes come back from their frame as they went in, or not at all.
@Suite struct StoredFrameTests {
    private static let counts = [0, 1, 11, 12, 13, 100, StoredFrame.plainBytesMax, StoredFrame.plainBytesMax + 1, 100_000]

    private static func bytes(_ count: Int) -> [UInt8] {
        var random = Seeded(state: UInt64(count) + 1)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() & 15) }
    }

    @Test(arguments: counts)
    func bytesComeBack(count: Int) throws {
        let bytes = Self.bytes(count)
        let frame = try StoredFrame.stored(bytes, ZstandardCompressor(level: 1))
        #expect(try StoredFrame.bytes(of: frame) == bytes)
        #expect(try StoredFrame.bytes(of: frame, count: count) == bytes)
        #expect(throws: SegmentError.self) { try StoredFrame.bytes(of: frame, count: count + 1) }
        // Few bytes are not compressed, many are.
        #expect((frame.count == count + 12) == (count <= StoredFrame.plainBytesMax))
    }

    @Test func framesOfZstandardAreReadAsBefore() throws {
        let frame = try ZstandardCompressor(level: 3).compress(Self.bytes(50))
        #expect(try StoredFrame.bytes(of: frame) == Self.bytes(50))
        #expect(try StoredFrame.bytes(of: frame, count: 50) == Self.bytes(50))
    }

    @Test func aBitThatFlipsAnywhereIsNoticed() throws {
        let frame = try StoredFrame.stored(Self.bytes(100), ZstandardCompressor(level: 1))
        for bit in 0..<frame.count * 8 {
            var damaged = frame
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: SegmentError.self, "bit \(bit)") { try StoredFrame.bytes(of: damaged) }
        }
        for count in 0..<frame.count {
            #expect(throws: SegmentError.self, "cut to \(count) bytes") { try StoredFrame.bytes(of: Array(frame[..<count])) }
        }
    }

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
        var random = Seeded(state: 9)
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
