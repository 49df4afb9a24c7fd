// The libFuzzer target of content encodings. The first byte chooses one; the second a limit. The rest is a compressed body, which must
// come out within its limit or not at all, and with more room as the same bytes; and it is content, which compressed by the libraries
// themselves must come out whole, in one member and in two, and never when its last byte is missing.

import CZlib
import CZstd
import OTLP

private let inflatedBytesMax = 1 << 20

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard input.count >= 2 else { return 0 }
    let encoding = ContentEncoding.allCases[Int(input[0]) % ContentEncoding.allCases.count]
    let body = Array(input.dropFirst(2))
    let whole = inflated(body, encoding, inflatedBytesMax)
    let limit = Int(input[1]) * 16
    let part = inflated(body, encoding, limit)
    if let part { require(part == whole, "another limit gives other bytes") }
    if let whole { require((whole.count <= limit) == (part != nil), "the limit is not what decides") }
    checkContent(body, encoding)
    return 0
}

private func require(_ condition: Bool, _ message: StaticString) {
    if !condition { fatalError("\(message)") }
}

private func inflated(_ body: [UInt8], _ encoding: ContentEncoding, _ limit: Int) -> [UInt8]? {
    guard let content = try? Inflation.inflate(body, encoding, limit: limit) else { return nil }
    require(content.count <= limit, "inflated past the limit")
    return content
}

private func checkContent(_ content: [UInt8], _ encoding: ContentEncoding) {
    guard encoding != .identity else { return }
    let body = encoding == .zstd ? zstd(content) : deflated(content, windowBits: encoding == .gzip ? 15 + 16 : 15)
    require(inflated(body, encoding, content.count) == content, "what was compressed does not come out")
    require(inflated(Array(body.dropLast()), encoding, content.count) == nil, "a body that is cut short comes out")
    if encoding != .deflate {
        require(inflated(body + body, encoding, 2 * content.count) == content + content, "two members do not come out")
    }
}

private func deflated(_ content: [UInt8], windowBits: Int32) -> [UInt8] {
    var stream = z_stream()
    var body = [UInt8](repeating: 0, count: content.count + content.count / 100 + 64)
    let size = Int32(MemoryLayout<z_stream>.size)
    require(
        deflateInit2_(&stream, 1, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size) == Z_OK,
        "zlib does not start")
    defer { deflateEnd(&stream) }
    let status = content.withUnsafeBufferPointer { source in
        body.withUnsafeMutableBufferPointer { target in
            stream.next_in = source.baseAddress.map { UnsafeMutablePointer(mutating: $0) }
            stream.avail_in = UInt32(source.count)
            stream.next_out = target.baseAddress
            stream.avail_out = UInt32(target.count)
            return deflate(&stream, Z_FINISH)
        }
    }
    require(status == Z_STREAM_END, "zlib does not compress")
    body.removeLast(Int(stream.avail_out))
    return body
}

private func zstd(_ content: [UInt8]) -> [UInt8] {
    var body = [UInt8](repeating: 0, count: ZSTD_compressBound(content.count))
    let size = ZSTD_compress(&body, body.count, content, content.count, 1)
    require(ZSTD_isError(size) == 0, "zstd does not compress")
    body.removeLast(body.count - size)
    return body
}
