import TelemetryModel

/// Bytes of a column or a stream while they are being put together.
extension RecordBuffer<UInt8> {
    @inline(__always)
    mutating func appendVarint(_ value: Int) {
        var rest = UInt64(bitPattern: Int64(value))
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    mutating func append(_ range: WireRange, of bytes: RawSpan) {
        bytes.extracting(range.offset..<range.end).withUnsafeBytes { append($0) }
    }

    @inline(__always)
    mutating func appendPrefixed(_ range: WireRange, of bytes: RawSpan) {
        appendVarint(range.count)
        append(range, of: bytes)
    }

    mutating func appendPrefixed(_ text: String) {
        var text = text
        text.withUTF8 {
            appendVarint($0.count)
            append(UnsafeRawBufferPointer($0))
        }
    }
}
