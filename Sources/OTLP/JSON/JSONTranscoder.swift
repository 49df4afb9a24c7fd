package import TelemetryModel

/// Turns an OTLP/JSON request into the protobuf request that says the same, in one pass, so that one decoder reads both.
///
/// Fields that hold their default are left out and all others come in the order of the text, each in its shortest form: what an
/// exporter sends in JSON becomes the bytes that it would have sent in protobuf, if it orders fields by their numbers.
///
/// It takes more than the protocol asks for: the original field names beside lower camel case, the names of enumerations beside
/// their integers, integers with a fraction of zero. Unknown fields are skipped. An id that is no hexadecimal text is written as
/// an empty one, so that its span alone is refused. What is of the wrong type or out of range refuses the request.
package enum JSONTranscoder {
    /// The protobuf form of `body`, a JSON object that is the message `root`.
    ///
    /// - Parameter limit: bytes of the result at most; packed numbers may take more than their text.
    package static func protobuf(
        _ body: [UInt8], as root: MessageName, limit: Int
    ) throws(JSONDecodingError) -> [UInt8] {
        var transcoding = Transcoding(limit: limit)
        let bytes = body.span.bytes
        var reader = JSONReader(bytes)
        try transcoding.object(&reader, root, depth: 0)
        try reader.expectEnd()
        return transcoding.writer.finish()
    }
}

private struct Transcoding {
    var writer = NestedWireWriter()
    let limit: Int

    // MARK: Messages

    mutating func object(_ reader: inout JSONReader, _ message: MessageName, depth: Int) throws(JSONDecodingError) {
        let schema = message.schema
        guard try reader.peek() == UInt8(ascii: "{") else { throw .unexpected(offset: reader.position) }
        try reader.enter(depth)
        if try reader.take(UInt8(ascii: "}")) { return }
        // Exporters write fields in the order of the table: the search goes on where the last one ended.
        var hint = 0
        repeat {
            let key = try reader.text()
            try reader.expect(UInt8(ascii: ":"))
            if try reader.takeNull() { continue }
            if let index = try find(key, in: schema, reader, from: hint) {
                hint = index
                try field(&reader, schema.fields[index], depth: depth + 1)
            } else {
                try reader.skipValue(depth: depth + 1)
            }
        } while try reader.take(UInt8(ascii: ","))
        try reader.expect(UInt8(ascii: "}"))
        guard writer.count <= limit else { throw .tooLarge(limit: limit) }
    }

    /// The index of the field that the key names.
    private func find(
        _ key: JSONReader.Text, in schema: MessageSchema, _ reader: borrowing JSONReader, from hint: Int
    ) throws(JSONDecodingError) -> Int? {
        let count = schema.fields.count
        if key.hasEscapes {
            let text = try reader.unescaped(key)
            return schema.fields.firstIndex { $0.name == text || $0.originalName == text }
        }
        for step in 0..<count {
            let index = hint + step < count ? hint + step : hint + step - count
            if reader.holds(key, schema.fields[index].name) || reader.holds(key, schema.fields[index].originalName) {
                return index
            }
        }
        return nil
    }

    private mutating func field(
        _ reader: inout JSONReader, _ field: FieldSchema, depth: Int
    ) throws(JSONDecodingError) {
        guard field.isRepeated else { return try value(&reader, field, depth: depth) }
        guard try reader.peek() == UInt8(ascii: "[") else { throw reader.wrongType(field, "an array") }
        try reader.enter(depth)
        if try reader.take(UInt8(ascii: "]")) { return }
        switch field.type {
        case .message, .string:
            repeat { try value(&reader, field, depth: depth + 1) } while try reader.take(UInt8(ascii: ","))
        default:
            writer.beginMessage(field.number)
            repeat {
                try scalar(&reader, field)
                guard writer.count <= limit else { throw .tooLarge(limit: limit) }
            } while try reader.take(UInt8(ascii: ","))
            writer.endMessage()
        }
        try reader.expect(UInt8(ascii: "]"))
    }

    // MARK: Values

    /// Writes a field with its tag.
    private mutating func value(
        _ reader: inout JSONReader, _ field: FieldSchema, depth: Int
    ) throws(JSONDecodingError) {
        let keepsDefault = field.hasPresence || field.isRepeated
        switch field.type {
        case .message(let message):
            // Of several values none may be null; to the one that is, an empty message is closest.
            writer.beginMessage(field.number)
            if try !reader.takeNull() {
                guard try reader.peek() == UInt8(ascii: "{") else { throw reader.wrongType(field, "an object") }
                try object(&reader, message, depth: depth)
            }
            writer.endMessage()
        case .string:
            let text = try string(&reader, field, "a string")
            guard keepsDefault || text.range.count > 0 else { return }
            if text.hasEscapes {
                writer.lengthDelimited(field.number, try reader.unescaped(text))
            } else {
                writer.lengthDelimited(field.number, reader.bytes, text.range)
            }
        case .identifier:
            let id = try reader.hexadecimal(string(&reader, field, "a string of hexadecimal digits"))
            if !id.isEmpty { writer.lengthDelimited(field.number, id) }
        case .bytes:
            let text = try string(&reader, field, "a base64 string")
            guard let bytes = Base64.decoded(try reader.unescaped(text)[...]) else {
                throw reader.wrongType(field, "a base64 string")
            }
            writer.lengthDelimited(field.number, bytes)
        default:
            let bits = try number(&reader, field)
            guard keepsDefault || bits != 0 else { return }
            writer.tag(field.number, field.type.wireType)
            write(bits, field.type)
        }
    }

    /// Writes an element of a packed field.
    private mutating func scalar(_ reader: inout JSONReader, _ field: FieldSchema) throws(JSONDecodingError) {
        write(try number(&reader, field), field.type)
    }

    private mutating func write(_ bits: UInt64, _ type: FieldType) {
        switch type.wireType {
        case .fixed64: writer.fixed64(bits)
        case .fixed32: writer.fixed32(UInt32(truncatingIfNeeded: bits))
        default: writer.varint(bits)
        }
    }

    private func string(
        _ reader: inout JSONReader, _ field: FieldSchema, _ expected: String
    ) throws(JSONDecodingError) -> JSONReader.Text {
        guard try reader.peek() == UInt8(ascii: "\"") else { throw reader.wrongType(field, expected) }
        return try reader.text()
    }

    /// The bits that a number, bool or enumeration has on the wire.
    private func number(_ reader: inout JSONReader, _ field: FieldSchema) throws(JSONDecodingError) -> UInt64 {
        switch field.type {
        case .bool: return try reader.bool(field) ? 1 : 0
        case .double: return try reader.double(field).bitPattern
        case .enumeration(let names): return try reader.enumeration(field, names)
        default: break
        }
        let integer = try reader.integer(field)
        switch field.type {
        case .uint32, .fixed32: if let value = integer.unsigned.flatMap({ UInt32(exactly: $0) }) { return UInt64(value) }
        case .uint64, .fixed64: if let value = integer.unsigned { return value }
        case .int32: if let value = integer.signed.flatMap({ Int32(exactly: $0) }) { return UInt64(bitPattern: Int64(value)) }
        case .sint32:
            if let value = integer.signed.flatMap({ Int32(exactly: $0) }) {
                return UInt64(UInt32(bitPattern: value << 1 ^ value >> 31))
            }
        default: if let value = integer.signed { return UInt64(bitPattern: value) }
        }
        throw reader.wrongType(field, "within the range of \(field.type.rangeName)")
    }
}

extension FieldType {
    /// How a single value is laid out in protobuf.
    package var wireType: WireType {
        switch self {
        case .string, .identifier, .bytes, .message: .lengthDelimited
        case .fixed64, .sfixed64, .double: .fixed64
        case .fixed32: .fixed32
        case .bool, .uint32, .int32, .int64, .uint64, .sint32, .enumeration: .varint
        }
    }

    fileprivate var rangeName: String {
        switch self {
        case .uint32, .fixed32: "an unsigned 32-bit integer"
        case .uint64, .fixed64: "an unsigned 64-bit integer"
        case .int32, .sint32, .enumeration: "a 32-bit integer"
        default: "a 64-bit integer"
        }
    }
}

extension JSONReader {
    /// The error of a value that is not what the field holds.
    fileprivate func wrongType(_ field: FieldSchema, _ expected: String) -> JSONDecodingError {
        .wrongType(field: String(decoding: field.name, as: UTF8.self), expected: expected, offset: position)
    }

    @inline(__always)
    fileprivate func holds(_ text: Text, _ name: [UInt8]) -> Bool {
        guard text.range.count == name.count else { return false }
        for index in name.indices where byte(text.range.offset &+ index) != name[index] { return false }
        return true
    }

    /// The bytes that hexadecimal text writes; none when it is not that.
    fileprivate func hexadecimal(_ text: Text) throws(JSONDecodingError) -> [UInt8] {
        guard !text.hasEscapes, text.range.count.isMultiple(of: 2) else { return [] }
        var output: [UInt8] = []
        output.reserveCapacity(text.range.count / 2)
        for offset in stride(from: text.range.offset, to: text.range.end, by: 2) {
            guard let high = Hexadecimal.digit(byte(offset)), let low = Hexadecimal.digit(byte(offset + 1)) else { return [] }
            output.append(high << 4 | low)
        }
        return output
    }

    /// The number that comes next, bare or in quotes.
    @_lifetime(self: copy self)
    private mutating func numberText(_ field: FieldSchema, _ expected: String) throws(JSONDecodingError) -> WireRange {
        switch try peek() {
        case UInt8(ascii: "\""):
            let text = try text()
            guard !text.hasEscapes, text.range.count <= 512 else { throw wrongType(field, expected) }
            return text.range
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw wrongType(field, expected)
        }
    }

    @_lifetime(self: copy self)
    fileprivate mutating func integer(_ field: FieldSchema) throws(JSONDecodingError) -> JSONNumber.Integer {
        let range = try numberText(field, "an integer")
        guard let integer = JSONNumber.integer(bytes, range) else {
            throw wrongType(field, "an integer within the range of \(field.type.rangeName)")
        }
        return integer
    }

    @_lifetime(self: copy self)
    fileprivate mutating func double(_ field: FieldSchema) throws(JSONDecodingError) -> Double {
        let range = try numberText(field, "a number")
        if let value = JSONNumber.double(bytes, range) { return value }
        switch bytes.text(range) {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default: throw wrongType(field, "a number")
        }
    }

    @_lifetime(self: copy self)
    fileprivate mutating func bool(_ field: FieldSchema) throws(JSONDecodingError) -> Bool {
        switch try peek() {
        case UInt8(ascii: "t"):
            try literal("true")
            return true
        case UInt8(ascii: "f"):
            try literal("false")
            return false
        default: throw wrongType(field, "true or false")
        }
    }

    @_lifetime(self: copy self)
    fileprivate mutating func enumeration(
        _ field: FieldSchema, _ names: EnumerationNames
    ) throws(JSONDecodingError) -> UInt64 {
        let range = try numberText(field, "an integer of its enumeration")
        if let value = JSONNumber.integer(bytes, range)?.signed.flatMap({ Int32(exactly: $0) }) ?? names.value(of: bytes.text(range)) {
            return UInt64(bitPattern: Int64(value))
        }
        throw wrongType(field, "an integer of its enumeration")
    }
}
