import TelemetryModel

/// Takes out of a protobuf request what the rules say, before anything else sees it: whatever is stored, derived or shown comes
/// from what this gives back.
///
/// Every text of every field is looked at: keys, values at any depth, names, messages, states; bytes values too. Fields that the
/// schema does not know are left out, since nobody can say what they hold.
package struct Redactor: Sendable {
    /// Messages in each other: attribute values of 64 levels take two each, their envelopes the rest.
    private static let depthMax = 160

    private let rules: RedactionRules

    package init(_ rules: RedactionRules) {
        self.rules = rules
    }

    /// The request without what the rules hide.
    package func redacted(_ body: [UInt8], as root: MessageName) throws(OTLPDecodingError) -> [UInt8] {
        var writer = NestedWireWriter()
        do throws(WireError) {
            try message(body, WireRange(offset: 0, count: body.count), root, depth: 0, &writer)
        } catch {
            throw .malformed(error)
        }
        return writer.finish()
    }

    private func message(
        _ body: [UInt8], _ range: WireRange, _ name: MessageName, depth: Int, _ writer: inout NestedWireWriter
    ) throws(WireError) {
        guard depth <= Self.depthMax else { throw .tooDeep }
        let schema = name.schema
        if name == .keyValue, try isHidden(body, range) { return try hide(body, range, &writer) }
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            guard let field = schema.field(number: tag.field) else {
                try reader.skip(tag)
                continue
            }
            let isPacked = field.isRepeated && tag.type == .lengthDelimited
            if !isPacked { try tag.expect(field.type.wireType) }
            switch field.type {
            case .message(let nested):
                let range = try reader.lengthDelimited()
                writer.beginMessage(field.number)
                try message(body, range, nested, depth: depth + 1, &writer)
                writer.endMessage()
            case .string, .bytes:
                let value = try reader.lengthDelimited()
                let text = body[value.offset..<value.end]
                if let clean = rules.redacted(text) {
                    writer.lengthDelimited(field.number, clean)
                } else {
                    writer.lengthDelimited(field.number, text)
                }
            case .int64 where name == .anyValue: integer(try reader.varint(), field.number, &writer)
            default: try copy(body, tag, &reader, &writer)
            }
        }
    }

    /// An integer may be a card's number.
    private func integer(_ value: UInt64, _ field: Int, _ writer: inout NestedWireWriter) {
        if rules.redacted(Array("\(Int64(bitPattern: value))".utf8)[...]) != nil {
            writer.lengthDelimited(1, RedactionRules.replacement.utf8)
        } else {
            writer.tag(field, .varint)
            writer.varint(value)
        }
    }

    private func copy(
        _ body: [UInt8], _ tag: WireTag, _ reader: inout WireReader, _ writer: inout NestedWireWriter
    ) throws(WireError) {
        switch tag.type {
        case .varint:
            let value = try reader.varint()
            writer.tag(tag.field, .varint)
            writer.varint(value)
        case .fixed64:
            let value = try reader.fixed64()
            writer.tag(tag.field, .fixed64)
            writer.fixed64(value)
        case .fixed32:
            let value = try reader.fixed32()
            writer.tag(tag.field, .fixed32)
            writer.fixed32(value)
        case .lengthDelimited:
            let range = try reader.lengthDelimited()
            writer.lengthDelimited(tag.field, body[range.offset..<range.end])
        case .startGroup, .endGroup: try reader.skip(tag)
        }
    }

    /// Whether the key of an attribute is one whose value is taken out.
    private func isHidden(_ body: [UInt8], _ range: WireRange) throws(WireError) -> Bool {
        var reader = WireReader(body.span.bytes, range: range)
        var key = WireRange(offset: range.offset, count: 0)
        while let tag = try reader.nextTag() {
            if tag.field == 1 { key = try reader.lengthDelimited(tag) } else { try reader.skip(tag) }
        }
        return rules.hides(key: body[key.offset..<key.end])
    }

    /// Writes an attribute's key and says that its value was taken out.
    private func hide(_ body: [UInt8], _ range: WireRange, _ writer: inout NestedWireWriter) throws(WireError) {
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            guard tag.field == 1 else {
                try reader.skip(tag)
                continue
            }
            let key = try reader.lengthDelimited(tag)
            let text = body[key.offset..<key.end]
            writer.lengthDelimited(1, rules.redacted(text) ?? Array(text))
        }
        writer.beginMessage(2)
        writer.lengthDelimited(1, RedactionRules.replacement.utf8)
        writer.endMessage()
    }
}
