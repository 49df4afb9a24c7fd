import TelemetryModel

/// Decides whether a string of the wire is UTF-8, and mends it when not.
enum UTF8Repair {
    /// True when every byte of `range` is valid UTF-8. ASCII, the normal case, is checked eight bytes at a time.
    static func isValid(_ bytes: RawSpan, _ range: WireRange) -> Bool {
        var position = range.offset
        let end = range.end
        precondition(position >= 0 && end <= bytes.byteCount)
        let high: UInt64 = 0x8080_8080_8080_8080
        while end &- position >= 8 {
            let word = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
            if word & high != 0 { return isValidBeyondASCII(bytes, from: position, to: end) }
            position &+= 8
        }
        if position == end { return true }
        if range.count >= 8 {
            // The last eight bytes once more: some of them were seen to be ASCII.
            let word = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: end &- 8, as: UInt64.self)
            return word & high == 0 || isValidBeyondASCII(bytes, from: position, to: end)
        }
        var all: UInt8 = 0
        for index in position..<end { all |= bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self) }
        if all < 0x80 { return true }
        return isValidBeyondASCII(bytes, from: position, to: end)
    }

    private static func isValidBeyondASCII(_ bytes: RawSpan, from start: Int, to end: Int) -> Bool {
        let rest = bytes.extracting(start..<end)
        return rest.withUnsafeBytes { buffer in
            buffer.withMemoryRebound(to: UInt8.self) { text in
                (try? UTF8Span(validating: text.span)) != nil  // Invalid is an answer here, not a fault.
            }
        }
    }

    /// The bytes with each malformed sequence replaced by U+FFFD.
    static func repaired(_ bytes: RawSpan, _ range: WireRange) -> [UInt8] {
        let slice = bytes.extracting(range.offset..<range.end)
        return slice.withUnsafeBytes { buffer in Array(String(decoding: buffer, as: UTF8.self).utf8) }
    }

    /// The largest count up to `limit` that does not cut a scalar of the valid UTF-8 in `range`.
    static func scalarBoundary(_ bytes: RawSpan, _ range: WireRange, limit: Int) -> Int {
        guard range.count > limit else { return range.count }
        var count = limit
        while count > 0, bytes.unsafeLoad(fromByteOffset: range.offset + count, as: UInt8.self) & 0xC0 == 0x80 {
            count -= 1
        }
        return count
    }
}
