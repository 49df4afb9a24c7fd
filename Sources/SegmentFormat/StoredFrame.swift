import TelemetryModel

/// How bytes of a segment are stored: as a zstd frame with a checksum, or, when they are few, as they are.
///
/// A zstd frame costs some 90,000 instructions to begin, whatever it holds, which is more than all else of a small commit; and a page of
/// SQLite is written whole, so that what it would save is mostly not saved. Merging compresses everything anyhow.
///
/// Plain bytes stand behind a mark of 4 bytes, which no zstd frame begins with, and 8 bytes of checksum (`ByteHash` of them, changed by
/// their count), both little-endian.
package enum StoredFrame {
    private static let plainMark: UInt32 = 0x4E4C_5046
    private static let plainPrefixCount = 12
    /// Bytes up to which a commit does not compress: 16 KiB are 170 spans of the load generator, whose log is not longer for it
    /// (docs/benchmarks.md).
    static let plainBytesMax = 16 << 10

    /// What is stored for `bytes` by a commit.
    static func stored(_ bytes: borrowing RecordBuffer<UInt8>, _ compressor: ZstandardCompressor) throws(SegmentError) -> [UInt8] {
        bytes.count <= plainBytesMax ? bytes.withUnsafeBytes(plain) : try compressor.compress(bytes)
    }

    static func stored(_ bytes: [UInt8], _ compressor: ZstandardCompressor) throws(SegmentError) -> [UInt8] {
        // An array's closure does not say which error it throws; `compress` of an array does.
        bytes.count <= plainBytesMax ? bytes.withUnsafeBytes(plain) : try compressor.compress(bytes)
    }

    private static func plain(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: plainPrefixCount + bytes.count) { target, count in
            let frame = UnsafeMutableRawBufferPointer(target)
            frame.storeBytes(of: plainMark.littleEndian, as: UInt32.self)
            frame.storeBytes(of: checksum(bytes).littleEndian, toByteOffset: 4, as: UInt64.self)
            UnsafeMutableRawBufferPointer(rebasing: frame[plainPrefixCount...]).copyMemory(from: bytes)
            count = plainPrefixCount + bytes.count
        }
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        ByteHash.hash(bytes.bytes, WireRange(offset: 0, count: bytes.count), seed: UInt64(bytes.count))
    }

    /// The bytes of a frame, which must be so many.
    package static func bytes(of frame: [UInt8], count: Int) throws(SegmentError) -> [UInt8] {
        guard isPlain(frame) else { return try ZstandardDecompression.decompress(frame, inflatedCount: count) }
        let bytes = try plainBytes(of: frame)
        guard bytes.count == count else { throw .damaged("a stream of another length than its directory says") }
        return bytes
    }

    /// The bytes of a frame that says its own length.
    package static func bytes(of frame: [UInt8]) throws(SegmentError) -> [UInt8] {
        isPlain(frame) ? try plainBytes(of: frame) : try ZstandardDecompression.decompress(frame)
    }

    private static func isPlain(_ frame: [UInt8]) -> Bool {
        frame.count >= plainPrefixCount
            && frame.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) } == plainMark
    }

    private static func plainBytes(of frame: [UInt8]) throws(SegmentError) -> [UInt8] {
        let isSound = frame.withUnsafeBytes { bytes in
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
                == checksum(UnsafeRawBufferPointer(rebasing: bytes[plainPrefixCount...]))
        }
        guard isSound else { throw .damaged("the checksum of plain bytes is wrong") }
        return Array(frame[plainPrefixCount...])
    }
}
