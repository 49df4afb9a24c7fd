/// A `KeyValue` that was kept in its wire encoding and checked when it came in, read for whoever looks for a few keys.
package struct WireAttribute {
    /// Where the key lies.
    package var key: WireRange
    /// The value; its slice points into the bytes that were read, its key means nothing.
    package var value = AttributeRecord(key: 0, kind: .empty, payload: 0)

    /// Reads the message in `range` of `bytes`.
    package init(_ bytes: RawSpan, _ range: WireRange) throws(WireError) {
        key = WireRange(offset: range.offset, count: 0)
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: key = try reader.lengthDelimited(tag)
            case 2: value = try Self.value(bytes, reader.lengthDelimited(tag))
            default: try reader.skip(tag)
            }
        }
    }

    /// The `AnyValue` in `range`; of members of its oneof that come twice the last counts. Nested values are not looked into.
    package static func value(_ bytes: RawSpan, _ range: WireRange) throws(WireError) -> AttributeRecord {
        var record = AttributeRecord(key: 0, kind: .empty, payload: 0)
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: record = AttributeRecord(key: 0, kind: .string, slice: ByteSlice(try reader.lengthDelimited(tag)))
            case 2: record = AttributeRecord(key: 0, kind: .bool, payload: try reader.varint(tag) != 0 ? 1 : 0)
            case 3: record = AttributeRecord(key: 0, kind: .int, payload: try reader.varint(tag))
            case 4: record = AttributeRecord(key: 0, kind: .double, payload: try reader.fixed64(tag))
            case 5: record = AttributeRecord(key: 0, kind: .array, slice: ByteSlice(try reader.lengthDelimited(tag)))
            case 6: record = AttributeRecord(key: 0, kind: .keyValueList, slice: ByteSlice(try reader.lengthDelimited(tag)))
            case 7: record = AttributeRecord(key: 0, kind: .bytes, slice: ByteSlice(try reader.lengthDelimited(tag)))
            case 8:
                // An index into a table that only profiles have.
                _ = try reader.varint(tag)
                record = AttributeRecord(key: 0, kind: .empty, payload: 0)
            default: try reader.skip(tag)
            }
        }
        return record
    }
}

extension ResourceIdentity {
    /// The service of an encoded `Resource`, by the same rule as for spans.
    package static func serviceName(_ bytes: [UInt8], _ range: WireRange) -> String {
        var name: String?
        do throws(WireError) {
            var reader = WireReader(bytes.span.bytes, range: range)
            while let tag = try reader.nextTag() {
                guard tag == WireTag(field: 1, type: .lengthDelimited) else {
                    try reader.skip(tag)
                    continue
                }
                let attribute = try WireAttribute(bytes.span.bytes, reader.lengthDelimited())
                guard bytes[attribute.key.offset..<attribute.key.end].elementsEqual("service.name".utf8) else { continue }
                let value = attribute.value
                let isText = value.kind == .string && !value.slice.isEmpty
                name = isText ? String(decoding: bytes[value.slice.range.offset..<value.slice.range.end], as: UTF8.self) : nil
            }
        } catch {
            // It was checked when it came in; a resource that does not read any more names no service.
        }
        return name ?? "unknown_service"
    }
}
