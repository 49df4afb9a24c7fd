import CZlib
import CZstd

/// Inflates request bodies into a buffer that never grows past the cap.
package enum Inflation {
    /// The inflated body, at most `limit` bytes.
    package static func inflate(
        _ body: [UInt8], _ encoding: ContentEncoding, limit: Int
    ) throws(InflationError) -> [UInt8] {
        switch encoding {
        case .identity:
            guard body.count <= limit else { throw .tooLarge(limit: limit) }
            return body
        case .gzip:
            return try zlib(body, encoding, windowBits: 15 + 16, membersMayFollow: true, limit: limit)
        case .deflate:
            return try zlib(body, encoding, windowBits: isZlib(body) ? 15 : -15, membersMayFollow: false, limit: limit)
        case .zstd:
            return try zstd(body, limit: limit)
        }
    }

    /// RFC 1950: method 8 in the low half of the first byte, and the two bytes together a multiple of 31.
    private static func isZlib(_ body: [UInt8]) -> Bool {
        body.count >= 2 && body[0] & 0x0F == 8 && (UInt16(body[0]) << 8 | UInt16(body[1])) % 31 == 0
    }

    /// Room for the next stretch of output: twice what there is, up to one byte past the limit, which tells "too large" apart.
    private static func grow(_ output: inout [UInt8], limit: Int) {
        let wanted = max(output.count * 2, 64 << 10)
        let count = min(wanted, limit + 1)
        output.append(contentsOf: repeatElement(0, count: count - output.count))
    }

    private static func zlib(
        _ body: [UInt8], _ encoding: ContentEncoding, windowBits: Int32, membersMayFollow: Bool, limit: Int
    ) throws(InflationError) -> [UInt8] {
        guard body.count <= Int(UInt32.max) else { throw .tooLarge(limit: limit) }
        var stream = z_stream()
        guard fusebox_inflate_init(&stream, windowBits) == Z_OK else { throw .corrupt(encoding) }
        defer { inflateEnd(&stream) }
        var output: [UInt8] = []
        var produced = 0
        var consumed = 0
        var status = Z_OK
        grow(&output, limit: min(limit, max(64 << 10, body.count * 4)))
        while true {
            if produced == output.count {
                guard produced <= limit else { throw .tooLarge(limit: limit) }
                grow(&output, limit: limit)
            }
            let room = output.count - produced
            let left = body.count - consumed
            status = body.withUnsafeBufferPointer { source in
                output.withUnsafeMutableBufferPointer { target in
                    // zlib does not write through `next_in`; its C type merely lacks the const.
                    stream.next_in = source.baseAddress.map { UnsafeMutablePointer(mutating: $0 + consumed) }
                    stream.avail_in = UInt32(left)
                    stream.next_out = target.baseAddress.map { $0 + produced }
                    stream.avail_out = UInt32(room)
                    return CZlib.inflate(&stream, Z_NO_FLUSH)
                }
            }
            consumed = body.count - Int(stream.avail_in)
            produced = output.count - Int(stream.avail_out)
            guard produced <= limit else { throw .tooLarge(limit: limit) }
            if status == Z_STREAM_END {
                if consumed == body.count { break }
                guard membersMayFollow, inflateReset(&stream) == Z_OK else { throw .corrupt(encoding) }
                continue
            }
            guard status == Z_OK || (status == Z_BUF_ERROR && stream.avail_out == 0) else { throw .corrupt(encoding) }
            if consumed == body.count && stream.avail_out != 0 { throw .corrupt(encoding) }
        }
        output.removeSubrange(produced...)
        return output
    }

    /// The largest window that a frame may ask for: 64 MiB, the default cap of a body.
    private static let zstdWindowLogMax: Int32 = 26

    private static func zstd(_ body: [UInt8], limit: Int) throws(InflationError) -> [UInt8] {
        guard let context = ZSTD_createDCtx() else { throw .corrupt(.zstd) }
        defer { ZSTD_freeDCtx(context) }
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, zstdWindowLogMax)
        var output: [UInt8] = []
        var produced = 0
        var consumed = 0
        var hint = 1
        grow(&output, limit: min(limit, max(64 << 10, body.count * 4)))
        while consumed < body.count || hint != 0 {
            if produced == output.count {
                guard produced <= limit else { throw .tooLarge(limit: limit) }
                grow(&output, limit: limit)
            }
            let before = (consumed, produced)
            hint = body.withUnsafeBytes { source in
                output.withUnsafeMutableBytes { target in
                    var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: consumed)
                    var room = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: produced)
                    let result = ZSTD_decompressStream(context, &room, &input)
                    consumed = input.pos
                    produced = room.pos
                    return result
                }
            }
            guard ZSTD_isError(hint) == 0 else { throw .corrupt(.zstd) }
            guard produced <= limit else { throw .tooLarge(limit: limit) }
            if before == (consumed, produced) && produced < output.count { throw .corrupt(.zstd) }
        }
        output.removeSubrange(produced...)
        return output
    }
}
