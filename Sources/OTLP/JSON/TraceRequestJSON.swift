package import TelemetryModel

/// The request of a trace export as OTLP's JSON: lower camel case names, ids in hexadecimal, 64-bit integers as strings, enumerations
/// as numbers, bytes as base64. One line a request is the format of OTLP files, which collectors read and write.
package enum TraceRequestJSON {
    /// Messages inside messages that are written; what was decoded is below it.
    private static let depthMax = 160

    /// The batch as one line of JSON, without a line break.
    package static func encode(_ batch: SpanBatch) throws(WireError) -> [UInt8] {
        var json = JSONWriter()
        let bytes = TraceRequestMessage.encode(batch)
        try message(bytes, WireRange(offset: 0, count: bytes.count), .traceRequest, 0, &json)
        return json.bytes
    }

    /// Writes a message by its schema: fields in the schema's order, each with all its values; unknown fields are left out.
    private static func message(
        _ bytes: [UInt8], _ range: WireRange, _ name: MessageName, _ depth: Int, _ json: inout JSONWriter
    ) throws(WireError) {
        var values: [(field: Int, value: WireValue)] = []
        var reader = WireReader(bytes.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            if let value = try WireValue(tag, &reader) { values.append((tag.field, value)) } else { try reader.skip(tag) }
        }
        json.raw("{")
        var isFirst = true
        for field in name.schema.fields where depth < depthMax {
            let found = values.filter { $0.field == field.number }.map(\.value)
            guard let last = found.last else { continue }
            if !isFirst { json.raw(",") }
            isFirst = false
            json.string(field.name[...])
            json.raw(field.isRepeated ? ":[" : ":")
            for (index, value) in (field.isRepeated ? found : [last]).enumerated() {
                if index > 0 { json.raw(",") }
                try self.value(value, bytes, field.type, depth, &json)
            }
            if field.isRepeated { json.raw("]") }
        }
        json.raw("}")
    }

    private static func value(
        _ value: WireValue, _ bytes: [UInt8], _ type: FieldType, _ depth: Int, _ json: inout JSONWriter
    ) throws(WireError) {
        switch (type, value) {
        case (.message(let name), .bytes(let range)): try message(bytes, range, name, depth + 1, &json)
        case (.string, .bytes(let range)): json.string(bytes[range.offset..<range.end])
        case (.identifier, .bytes(let range)): json.string(hexadecimal(bytes[range.offset..<range.end]))
        case (.bytes, .bytes(let range)): json.base64(bytes[range.offset..<range.end])
        case (.int64, .number(let number)), (.sfixed64, .number(let number)): json.raw("\"\(Int64(bitPattern: number))\"")
        case (.uint64, .number(let number)), (.fixed64, .number(let number)): json.raw("\"\(number)\"")
        case (.uint32, .number(let number)), (.fixed32, .number(let number)): json.raw("\(UInt32(truncatingIfNeeded: number))")
        case (.int32, .number(let number)), (.enumeration, .number(let number)):
            json.raw("\(Int32(truncatingIfNeeded: number))")
        case (.bool, .number(let number)): json.bool(number != 0)
        case (.double, .number(let bits)): json.double(Double(bitPattern: bits))
        // The bytes are our own encoder's, or were checked when they came: traces have no other pairs.
        default: json.raw("null")
        }
    }

    private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}

/// A value as it stands on the wire.
private enum WireValue {
    case number(UInt64)
    case bytes(WireRange)

    /// `nil` for a wire type that no field of a trace has; then nothing is read.
    init?(_ tag: WireTag, _ reader: inout WireReader) throws(WireError) {
        switch tag.type {
        case .varint: self = .number(try reader.varint())
        case .fixed64: self = .number(try reader.fixed64())
        case .fixed32: self = .number(UInt64(try reader.fixed32()))
        case .lengthDelimited: self = .bytes(try reader.lengthDelimited())
        case .startGroup, .endGroup: return nil
        }
    }
}
