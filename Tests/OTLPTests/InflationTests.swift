import CZlib
import CZstd
import OTLP
import Testing

struct InflationTests {
    private static let text = Array(String(repeating: "spans and spans of agents; ", count: 400).utf8)

    @Test func bodiesOfEveryEncodingComeOutWhole() throws {
        for body in [[], [7], Self.text] as [[UInt8]] {
            for (encoding, bytes) in [
                (ContentEncoding.identity, body), (.gzip, Deflated.gzip(body)), (.deflate, Deflated.zlib(body)),
                (.deflate, Deflated.raw(body)), (.zstd, Deflated.zstd(body)),
            ] {
                #expect(try Inflation.inflate(bytes, encoding, limit: 1 << 20) == body, "\(encoding) of \(body.count) bytes")
            }
        }
    }

    @Test func streamsOfSeveralMembersAreOneBody() throws {
        let gzip = Deflated.gzip(Self.text) + Deflated.gzip([]) + Deflated.gzip(Self.text)
        #expect(try Inflation.inflate(gzip, .gzip, limit: 1 << 20) == Self.text + Self.text)
        let zstd = Deflated.zstd(Self.text) + Deflated.zstd([]) + Deflated.zstd(Self.text)
        #expect(try Inflation.inflate(zstd, .zstd, limit: 1 << 20) == Self.text + Self.text)
        // Deflate has no members: a second stream is junk.
        let zlib = Deflated.zlib(Self.text) + Deflated.zlib(Self.text)
        #expect(throws: InflationError.corrupt(.deflate)) { try Inflation.inflate(zlib, .deflate, limit: 1 << 20) }
    }

    @Test func everyTruncationIsCorrupt() {
        for (encoding, bytes) in [
            (ContentEncoding.gzip, Deflated.gzip(Self.text)), (.deflate, Deflated.zlib(Self.text)),
            (.deflate, Deflated.raw(Self.text)), (.zstd, Deflated.zstd(Self.text)),
        ] {
            for count in 0..<bytes.count where count % 9 == 0 || count + 10 >= bytes.count {
                #expect(throws: InflationError.corrupt(encoding)) {
                    try Inflation.inflate(Array(bytes[..<count]), encoding, limit: 1 << 20)
                }
            }
        }
    }

    @Test func wrongChecksumsAndTrailingJunkAreCorrupt() {
        for (encoding, bytes) in [
            (ContentEncoding.gzip, Deflated.gzip(Self.text)), (.deflate, Deflated.zlib(Self.text)),
            (.zstd, Deflated.zstd(Self.text)),
        ] {
            // gzip ends with the CRC and the length, zlib with the Adler checksum, zstd (as we write it) with its own.
            var wrong = bytes
            wrong[wrong.count - (encoding == .gzip ? 8 : 4)] ^= 1
            #expect(throws: InflationError.corrupt(encoding)) { try Inflation.inflate(wrong, encoding, limit: 1 << 20) }
            for junk in [[0], [1, 2, 3], Array("junk and more junk".utf8)] as [[UInt8]] {
                #expect(throws: InflationError.corrupt(encoding)) {
                    try Inflation.inflate(bytes + junk, encoding, limit: 1 << 20)
                }
            }
        }
        #expect(throws: InflationError.corrupt(.deflate)) {
            try Inflation.inflate(Deflated.raw(Self.text) + [0], .deflate, limit: 1 << 20)
        }
    }

    @Test func plainBodiesUnderACompressionAreCorrupt() {
        for encoding in [ContentEncoding.gzip, .deflate, .zstd] {
            #expect(throws: InflationError.corrupt(encoding)) { try Inflation.inflate(Self.text, encoding, limit: 1 << 20) }
            #expect(throws: InflationError.corrupt(encoding)) { try Inflation.inflate([], encoding, limit: 1 << 20) }
        }
    }

    @Test(arguments: [1, 64 << 10, 65 << 10, 1 << 20])
    func bodiesUpToTheLimitAndNotAByteMore(limit: Int) throws {
        for count in [limit - 1, limit, limit + 1] {
            let body = [UInt8](repeating: 0x61, count: count)
            for (encoding, bytes) in [
                (ContentEncoding.identity, body), (.gzip, Deflated.gzip(body)), (.deflate, Deflated.zlib(body)),
                (.zstd, Deflated.zstd(body)),
            ] {
                if count <= limit {
                    #expect(try Inflation.inflate(bytes, encoding, limit: limit).count == count)
                } else {
                    #expect(throws: InflationError.tooLarge(limit: limit)) {
                        try Inflation.inflate(bytes, encoding, limit: limit)
                    }
                }
            }
        }
    }

    @Test func bombsStopAtTheLimit() throws {
        // 256 MiB of zeros: about 255 KB as gzip, 8 KB as zstd; small ones in many members come to the same.
        let zeros = [UInt8](repeating: 0, count: 256 << 20)
        let bombs = [
            (ContentEncoding.gzip, Deflated.gzip(zeros)), (.deflate, Deflated.zlib(zeros)), (.zstd, Deflated.zstd(zeros)),
            (.gzip, [[UInt8]](repeating: Deflated.gzip(Array(zeros[..<(1 << 20)])), count: 100).flatMap { $0 }),
        ]
        for (encoding, bomb) in bombs {
            #expect(bomb.count < 1 << 20)
            #expect(throws: InflationError.tooLarge(limit: 4 << 20)) { try Inflation.inflate(bomb, encoding, limit: 4 << 20) }
        }
    }

    @Test func zstdFramesThatAskForALargeWindowAreRefused() {
        // Magic number, a header without a content size, and a window of 2^31 bytes: 21 is the exponent above 2^10.
        let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 21 << 3, 0x01, 0x00, 0x00]
        #expect(throws: InflationError.corrupt(.zstd)) { try Inflation.inflate(frame, .zstd, limit: 64 << 20) }
        let small: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0 << 3, 0x01, 0x00, 0x00]
        #expect(throws: Never.self) { try Inflation.inflate(small, .zstd, limit: 64 << 20) }
    }

    @Test(
        "Content-Encoding is read without regard to case",
        arguments: [
            (nil, .identity), ("", .identity), ("identity", .identity), ("Identity", .identity), ("gzip", .gzip), ("GZIP", .gzip),
            ("x-gzip", .gzip), (" gzip ", .gzip), ("deflate", .deflate), ("Deflate", .deflate), ("zstd", .zstd), ("br", nil),
            ("gzip, gzip", nil), ("gzip;q=1", nil), ("snappy", nil), ("gz ip", nil),
        ] as [(String?, ContentEncoding?)])
    func headers(header: String?, expected: ContentEncoding?) {
        #expect(ContentEncoding(header: header) == expected)
    }

    @Test func reasonsAreNotRetryableAndSaySo() {
        #expect(!InflationError.corrupt(.gzip).isRetryable && !InflationError.tooLarge(limit: 1).isRetryable)
        #expect(InflationError.corrupt(.gzip).message == "the body is not a complete gzip stream")
        #expect(InflationError.tooLarge(limit: 7).message == "the body inflates to more than 7 bytes")
    }
}

/// Compressed bodies, made with the libraries themselves.
private enum Deflated {
    static func gzip(_ body: [UInt8]) -> [UInt8] { zlib(body, windowBits: 15 + 16) }

    static func zlib(_ body: [UInt8]) -> [UInt8] { zlib(body, windowBits: 15) }

    /// RFC 1951 without a header, as Apple's libraries send it.
    static func raw(_ body: [UInt8]) -> [UInt8] { zlib(body, windowBits: -15) }

    static func zstd(_ body: [UInt8]) -> [UInt8] {
        guard let context = ZSTD_createCCtx() else { return [] }
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        return [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(body.count)) { buffer, count in
            count = ZSTD_compress2(context, buffer.baseAddress, buffer.count, body, body.count)
        }
    }

    private static func zlib(_ body: [UInt8], windowBits: Int32) -> [UInt8] {
        var stream = z_stream()
        let size = Int32(MemoryLayout<z_stream>.size)
        guard deflateInit2_(&stream, 6, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size) == Z_OK else {
            return []
        }
        defer { deflateEnd(&stream) }
        let bound = Int(deflateBound(&stream, UInt(body.count)))
        var input = body
        return [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            input.withUnsafeMutableBufferPointer { source in
                stream.next_in = source.baseAddress
                stream.avail_in = UInt32(source.count)
                stream.next_out = buffer.baseAddress
                stream.avail_out = UInt32(buffer.count)
                deflate(&stream, Z_FINISH)
                count = buffer.count - Int(stream.avail_out)
            }
        }
    }
}
