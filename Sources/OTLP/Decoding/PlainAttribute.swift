import TelemetryModel

/// An attribute in the layout that every exporter writes: the key, then a value that is one scalar, nothing else. Read without a
/// loop over fields; anything that looks different is left to the general way, which takes all that protobuf allows.
struct PlainAttribute {
    let key: WireRange
    /// The value; the slice of a string is not checked for UTF-8, and the key's index is 0.
    let record: AttributeRecord

    private static let keyTag: UInt8 = 1 << 3 | 2
    private static let valueTag: UInt8 = 2 << 3 | 2
    private static let stringTag: UInt8 = 1 << 3 | 2
    private static let boolTag: UInt8 = 2 << 3 | 0
    private static let intTag: UInt8 = 3 << 3 | 0
    private static let doubleTag: UInt8 = 4 << 3 | 1

    /// Reads the `KeyValue` in `range` of `bytes`; `nil` when it has another layout.
    @inline(__always)
    init?(_ bytes: RawSpan, _ range: WireRange) {
        precondition(range.offset >= 0 && range.count >= 0 && range.end <= bytes.byteCount)
        let end = range.end
        var position = range.offset
        guard let key = Self.field(Self.keyTag, bytes, &position, end), let value = Self.field(Self.valueTag, bytes, &position, end),
            value.end == end, value.count >= 2
        else { return nil }
        self.key = key
        position = value.offset &+ 1
        switch Self.byte(bytes, value.offset) {
        case Self.stringTag:
            position = value.offset
            guard let text = Self.field(Self.stringTag, bytes, &position, end), text.end == end else { return nil }
            record = AttributeRecord(key: 0, kind: .string, slice: ByteSlice(text))
        case Self.intTag:
            guard let number = Self.varint(bytes, position, end) else { return nil }
            record = AttributeRecord(key: 0, kind: .int, payload: number)
        case Self.doubleTag:
            guard value.count == 9 else { return nil }
            let word = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
            record = AttributeRecord(key: 0, kind: .double, payload: UInt64(littleEndian: word))
        case Self.boolTag:
            let byte = Self.byte(bytes, position)
            guard value.count == 2, byte < 2 else { return nil }
            record = AttributeRecord(key: 0, kind: .bool, payload: UInt64(byte))
        default: return nil
        }
    }

    /// The value of a length-delimited field of at most 16 KiB that begins at `position`, which moves behind it.
    @inline(__always)
    private static func field(_ tag: UInt8, _ bytes: RawSpan, _ position: inout Int, _ end: Int) -> WireRange? {
        guard end &- position >= 2, byte(bytes, position) == tag else { return nil }
        var count = Int(byte(bytes, position &+ 1))
        position &+= 2
        if count >= 0x80 {
            guard position < end else { return nil }
            let high = Int(byte(bytes, position))
            guard high < 0x80 else { return nil }
            count = count & 0x7F | high << 7
            position &+= 1
        }
        guard count <= end &- position else { return nil }
        let range = WireRange(offset: position, count: count)
        position &+= count
        return range
    }

    /// The varint that fills the bytes from `position` to `end`.
    @inline(__always)
    private static func varint(_ bytes: RawSpan, _ position: Int, _ end: Int) -> UInt64? {
        // Nine bytes hold 63 bits; a negative number has ten, and goes the general way.
        guard end &- position <= 9 else { return nil }
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var position = position
        while position < end {
            let byte = byte(bytes, position)
            position &+= 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return position == end ? value : nil }
            shift &+= 7
        }
        return nil
    }

    @inline(__always)
    private static func byte(_ bytes: RawSpan, _ position: Int) -> UInt8 {
        bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
    }
}
