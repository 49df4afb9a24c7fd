import Queries
import TelemetryModel

/// A trace as Jaeger's JSON: spans with tags and logs, and the processes that they came from.
enum JaegerTraceText {
    static func kind(_ kind: Int64) -> String {
        switch kind {
        case 1: "internal"
        case 2: "server"
        case 3: "client"
        case 4: "producer"
        case 5: "consumer"
        default: "unspecified"
        }
    }

    static func write(_ id: TraceID, _ reader: QueryReader, into json: inout JSONWriter) throws {
        var processes: [String] = []
        var isFirst = true
        var count = 0
        json.raw("{\"traceID\":")
        json.string(id.hexadecimal)
        json.raw(",\"spans\":[")
        try reader.each(
            """
            SELECT span_id, parent_span_id, name, start_time_unix_nano, duration_ns, kind, status_code, status_message, scope_name,
                attributes, events, links, service_name, resource_attributes
            FROM spans WHERE trace_id = ?1 ORDER BY start_time_unix_nano, rowid LIMIT \(TraceReading.spansMax + 1)
            """, [.text(id.hexadecimal)]
        ) { statement in
            count += 1
            guard count <= TraceReading.spansMax else { return false }
            let row = QueryReader.row(statement)
            let process = process(row)
            let place = processes.firstIndex(of: process) ?? processes.count
            if place == processes.count { processes.append(process) }
            if !isFirst { json.raw(",") }
            isFirst = false
            write(row, of: id, process: place + 1, into: &json)
            return true
        }
        guard !isFirst else { throw TraceReading.notFound(id) }
        json.raw("],\"processes\":{")
        for (index, process) in processes.enumerated() {
            if index > 0 { json.raw(",") }
            json.string("p\(index + 1)")
            json.raw(":")
            json.raw(process)
        }
        json.raw("},\"warnings\":")
        if count > TraceReading.spansMax {
            json.raw("[")
            json.string(try TraceReading.noteCut(id, reader))
            json.raw("]}")
        } else {
            json.raw("null}")
        }
    }

    private static func process(_ row: [QueryValue]) -> String {
        var json = JSONWriter()
        json.raw("{\"serviceName\":")
        json.string(row[12].text ?? "")
        json.raw(",\"tags\":[")
        var isFirst = true
        tags(Array((row[13].text ?? "{}").utf8)[...], isFirst: &isFirst, into: &json)
        json.raw("]}")
        return String(decoding: json.bytes, as: UTF8.self)
    }

    private static func write(_ row: [QueryValue], of id: TraceID, process: Int, into json: inout JSONWriter) {
        json.raw("{\"traceID\":")
        json.string(id.hexadecimal)
        json.raw(",\"spanID\":")
        row[0].write(into: &json)
        json.raw(",\"operationName\":")
        json.string(row[2].text ?? "")
        json.raw(",\"references\":[")
        if let parent = row[1].text { reference("CHILD_OF", id.hexadecimal, parent, into: &json) }
        var isFirstLink = row[1].text == nil
        let links = Array((row[11].text ?? "[]").utf8)
        for range in JSONText.elements(in: links[...]) {
            guard case .text(let trace) = JSONText.member("trace_id", in: links[range]),
                case .text(let span) = JSONText.member("span_id", in: links[range])
            else { continue }
            if !isFirstLink { json.raw(",") }
            isFirstLink = false
            reference("FOLLOWS_FROM", trace, span, into: &json)
        }
        json.raw("],\"flags\":1,\"startTime\":")
        json.integer((row[3].integer ?? 0) / 1000)
        json.raw(",\"duration\":")
        json.integer((row[4].integer ?? 0) / 1000)
        json.raw(",\"tags\":[")
        var isFirst = true
        tags(Array((row[9].text ?? "{}").utf8)[...], isFirst: &isFirst, into: &json)
        own(row, isFirst: &isFirst, into: &json)
        json.raw("],\"logs\":[")
        logs(Array((row[10].text ?? "[]").utf8), into: &json)
        json.raw("],\"processID\":")
        json.string("p\(process)")
        json.raw(",\"warnings\":null,\"stackTraces\":null}")
    }

    private static func reference(_ type: StaticString, _ trace: String, _ span: String, into json: inout JSONWriter) {
        json.raw("{\"refType\":\"")
        json.raw(type)
        json.raw("\",\"traceID\":")
        json.string(trace)
        json.raw(",\"spanID\":")
        json.string(span)
        json.raw("}")
    }

    /// What OTLP has as fields and Jaeger as tags.
    private static func own(_ row: [QueryValue], isFirst: inout Bool, into json: inout JSONWriter) {
        func tag(_ key: String, _ text: String) { write(key, .text(text), "", isFirst: &isFirst, into: &json) }
        tag("span.kind", kind(row[5].integer ?? 0))
        if row[6].integer == 2 { write("error", .bool(true), "", isFirst: &isFirst, into: &json) }
        if let code = row[6].integer, code > 0 { tag("otel.status_code", code == 2 ? "ERROR" : "OK") }
        if let message = row[7].text { tag("otel.status_description", message) }
        if let scope = row[8].text { tag("otel.scope.name", scope) }
    }

    private static func logs(_ events: [UInt8], into json: inout JSONWriter) {
        for (index, range) in JSONText.elements(in: events[...]).enumerated() {
            let event = events[range]
            if index > 0 { json.raw(",") }
            var time: Int64 = 0
            if case .number(let digits) = JSONText.member("time_unix_nano", in: event) { time = Int64(digits) ?? 0 }
            json.raw("{\"timestamp\":")
            json.integer(time / 1000)
            json.raw(",\"fields\":[")
            var isFirst = true
            if case .text(let name) = JSONText.member("name", in: event) {
                write("event", .text(name), "", isFirst: &isFirst, into: &json)
            }
            if case .container(let attributes) = JSONText.member("attributes", in: event) {
                tags(event[attributes], isFirst: &isFirst, into: &json)
            }
            json.raw("]}")
        }
    }

    private static func tags(_ object: ArraySlice<UInt8>, isFirst: inout Bool, into json: inout JSONWriter) {
        for member in JSONText.members(in: object) {
            var nested = ""
            if case .container(let range) = member.value { nested = String(decoding: object[range], as: UTF8.self) }
            write(member.name, member.value, nested, isFirst: &isFirst, into: &json)
        }
    }

    private static func write(
        _ key: String, _ value: JSONText.Value, _ nested: String, isFirst: inout Bool, into json: inout JSONWriter
    ) {
        if !isFirst { json.raw(",") }
        isFirst = false
        json.raw("{\"key\":")
        json.string(key)
        switch value {
        case .text(let text):
            json.raw(",\"type\":\"string\",\"value\":")
            json.string(text)
        case .bool(let bool):
            json.raw(",\"type\":\"bool\",\"value\":")
            json.bool(bool)
        case .number(let digits) where Int64(digits) != nil:
            json.raw(",\"type\":\"int64\",\"value\":")
            json.raw(digits)
        case .number(let digits):
            json.raw(",\"type\":\"float64\",\"value\":")
            json.raw(digits)
        case .container:
            json.raw(",\"type\":\"string\",\"value\":")
            json.string(nested)
        case .null: json.raw(",\"type\":\"string\",\"value\":\"\"")
        }
        json.raw("}")
    }
}
