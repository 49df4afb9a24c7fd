import SQLite
package import TelemetryModel

extension TraceQL {
    // MARK: Search

    /// Which of these traces the query means, for a search whose candidates SQL finds; `nil` where SQL says all.
    package var acceptance: (@Sendable ([String], QueryReader) throws -> Set<String>)? {
        guard !isExact else { return nil }
        let pipeline = pipeline
        return { ids, reader in
            let evaluator = TraceQLEvaluator(pipeline, wanted: [])
            return Set(try evaluator.traces(ids, reader).filter { !evaluator.groups($0.value).isEmpty }.keys)
        }
    }

    /// Writes the matching spans of a trace as Tempo's span sets: `{"spans":[…],"matched":n},…`.
    package func writeSpanSets(of trace: String, spans: Int, _ reader: QueryReader, into json: inout JSONWriter) throws {
        if let filter = simpleFilter { return try writeSpanSet(filter.condition, trace, spans, reader, into: &json) }
        let evaluator = TraceQLEvaluator(pipeline, wanted: selected)
        guard let found = try evaluator.traces([trace], reader)[trace] else { return }
        var names: [String] = []
        for stage in pipeline.stages {
            switch stage {
            case .by(_, let name): names.append(name)
            case .coalesce: names = []
            case .spans, .scalar: break
            }
        }
        for (place, group) in evaluator.groups(found).prefix(Self.setsMax).enumerated() {
            if place > 0 { json.raw(",") }
            json.raw("{\"spans\":[")
            for (number, index) in group.spans.prefix(spans).enumerated() {
                if number > 0 { json.raw(",") }
                let span = found.spans[index]
                Self.write(
                    [.text(span.node.spanID), .text(span.name), .integer(span.start), .integer(span.duration)]
                        + selected.map { evaluator.value($0, of: index, found) }, selected, into: &json)
            }
            json.raw("],\"matched\":")
            json.integer(Int64(group.spans.count))
            if !group.by.isEmpty {
                json.raw(",\"attributes\":[")
                for (number, value) in group.by.enumerated() {
                    if number > 0 { json.raw(",") }
                    Self.writeAttribute("by(\(number < names.count ? names[number] : ""))", value, into: &json)
                }
                json.raw("]")
            }
            json.raw("}")
        }
    }

    /// Groups of one trace in an answer.
    private static let setsMax = 100

    private func writeSpanSet(
        _ condition: SQLCondition?, _ trace: String, _ spans: Int, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        let columns = selected.map { ", \($0.sql)" }.joined()
        let values = selected.flatMap(\.values) + [.text(trace)] + (condition?.values ?? [])
        var isFirst = true
        json.raw("{\"spans\":[")
        try reader.each(
            """
            SELECT span_id, name, start_time_unix_nano, duration_ns\(columns) FROM spans
            WHERE trace_id = ? AND \(condition?.sql ?? "1") ORDER BY start_time_unix_nano, span_id LIMIT \(spans)
            """, values
        ) { row in
            if !isFirst { json.raw(",") }
            isFirst = false
            Self.write(QueryReader.row(row), selected, into: &json)
            return true
        }
        let matched = try reader.first(
            "SELECT count(*) FROM spans WHERE trace_id = ? AND \(condition?.sql ?? "1")",
            [.text(trace)] + (condition?.values ?? []))
        json.raw("],\"matched\":")
        json.integer(matched?.first?.integer ?? 0)
        json.raw("}")
    }

    /// A span by its id, name, start and duration, with the selected values behind.
    private static func write(_ row: [QueryValue], _ selected: [TraceQLField], into json: inout JSONWriter) {
        json.raw("{\"spanID\":")
        row[0].write(into: &json)
        json.raw(",\"name\":")
        json.string(row[1].text ?? "")
        json.raw(",\"startTimeUnixNano\":")
        json.string("\(row[2].integer ?? 0)")
        json.raw(",\"durationNanos\":")
        json.string("\(row[3].integer ?? 0)")
        json.raw(",\"attributes\":[")
        var isFirst = true
        for (index, field) in selected.enumerated() where row[4 + index] != .null {
            if !isFirst { json.raw(",") }
            isFirst = false
            writeAttribute(field.name, field.shown(row[4 + index]), into: &json)
        }
        json.raw("]}")
    }

    /// `{"key":…,"value":{"stringValue":…}}` as OTLP's JSON has it.
    package static func writeAttribute(_ name: String, _ value: QueryValue, into json: inout JSONWriter) {
        json.raw("{\"key\":")
        json.string(name)
        json.raw(",\"value\":{")
        switch value {
        case .integer(let integer):
            json.raw("\"intValue\":")
            json.string("\(integer)")
        case .double(let double):
            json.raw("\"doubleValue\":")
            json.double(double)
        case .text(let text):
            json.raw("\"stringValue\":")
            json.string(text)
        case .blob(let bytes):
            json.raw("\"bytesValue\":")
            json.base64(bytes[...])
        case .null: json.raw("\"stringValue\":\"nil\"")
        }
        json.raw("}}")
    }
}
