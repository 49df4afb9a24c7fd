/// Renders the parts of OTLP that are stored in their wire encoding as JSON: nested attribute values, attribute lists, events and
/// links. The bytes were checked when they came in; should a stored byte have changed, what cannot be read becomes `null`.
public enum WireJSON {
    /// Values nested deeper than any that were taken in.
    private static let depthMax = 70

    /// The JSON of an attribute value that was kept in wire encoding.
    public static func value(_ kind: AttributeKind, _ bytes: [UInt8], _ range: WireRange, into json: inout JSONWriter) {
        switch kind {
        case .array: attempt(&json) { writer throws(WireError) in try array(bytes, range, 1, &writer) }
        case .keyValueList: attempt(&json) { writer throws(WireError) in try object(bytes, range, 1, &writer) }
        case .bytes: json.base64(bytes[range.offset..<range.end])
        case .string: json.string(bytes[range.offset..<range.end])
        case .empty, .bool, .int, .double: json.raw("null")
        }
    }

    /// `{"key": value, …}` of the attributes in field `field` of a message: 1 for a resource, 3 for a scope or an event.
    public static func attributes(_ bytes: [UInt8], _ range: WireRange, field: Int, into json: inout JSONWriter) {
        attempt(&json) { writer throws(WireError) in try members(bytes, range, field, 1, &writer) }
    }

    /// `{"name":…,"time_unix_nano":…,"attributes":{…}}` of an encoded `Span.Event`.
    public static func event(_ bytes: [UInt8], _ range: WireRange, into json: inout JSONWriter) {
        attempt(&json) { writer throws(WireError) in
            var reader = WireReader(bytes.span.bytes, range: range)
            var name = WireRange(offset: range.offset, count: 0)
            var time: UInt64 = 0
            while let tag = try reader.nextTag() {
                switch (tag.field, tag.type) {
                case (1, .fixed64): time = try reader.fixed64()
                case (2, .lengthDelimited): name = try reader.lengthDelimited()
                default: try reader.skip(tag)
                }
            }
            writer.raw("{\"name\":")
            writer.string(bytes[name.offset..<name.end])
            writer.raw(",\"time_unix_nano\":")
            writer.integer(Int64(clamping: time))
            writer.raw(",\"attributes\":")
            try members(bytes, range, 3, 1, &writer)
            writer.raw("}")
        }
    }

    /// `{"trace_id":…,"span_id":…,"trace_state":…,"attributes":{…}}` of an encoded `Span.Link`.
    public static func link(_ bytes: [UInt8], _ range: WireRange, into json: inout JSONWriter) {
        attempt(&json) { writer throws(WireError) in
            var reader = WireReader(bytes.span.bytes, range: range)
            var traceID = WireRange(offset: range.offset, count: 0)
            var spanID = traceID
            var state = traceID
            while let tag = try reader.nextTag() {
                switch (tag.field, tag.type) {
                case (1, .lengthDelimited): traceID = try reader.lengthDelimited()
                case (2, .lengthDelimited): spanID = try reader.lengthDelimited()
                case (3, .lengthDelimited): state = try reader.lengthDelimited()
                default: try reader.skip(tag)
                }
            }
            writer.raw("{\"trace_id\":")
            hexadecimal(bytes[traceID.offset..<traceID.end], &writer)
            writer.raw(",\"span_id\":")
            hexadecimal(bytes[spanID.offset..<spanID.end], &writer)
            if state.count > 0 {
                writer.raw(",\"trace_state\":")
                writer.string(bytes[state.offset..<state.end])
            }
            writer.raw(",\"attributes\":")
            try members(bytes, range, 4, 1, &writer)
            writer.raw("}")
        }
    }

    /// Runs a writer on a copy, so that a stored value that cannot be read leaves `null` and not half of itself.
    private static func attempt(_ json: inout JSONWriter, _ body: (inout JSONWriter) throws(WireError) -> Void) {
        let before = json.bytes.count
        do throws(WireError) {
            try body(&json)
        } catch {
            json.truncate(to: before)
            json.raw("null")
        }
    }

    private static func members(
        _ bytes: [UInt8], _ range: WireRange, _ field: Int, _ depth: Int, _ json: inout JSONWriter
    ) throws(WireError) {
        var reader = WireReader(bytes.span.bytes, range: range)
        json.raw("{")
        var isFirst = true
        while let tag = try reader.nextTag() {
            guard tag == WireTag(field: field, type: .lengthDelimited) else {
                try reader.skip(tag)
                continue
            }
            let pair = try reader.lengthDelimited()
            if !isFirst { json.raw(",") }
            isFirst = false
            try member(bytes, pair, depth, &json)
        }
        json.raw("}")
    }

    private static func member(_ bytes: [UInt8], _ range: WireRange, _ depth: Int, _ json: inout JSONWriter) throws(WireError) {
        var reader = WireReader(bytes.span.bytes, range: range)
        var key = WireRange(offset: range.offset, count: 0)
        var found: WireRange?
        while let tag = try reader.nextTag() {
            switch (tag.field, tag.type) {
            case (1, .lengthDelimited): key = try reader.lengthDelimited()
            case (2, .lengthDelimited): found = try reader.lengthDelimited()
            default: try reader.skip(tag)
            }
        }
        json.string(bytes[key.offset..<key.end])
        json.raw(":")
        if let found { try anyValue(bytes, found, depth, &json) } else { json.raw("null") }
    }

    private static func anyValue(_ bytes: [UInt8], _ range: WireRange, _ depth: Int, _ json: inout JSONWriter) throws(WireError) {
        guard depth <= depthMax else { throw .tooDeep }
        var reader = WireReader(bytes.span.bytes, range: range)
        let before = json.bytes.count
        json.raw("null")
        while let tag = try reader.nextTag() {
            guard (1...7).contains(tag.field) else {
                try reader.skip(tag)
                continue
            }
            // The last member of the oneof that is set wins.
            json.truncate(to: before)
            switch (tag.field, tag.type) {
            case (1, .lengthDelimited):
                let text = try reader.lengthDelimited()
                json.string(bytes[text.offset..<text.end])
            case (2, .varint): json.bool(try reader.varint() != 0)
            case (3, .varint): json.integer(Int64(bitPattern: try reader.varint()))
            case (4, .fixed64): json.double(Double(bitPattern: try reader.fixed64()))
            case (5, .lengthDelimited): try array(bytes, try reader.lengthDelimited(), depth + 1, &json)
            case (6, .lengthDelimited): try object(bytes, try reader.lengthDelimited(), depth + 1, &json)
            case (7, .lengthDelimited):
                let data = try reader.lengthDelimited()
                json.base64(bytes[data.offset..<data.end])
            default: throw .wrongWireType(field: tag.field)
            }
        }
    }

    private static func array(_ bytes: [UInt8], _ range: WireRange, _ depth: Int, _ json: inout JSONWriter) throws(WireError) {
        var reader = WireReader(bytes.span.bytes, range: range)
        json.raw("[")
        var isFirst = true
        while let tag = try reader.nextTag() {
            guard tag == WireTag(field: 1, type: .lengthDelimited) else {
                try reader.skip(tag)
                continue
            }
            if !isFirst { json.raw(",") }
            isFirst = false
            try anyValue(bytes, try reader.lengthDelimited(), depth, &json)
        }
        json.raw("]")
    }

    private static func object(_ bytes: [UInt8], _ range: WireRange, _ depth: Int, _ json: inout JSONWriter) throws(WireError) {
        try members(bytes, range, 1, depth, &json)
    }

    private static func hexadecimal(_ bytes: ArraySlice<UInt8>, _ json: inout JSONWriter) {
        var text = ""
        for byte in bytes {
            text += String(byte >> 4, radix: 16)
            text += String(byte & 0xF, radix: 16)
        }
        json.string(text)
    }
}
