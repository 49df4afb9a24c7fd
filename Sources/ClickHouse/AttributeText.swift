import TelemetryModel

/// Attributes as the collector's exporter writes them into a `Map(String, String)`: texts as they are, numbers in decimal, bools as words,
/// bytes in base64, arrays and lists as JSON.
struct AttributeText {
    /// Integral doubles beyond are written with an exponent.
    private static let integralMax = 1e15

    private var json = JSONWriter()

    /// Puts a pair into a map.
    mutating func append(_ key: ArraySlice<UInt8>, _ value: AttributeRecord, in bytes: [UInt8], to map: inout NativeMap) {
        map.append(key, text(value, in: bytes))
    }

    /// A value's text; empty for none.
    mutating func text(_ value: AttributeRecord, in bytes: [UInt8]) -> ArraySlice<UInt8> {
        let range = value.slice.range
        switch value.kind {
        case .empty: return []
        case .string: return bytes[range.offset..<range.end]
        case .bool: return Array((value.bool ? "true" : "false").utf8)[...]
        case .int: return Array(String(value.int).utf8)[...]
        case .double: return Array(Self.text(value.double).utf8)[...]
        case .bytes:
            json.clear()
            json.base64(bytes[range.offset..<range.end])
            return json.bytes.dropFirst().dropLast()
        case .array, .keyValueList:
            json.clear()
            WireJSON.value(value.kind, bytes, range, into: &json)
            return json.bytes[...]
        }
    }

    private static func text(_ double: Double) -> String {
        if double.isNaN { return "NaN" }
        if double.isInfinite { return double < 0 ? "-Infinity" : "Infinity" }
        return double.rounded(.towardZero) == double && abs(double) < integralMax ? String(Int64(double)) : "\(double)"
    }

    /// The map in a repeated `KeyValue` field of an encoded message. The bytes were checked when they came in; what cannot be read any more
    /// is left out.
    mutating func map(_ bytes: [UInt8], _ range: WireRange, field: Int, into map: inout NativeMap) {
        map.clear()
        do throws(WireError) {
            var reader = WireReader(bytes.span.bytes, range: range)
            while let tag = try reader.nextTag() {
                guard tag == WireTag(field: field, type: .lengthDelimited) else {
                    try reader.skip(tag)
                    continue
                }
                let pair = try WireAttribute(bytes.span.bytes, reader.lengthDelimited())
                append(bytes[pair.key.offset..<pair.key.end], pair.value, in: bytes, to: &map)
            }
        } catch {
            return
        }
    }
}
