/// What makes protobuf bytes unreadable. None is retryable: the same bytes fail the same way.
public enum WireError: Error, Equatable, Sendable {
    /// A field or message ends past the end of its container.
    case truncated
    /// A varint of more than ten bytes, or one whose value exceeds 64 bits.
    case varintTooLong
    /// Field number 0, a field number above 2^29-1, or a wire type that protobuf does not define.
    case invalidTag
    /// A group without its end, or an end without its group.
    case unbalancedGroup
    /// Values or groups nested deeper than the reader's limit.
    case tooDeep
    /// A field of the schema came with another wire type than the schema gives it.
    case wrongWireType(field: Int)
    /// More distinct attribute keys than the decoder's limit.
    case tooManyKeys

    public var isRetryable: Bool { false }
}

/// How the value after a tag is laid out. Raw values are protobuf's.
public enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5
}

/// A field's number and the wire type of its value.
public struct WireTag: Equatable, Sendable {
    public var field: Int
    public var type: WireType

    @inlinable
    public init(field: Int, type: WireType) {
        self.field = field
        self.type = type
    }
}

/// Where a length-delimited value lies in the bytes that are being read.
public struct WireRange: Equatable, Sendable {
    public var offset: Int
    public var count: Int

    @inlinable
    public init(offset: Int, count: Int) {
        self.offset = offset
        self.count = count
    }

    @inlinable
    public var end: Int { offset &+ count }
}

/// One bounds-checked forward pass over protobuf wire bytes: every read is checked against the end of its message, and nothing
/// is copied. The whole of Fusebox's protobuf input goes through this type (docs/adr/0002-own-wire-reader.md).
public struct WireReader: ~Escapable {
    /// Groups may nest this deep inside an unknown field; OTLP has none.
    public static let groupDepthMax = 16

    @usableFromInline let bytes: RawSpan
    @usableFromInline var position: Int
    @usableFromInline let end: Int

    /// Reads `range` of `bytes`; the range must lie inside.
    @inlinable
    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan, range: WireRange) {
        precondition(range.offset >= 0 && range.count >= 0 && range.end <= bytes.byteCount)
        self.bytes = bytes
        self.position = range.offset
        self.end = range.end
    }

    @inlinable
    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) {
        self.bytes = bytes
        self.position = 0
        self.end = bytes.byteCount
    }

    @inlinable
    public var isAtEnd: Bool { position >= end }

    /// The next tag; `nil` at the end of the message.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func nextTag() throws(WireError) -> WireTag? {
        if position >= end { return nil }
        let raw = try varint()
        let field = raw >> 3
        guard field != 0, field < 1 << 29, let type = WireType(rawValue: UInt8(truncatingIfNeeded: raw) & 7) else {
            throw .invalidTag
        }
        return WireTag(field: Int(field), type: type)
    }

    /// Reads the next field's value if its tag is this byte: of a field below 16, length-delimited.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func take(_ tag: UInt8, into value: inout WireRange) throws(WireError) -> Bool {
        guard position < end, bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self) == tag else { return false }
        position &+= 1
        value = try lengthDelimited()
        return true
    }

    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func varint() throws(WireError) -> UInt64 {
        if position < end {
            let byte = bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
            if byte < 0x80 {
                position &+= 1
                return UInt64(byte)
            }
        }
        return try longVarint()
    }

    @usableFromInline
    @_lifetime(self: copy self)
    mutating func longVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end {
            let byte = bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
            position &+= 1
            if shift == 63 && byte > 1 { throw .varintTooLong }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift &+= 7
            if shift > 63 { throw .varintTooLong }
        }
        throw .truncated
    }

    /// Eight bytes, little-endian on the wire.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func fixed64() throws(WireError) -> UInt64 {
        guard end &- position >= 8 else { throw .truncated }
        let value = bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
        position &+= 8
        return UInt64(littleEndian: value)
    }

    /// Four bytes, little-endian on the wire.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func fixed32() throws(WireError) -> UInt32 {
        guard end &- position >= 4 else { throw .truncated }
        let value = bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self)
        position &+= 4
        return UInt32(littleEndian: value)
    }

    /// A length and the range of that many bytes, which it steps over.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func lengthDelimited() throws(WireError) -> WireRange {
        let length = try varint()
        guard length <= UInt64(end &- position) else { throw .truncated }
        let range = WireRange(offset: position, count: Int(length))
        position = range.end
        return range
    }

    /// The length-delimited value of a field that must be one.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func lengthDelimited(_ tag: WireTag) throws(WireError) -> WireRange {
        try tag.expect(.lengthDelimited)
        return try lengthDelimited()
    }

    /// The varint value of a field that must be one.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func varint(_ tag: WireTag) throws(WireError) -> UInt64 {
        try tag.expect(.varint)
        return try varint()
    }

    /// The 64-bit value of a field that must be one.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func fixed64(_ tag: WireTag) throws(WireError) -> UInt64 {
        try tag.expect(.fixed64)
        return try fixed64()
    }

    /// The 32-bit value of a field that must be one.
    @inlinable
    @inline(__always)
    @_lifetime(self: copy self)
    public mutating func fixed32(_ tag: WireTag) throws(WireError) -> UInt32 {
        try tag.expect(.fixed32)
        return try fixed32()
    }

    /// Steps over the value of a field that the schema does not know.
    @inlinable
    @_lifetime(self: copy self)
    public mutating func skip(_ tag: WireTag) throws(WireError) {
        switch tag.type {
        case .varint: _ = try varint()
        case .fixed64: _ = try fixed64()
        case .fixed32: _ = try fixed32()
        case .lengthDelimited: _ = try lengthDelimited()
        case .startGroup: try skipGroup(tag.field)
        case .endGroup: throw .unbalancedGroup
        }
    }

    @usableFromInline
    @_lifetime(self: copy self)
    mutating func skipGroup(_ field: Int) throws(WireError) {
        var open = [field]
        while let innermost = open.last {
            guard let tag = try nextTag() else { throw .unbalancedGroup }
            switch tag.type {
            case .startGroup:
                guard open.count < Self.groupDepthMax else { throw .tooDeep }
                open.append(tag.field)
            case .endGroup:
                guard tag.field == innermost else { throw .unbalancedGroup }
                open.removeLast()
            default: try skip(tag)
            }
        }
    }
}

extension WireTag {
    /// Checks the wire type that the schema gives this field.
    @inlinable
    @inline(__always)
    public func expect(_ type: WireType) throws(WireError) {
        guard self.type == type else { throw .wrongWireType(field: field) }
    }
}
