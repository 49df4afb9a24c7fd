import Queries
import TelemetryModel

/// A trace as OTLP's JSON: one entry of resource spans for each resource and scope.
enum OTLPTraceText {
    /// Writes `{"<listName>":[…]}`.
    ///
    /// - Returns: what to say when not all spans are there.
    @discardableResult
    static func write(_ id: TraceID, listName: String, _ reader: QueryReader, into json: inout JSONWriter) throws -> String? {
        var isFirst = true
        json.raw("{")
        json.string(listName)
        json.raw(":[")
        let cut = try writeEntries(id, isFirst: &isFirst, reader, into: &json)
        guard !isFirst else { throw TraceReading.notFound(id) }
        json.raw("]}")
        return cut
    }

    /// Writes a trace's entries of a list of resource spans; nothing when it is not stored.
    ///
    /// - Parameter isFirst: whether the list is empty yet.
    /// - Returns: what to say when not all spans are there.
    @discardableResult
    static func writeEntries(
        _ id: TraceID, isFirst: inout Bool, _ reader: QueryReader, into json: inout JSONWriter
    ) throws -> String? {
        var isFirstSpan = true
        var isFirstEntry = isFirst
        var envelope: String?
        var count = 0
        try reader.each(
            """
            SELECT resource_attributes, scope_name, scope_version, span_id, parent_span_id, name, kind, start_time_unix_nano,
                end_time_unix_nano, status_code, status_message, attributes, events, links, trace_state
            FROM spans WHERE trace_id = ?1 ORDER BY 1, 2, 3, start_time_unix_nano, span_id LIMIT \(TraceReading.spansMax + 1)
            """, [.text(id.hexadecimal)]
        ) { statement in
            count += 1
            guard count <= TraceReading.spansMax else { return false }
            let row = QueryReader.row(statement)
            let own = "\(row[0])\(row[1])\(row[2])"
            if own != envelope {
                if envelope != nil { json.raw("]}]}") }
                if !isFirstEntry { json.raw(",") }
                isFirstEntry = false
                envelope = own
                isFirstSpan = true
                begin(row, into: &json)
            }
            if !isFirstSpan { json.raw(",") }
            isFirstSpan = false
            write(row, of: id, into: &json)
            return true
        }
        if envelope != nil { json.raw("]}]}") }
        isFirst = isFirstEntry
        return count > TraceReading.spansMax ? try TraceReading.noteCut(id, reader) : nil
    }

    private static func begin(_ row: [QueryValue], into json: inout JSONWriter) {
        json.raw("{\"resource\":{\"attributes\":")
        attributes(row[0], into: &json)
        json.raw("},\"scopeSpans\":[{\"scope\":{\"name\":")
        json.string(row[1].text ?? "")
        json.raw(",\"version\":")
        json.string(row[2].text ?? "")
        json.raw("},\"spans\":[")
    }

    private static func write(_ row: [QueryValue], of id: TraceID, into json: inout JSONWriter) {
        json.raw("{\"traceId\":")
        json.string(id.hexadecimal)
        json.raw(",\"spanId\":")
        row[3].write(into: &json)
        if let parent = row[4].text {
            json.raw(",\"parentSpanId\":")
            json.string(parent)
        }
        json.raw(",\"name\":")
        json.string(row[5].text ?? "")
        json.raw(",\"kind\":")
        json.integer(row[6].integer ?? 0)
        json.raw(",\"startTimeUnixNano\":")
        json.string("\(row[7].integer ?? 0)")
        json.raw(",\"endTimeUnixNano\":")
        json.string("\(row[8].integer ?? 0)")
        json.raw(",\"attributes\":")
        attributes(row[11], into: &json)
        json.raw(",\"events\":")
        list(row[12], into: &json) { event, json in
            json.raw("{\"timeUnixNano\":")
            json.string(JSONText.member("time_unix_nano", in: event).flatMap(number) ?? "0")
            json.raw(",\"name\":")
            json.string(JSONText.member("name", in: event).flatMap(text) ?? "")
            json.raw(",\"attributes\":")
            nested("attributes", of: event, into: &json)
            json.raw("}")
        }
        json.raw(",\"links\":")
        list(row[13], into: &json) { link, json in
            json.raw("{\"traceId\":")
            json.string(JSONText.member("trace_id", in: link).flatMap(text) ?? "")
            json.raw(",\"spanId\":")
            json.string(JSONText.member("span_id", in: link).flatMap(text) ?? "")
            json.raw(",\"attributes\":")
            nested("attributes", of: link, into: &json)
            json.raw("}")
        }
        json.raw(",\"status\":{\"code\":")
        json.integer(row[9].integer ?? 0)
        if let message = row[10].text {
            json.raw(",\"message\":")
            json.string(message)
        }
        json.raw("}}")
    }

    private static func number(_ value: JSONText.Value) -> String? {
        if case .number(let digits) = value { return digits }
        return nil
    }

    private static func text(_ value: JSONText.Value) -> String? {
        if case .text(let text) = value { return text }
        return nil
    }

    private static func attributes(_ value: QueryValue, into json: inout JSONWriter) {
        let bytes = Array((value.text ?? "{}").utf8)
        attributes(bytes[...], into: &json)
    }

    private static func nested(_ name: String, of object: ArraySlice<UInt8>, into json: inout JSONWriter) {
        guard case .container(let range) = JSONText.member(name, in: object) else { return json.raw("[]") }
        attributes(object[range], into: &json)
    }

    private static func attributes(_ object: ArraySlice<UInt8>, into json: inout JSONWriter) {
        json.raw("[")
        for (index, member) in JSONText.members(in: object).enumerated() {
            if index > 0 { json.raw(",") }
            json.raw("{\"key\":")
            json.string(member.name)
            json.raw(",\"value\":")
            anyValue(member.value, in: object, into: &json)
            json.raw("}")
        }
        json.raw("]")
    }

    /// Lists and objects are told as their JSON text: what reads these answers shows them as text.
    private static func anyValue(_ value: JSONText.Value, in object: ArraySlice<UInt8>, into json: inout JSONWriter) {
        switch value {
        case .text(let text):
            json.raw("{\"stringValue\":")
            json.string(text)
        case .bool(let bool):
            json.raw("{\"boolValue\":")
            json.bool(bool)
        case .number(let digits) where Int64(digits) != nil:
            json.raw("{\"intValue\":")
            json.string(digits)
        case .number(let digits):
            json.raw("{\"doubleValue\":")
            json.raw(digits)
        case .container(let range):
            json.raw("{\"stringValue\":")
            json.string(object[range])
        case .null: json.raw("{")
        }
        json.raw("}")
    }

    private static func list(
        _ value: QueryValue, into json: inout JSONWriter, _ body: (ArraySlice<UInt8>, inout JSONWriter) -> Void
    ) {
        let bytes = Array((value.text ?? "[]").utf8)
        json.raw("[")
        for (index, range) in JSONText.elements(in: bytes[...]).enumerated() {
            if index > 0 { json.raw(",") }
            body(bytes[range], &json)
        }
        json.raw("]")
    }
}
