import TelemetryModel
import TelemetryTesting
import Testing

@testable import SegmentFormat

/// Bytes come back from their frame as they went in, or not at all.
@Suite struct StoredFrameTests {
    private static let counts = [0, 1, 11, 12, 13, 100, StoredFrame.plainBytesMax, StoredFrame.plainBytesMax + 1, 100_000]

    private static func bytes(_ count: Int) -> [UInt8] {
        var random = SplitMix64(seed: UInt64(count) + 1)
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
}
