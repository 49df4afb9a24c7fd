import CZlib
import CZstd

/// Compresses request bodies. The same body gives the same bytes.
package enum Compression {
    /// What costs little and leaves prompts at a fifth of their size.
    private static let zlibLevel: Int32 = 5
    private static let zstdLevel: Int32 = 3

    /// The body in that encoding; `nil` when memory is short, or for one that is only read.
    package static func compress(_ body: [UInt8], _ encoding: ContentEncoding) -> [UInt8]? {
        switch encoding {
        case .identity: body
        case .gzip: gzip(body)
        case .zstd: zstd(body)
        case .deflate: nil
        }
    }

    private static func gzip(_ body: [UInt8]) -> [UInt8]? {
        guard body.count < Int(UInt32.max) / 2 else { return nil }
        var stream = z_stream()
        // 16 more than the window: with gzip's header, in which no time stands.
        guard fusebox_deflate_init(&stream, zlibLevel, 15 + 16) == Z_OK else { return nil }
        defer { deflateEnd(&stream) }
        let bound = Int(deflateBound(&stream, UInt(body.count)))
        var status = Z_OK
        let output = [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            status = body.withUnsafeBufferPointer { source in
                // zlib does not write through `next_in`; its C type merely lacks the const.
                stream.next_in = source.baseAddress.map { UnsafeMutablePointer(mutating: $0) }
                stream.avail_in = UInt32(body.count)
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(bound)
                return deflate(&stream, Z_FINISH)
            }
            count = bound - Int(stream.avail_out)
        }
        return status == Z_STREAM_END ? output : nil
    }

    private static func zstd(_ body: [UInt8]) -> [UInt8]? {
        let bound = ZSTD_compressBound(body.count)
        var result = 0
        let output = [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            result = body.withUnsafeBytes {
                ZSTD_compress(target.baseAddress, target.count, $0.baseAddress, $0.count, zstdLevel)
            }
            count = ZSTD_isError(result) == 0 ? result : 0
        }
        return ZSTD_isError(result) == 0 ? output : nil
    }
}
