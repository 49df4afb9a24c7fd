package import TelemetryModel

/// A record's body and attributes as they lie in the contents of a log segment.
package struct LogContent {
    /// What the body is; of kinds with bytes its slice lies in the contents.
    package private(set) var body = AttributeRecord(key: 0, kind: .empty, payload: 0)
    /// Encoded `KeyValue` messages in field `LogSegmentFormat.attributesField`.
    package private(set) var attributes = WireRange(offset: 0, count: 0)

    static func append(_ record: LogRecord, of batch: LogBatch, to bytes: inout [UInt8]) {
        let body = record.body
        bytes.append(body.kind.rawValue)
        switch body.kind {
        case .empty: break
        case .bool: bytes.append(body.bool ? 1 : 0)
        case .int, .double: bytes.appendLittleEndian(body.payload)
        case .string, .array, .keyValueList, .bytes:
            bytes.appendVarint(Int(body.slice.count))
            bytes.append(contentsOf: batch.bytes(body.slice))
        }
        for attribute in batch.attributes[record.attributes.indices] {
            bytes.append(UInt8(LogSegmentFormat.attributesField << 3) | WireType.lengthDelimited.rawValue)
            bytes.appendVarint(Int(attribute.count))
            bytes.append(contentsOf: batch.bytes(attribute))
        }
    }

    /// Reads the content in `range` of a segment's inflated contents.
    package init(_ bytes: [UInt8], _ range: Range<Int>) throws(SegmentError) {
        var cursor = try ByteCursor(bytes, range: range)
        guard let kind = AttributeKind(rawValue: try cursor.byte()) else { throw .damaged("a body of no kind") }
        switch kind {
        case .empty: break
        case .bool: body = AttributeRecord(key: 0, kind: kind, payload: UInt64(try cursor.byte()))
        case .int, .double: body = AttributeRecord(key: 0, kind: kind, payload: try cursor.littleEndian())
        case .string, .array, .keyValueList, .bytes:
            let range = try cursor.prefixedRange()
            body = AttributeRecord(
                key: 0, kind: kind, slice: ByteSlice(WireRange(offset: range.lowerBound, count: range.count)))
        }
        attributes = WireRange(offset: cursor.position, count: cursor.end - cursor.position)
    }

    /// The body as SQL shows it: a text as it is, everything else as JSON; `nil` for none.
    package func bodyText(_ bytes: [UInt8]) -> [UInt8]? {
        var json = JSONWriter()
        switch body.kind {
        case .empty: return nil
        case .string: return Array(bytes[body.slice.range.offset..<body.slice.range.end])
        case .bool: json.bool(body.bool)
        case .int: json.integer(body.int)
        case .double: json.double(body.double)
        case .array, .keyValueList, .bytes: WireJSON.value(body.kind, bytes, body.slice.range, into: &json)
        }
        return json.bytes
    }

    /// The attributes as a JSON object.
    package func attributesText(_ bytes: [UInt8]) -> [UInt8] {
        var json = JSONWriter()
        WireJSON.attributes(bytes, attributes, field: LogSegmentFormat.attributesField, into: &json)
        return json.bytes
    }
}
