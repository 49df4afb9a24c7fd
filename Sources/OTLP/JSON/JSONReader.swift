import TelemetryModel

/// One bounds-checked forward pass over JSON text (RFC 8259): hands out tokens where they lie, builds nothing.
struct JSONReader: ~Escapable {
    /// Objects and arrays in each other. A level of nested attribute values takes three, so this is past the decoder's own limit.
    static let depthMax = 256
    /// A longer number is refused: reading it would take time out of proportion, and no OTLP field has one.
    private static let numberBytesMax = 512

    /// A string between its quotes, as it stands.
    struct Text {
        var range: WireRange
        var hasEscapes: Bool
    }

    let bytes: RawSpan
    private(set) var position = 0

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) {
        self.bytes = bytes
    }

    @inline(__always)
    func byte(_ offset: Int) -> UInt8 {
        bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    // MARK: Structure

    /// The next byte that is no white space; it is not consumed.
    @_lifetime(self: copy self)
    mutating func peek() throws(JSONDecodingError) -> UInt8 {
        while position < bytes.byteCount {
            let next = byte(position)
            guard next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 else { return next }
            position &+= 1
        }
        throw .truncated
    }

    /// Consumes that byte if it comes next.
    @_lifetime(self: copy self)
    mutating func take(_ expected: UInt8) throws(JSONDecodingError) -> Bool {
        guard try peek() == expected else { return false }
        position &+= 1
        return true
    }

    @_lifetime(self: copy self)
    mutating func expect(_ expected: UInt8) throws(JSONDecodingError) {
        guard try take(expected) else { throw .unexpected(offset: position) }
    }

    /// Nothing but white space may follow.
    @_lifetime(self: copy self)
    mutating func expectEnd() throws(JSONDecodingError) {
        do throws(JSONDecodingError) {
            _ = try peek()
        } catch {
            return
        }
        throw .unexpected(offset: position)
    }

    /// Consumes `null` if it comes next.
    @_lifetime(self: copy self)
    mutating func takeNull() throws(JSONDecodingError) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try literal("null")
        return true
    }

    @_lifetime(self: copy self)
    mutating func literal(_ text: StaticString) throws(JSONDecodingError) {
        for index in 0..<text.utf8CodeUnitCount {
            guard position < bytes.byteCount else { throw .truncated }
            guard byte(position) == text.utf8Start[index] else { throw .unexpected(offset: position) }
            position &+= 1
        }
    }

    // MARK: Scalars

    /// A string; its escapes are checked when it is read.
    @_lifetime(self: copy self)
    mutating func text() throws(JSONDecodingError) -> Text {
        try expect(UInt8(ascii: "\""))
        let start = position
        var hasEscapes = false
        while position < bytes.byteCount {
            switch byte(position) {
            case UInt8(ascii: "\""):
                let text = Text(range: WireRange(offset: start, count: position - start), hasEscapes: hasEscapes)
                position &+= 1
                return text
            case UInt8(ascii: "\\"):
                hasEscapes = true
                position &+= 2
            case 0..<0x20: throw .unexpected(offset: position)
            default: position &+= 1
            }
        }
        throw .truncated
    }

    /// A number, by RFC 8259's grammar.
    @_lifetime(self: copy self)
    mutating func number() throws(JSONDecodingError) -> WireRange {
        _ = try peek()
        let start = position
        guard let count = JSONNumber.length(bytes, WireRange(offset: start, count: bytes.byteCount - start)),
            count <= Self.numberBytesMax
        else { throw .unexpected(offset: start) }
        position = start + count
        return WireRange(offset: start, count: count)
    }

    /// Steps over any value.
    @_lifetime(self: copy self)
    mutating func skipValue(depth: Int) throws(JSONDecodingError) {
        switch try peek() {
        case UInt8(ascii: "\""):
            let text = try text()
            if text.hasEscapes { _ = try unescaped(text) }
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        case UInt8(ascii: "{"):
            try enter(depth)
            if try take(UInt8(ascii: "}")) { return }
            repeat {
                _ = try text()
                try expect(UInt8(ascii: ":"))
                try skipValue(depth: depth + 1)
            } while try take(UInt8(ascii: ","))
            try expect(UInt8(ascii: "}"))
        case UInt8(ascii: "["):
            try enter(depth)
            if try take(UInt8(ascii: "]")) { return }
            repeat { try skipValue(depth: depth + 1) } while try take(UInt8(ascii: ","))
            try expect(UInt8(ascii: "]"))
        default: _ = try number()
        }
    }

    /// Consumes the bracket that opens an object or array, if that is not too deep.
    @_lifetime(self: copy self)
    mutating func enter(_ depth: Int) throws(JSONDecodingError) {
        guard depth < Self.depthMax else { throw .tooDeep(offset: position) }
        position &+= 1
    }

    // MARK: Text

    /// The text without its escapes. Half a surrogate pair becomes U+FFFD.
    func unescaped(_ text: Text) throws(JSONDecodingError) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.range.count)
        var offset = text.range.offset
        while offset < text.range.end {
            let next = byte(offset)
            guard next == UInt8(ascii: "\\") else {
                output.append(next)
                offset += 1
                continue
            }
            guard offset + 1 < text.range.end else { throw .unexpected(offset: offset) }
            let escape = byte(offset + 1)
            if escape == UInt8(ascii: "u") {
                try unicodeEscape(&offset, end: text.range.end, into: &output)
            } else {
                guard let plain = Self.plain(escape) else { throw .unexpected(offset: offset + 1) }
                output.append(plain)
                offset += 2
            }
        }
        return output
    }

    private static func plain(_ escape: UInt8) -> UInt8? {
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): escape
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        default: nil
        }
    }

    /// Reads `\uXXXX`, with the second half of a surrogate pair when one follows.
    private func unicodeEscape(_ offset: inout Int, end: Int, into output: inout [UInt8]) throws(JSONDecodingError) {
        var value = try codeUnit(offset, end: end)
        offset += 6
        if value & 0xFC00 == 0xD800, offset + 6 <= end, byte(offset) == UInt8(ascii: "\\"),
            byte(offset + 1) == UInt8(ascii: "u")
        {
            let low = try codeUnit(offset, end: end)
            if low & 0xFC00 == 0xDC00 {
                value = 0x10000 + (value & 0x3FF) << 10 + low & 0x3FF
                offset += 6
            }
        }
        let scalar = Unicode.Scalar(value) ?? "\u{FFFD}"
        output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }

    private func codeUnit(_ offset: Int, end: Int) throws(JSONDecodingError) -> UInt32 {
        guard offset + 6 <= end else { throw .unexpected(offset: offset) }
        var value: UInt32 = 0
        for index in offset + 2..<offset + 6 {
            guard let digit = Hexadecimal.digit(byte(index)) else { throw .unexpected(offset: index) }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
