import CZstd
import Synchronization
import TelemetryModel

/// zstd frames with checksums. An instance is used by one thread at a time, by its owner.
package final class ZstandardCompressor: @unchecked Sendable {
    private let context: OpaquePointer?

    /// - Parameter level: 1 costs 0.35 µs a span on real spans and leaves 56 bytes of 177 (docs/benchmarks.md).
    package init(level: Int32) {
        context = ZSTD_createCCtx()
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }

    deinit {
        ZSTD_freeCCtx(context)
    }

    package func compress(_ bytes: [UInt8]) throws(SegmentError) -> [UInt8] {
        try Self.checked(bytes.withUnsafeBytes(frame))
    }

    func compress(_ bytes: borrowing RecordBuffer<UInt8>) throws(SegmentError) -> [UInt8] {
        try Self.checked(bytes.withUnsafeBytes(frame))
    }

    private func frame(_ source: UnsafeRawBufferPointer) -> (frame: [UInt8], result: Int) {
        let bound = ZSTD_compressBound(source.count)
        var result = 0
        let frame = [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            result = ZSTD_compress2(context, target.baseAddress, target.count, source.baseAddress, source.count)
            count = ZSTD_isError(result) == 0 ? result : 0
        }
        return (frame, result)
    }

    private static func checked(_ compressed: (frame: [UInt8], result: Int)) throws(SegmentError) -> [UInt8] {
        let (frame, result) = compressed
        guard ZSTD_isError(result) == 0 else { throw .damaged("zstd could not compress; is memory short?") }
        return frame
    }
}

/// Inflates zstd frames whose length is known beforehand.
enum ZstandardDecompression {
    /// A context is 160 KiB, more than most columns: it is used again. Each is in use by one thread at a time.
    private struct Context: @unchecked Sendable {
        let pointer: OpaquePointer?
    }

    private static let idleContextsMax = 4
    private static let idleContexts = Mutex<[Context]>([])

    private static func withContext<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let context = idleContexts.withLock { $0.popLast() } ?? Context(pointer: ZSTD_createDCtx())
        defer {
            let isKept = idleContexts.withLock { idle in
                guard idle.count < idleContextsMax else { return false }
                idle.append(context)
                return true
            }
            if !isKept { ZSTD_freeDCtx(context.pointer) }
        }
        return body(context.pointer)
    }

    /// A stream longer than this is no stream of ours.
    static let inflatedBytesMax = 1 << 31

    static func decompress(_ frame: [UInt8], inflatedCount: Int) throws(SegmentError) -> [UInt8] {
        guard inflatedCount >= 0, inflatedCount <= inflatedBytesMax else { throw .damaged("a stream of absurd length") }
        var result = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: inflatedCount) { target, count in
            result = frame.withUnsafeBytes { source in
                withContext { ZSTD_decompressDCtx($0, target.baseAddress, target.count, source.baseAddress, source.count) }
            }
            count = ZSTD_isError(result) == 0 ? result : 0
        }
        guard ZSTD_isError(result) == 0, result == inflatedCount else {
            throw .damaged("a stream does not inflate, or its checksum is wrong")
        }
        return bytes
    }

    /// Inflates a frame that says its own length.
    static func decompress(_ frame: [UInt8]) throws(SegmentError) -> [UInt8] {
        let size = frame.withUnsafeBytes { ZSTD_getFrameContentSize($0.baseAddress, $0.count) }
        guard size < UInt64(inflatedBytesMax) else { throw .damaged("a frame without its length") }
        return try decompress(frame, inflatedCount: Int(size))
    }
}
