/// Numbers and texts as segments have them. Public, since the journal of each commit is written by it as well (docs/adr/0007).
extension [UInt8] {
    /// Seven bits a byte, the lowest first.
    @inlinable
    public mutating func appendVarint(_ value: Int) {
        var rest = UInt64(bitPattern: Int64(value))
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// The low `width` bytes of a value, least significant first.
    @inlinable
    @inline(__always)
    public mutating func appendLittleEndian(_ value: UInt64, width: Int) {
        var rest = value
        for _ in 0..<width {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    /// All eight bytes of a value.
    @inlinable
    public mutating func appendLittleEndian(_ value: UInt64) {
        appendLittleEndian(value, width: 8)
    }

    /// A text behind its length.
    @inlinable
    public mutating func appendPrefixed(_ text: String) {
        appendVarint(text.utf8.count)
        append(contentsOf: text.utf8)
    }
}

extension UInt64 {
    /// The bytes that hold the value without leading zeros, 0 to 8.
    @inline(__always)
    var byteWidth: Int { (64 - leadingZeroBitCount + 7) / 8 }
}

/// Reads what `ByteCoding` writes. Every read is checked, since what is read may have been damaged on disk.
/// Public, as is the writing side.
public struct ByteCursor {
    /// All bytes, of which the cursor reads a range.
    public let bytes: [UInt8]
    /// Where the next read begins.
    public var position: Int
    /// Where the range ends.
    public let end: Int

    /// Throws when the range does not lie in the bytes.
    public init(_ bytes: [UInt8], range: Range<Int>? = nil) throws(SegmentError) {
        let range = range ?? 0..<bytes.count
        guard range.lowerBound >= 0, range.upperBound <= bytes.count else { throw .damaged("a range past its stream") }
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    /// Reads bytes that this process wrote a moment ago, whole.
    public init(trusted bytes: [UInt8]) {
        self.bytes = bytes
        position = 0
        end = bytes.count
    }

    /// The next byte.
    @inlinable
    public mutating func byte() throws(SegmentError) -> UInt8 {
        guard position < end else { throw .damaged("cut short") }
        defer { position += 1 }
        return bytes[position]
    }

    /// A varint that is used as a count or an offset.
    @inlinable
    public mutating func count() throws(SegmentError) -> Int {
        // Most are small.
        if position < end, bytes[position] < 0x80 {
            defer { position += 1 }
            return Int(bytes[position])
        }
        return try longCount()
    }

    @usableFromInline
    mutating func longCount() throws(SegmentError) -> Int {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 63 {
            let byte = try byte()
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return Int(value) }
            shift += 7
        }
        throw .damaged("an overlong number")
    }

    /// A value of the next `width` bytes, least significant first.
    @inlinable
    public mutating func littleEndian(width: Int = 8) throws(SegmentError) -> UInt64 {
        guard width <= 8, end - position >= width else { throw .damaged("cut short") }
        if width == 8 {
            defer { position += 8 }
            return bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: UInt64.self)) }
        }
        var value: UInt64 = 0
        for index in 0..<width { value |= UInt64(bytes[position + index]) << UInt64(8 * index) }
        position += width
        return value
    }

    /// The range of the next `count` bytes, which it steps over.
    @inlinable
    public mutating func range(_ count: Int) throws(SegmentError) -> Range<Int> {
        guard count >= 0, end - position >= count else { throw .damaged("cut short") }
        defer { position += count }
        return position..<position + count
    }

    /// The range of bytes that stand behind their length.
    @inlinable
    public mutating func prefixedRange() throws(SegmentError) -> Range<Int> {
        try range(count())
    }

    /// A text behind its length.
    @inlinable
    public mutating func prefixedText() throws(SegmentError) -> String {
        String(decoding: bytes[try prefixedRange()], as: UTF8.self)
    }
}

/// What is wrong with stored segment bytes. Never retryable: the file is damaged, or written by a newer version.
public enum SegmentError: Error, Equatable, Sendable {
    case damaged(String)
    case unknownVersion(UInt8)

    /// Whether another attempt may succeed.
    package var isRetryable: Bool { false }

    package var message: String {
        switch self {
        case .damaged(let what): "a segment of the store is damaged (\(what)); restore the data folder from a backup"
        case .unknownVersion(let version):
            "a segment has format version \(version), newer than this program knows; use the version that wrote it"
        }
    }
}
