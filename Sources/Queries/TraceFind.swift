import SQLite
package import TelemetryModel

/// Finds a text in one trace: in names, ids, attributes, events, links and log records of its spans.
package enum TraceFind {
    package static let spansMax = 10_000

    /// Writes `{"span_ids":[…],"truncated":…}`, by start. Case does not count among ASCII letters.
    package static func write(_ id: TraceID, text: String, _ reader: QueryReader, into json: inout JSONWriter) throws {
        guard !text.isEmpty else { throw QueryError.invalid("q must be a text to find") }
        let columns = [
            "name", "span_id", "service_name", "tool_name", "model", "status_message", "error_type", "attributes", "events", "links",
            "resource_attributes",
        ]
        // Attributes are JSON, in which a quotation mark and a backslash have one before them.
        let condition = columns.map { "instr(lower(\($0)), lower(?2)) > 0" }.joined(separator: " OR ")
        let sql = """
            SELECT span_id FROM spans WHERE trace_id = ?1 AND (\(condition) OR instr(lower(attributes), lower(?3)) > 0
                OR span_id IN (SELECT span_id FROM logs WHERE trace_id = ?1
                    AND (instr(lower(body), lower(?2)) > 0 OR instr(lower(attributes), lower(?2)) > 0)))
            ORDER BY start_time_unix_nano, rowid LIMIT \(spansMax + 1)
            """
        var escaped = JSONWriter()
        escaped.string(text)
        let inJSON = String(decoding: escaped.bytes.dropFirst().dropLast(), as: UTF8.self)
        var count = 0
        json.raw("{\"span_ids\":[")
        try reader.each(sql, [.text(id.hexadecimal), .text(text), .text(inJSON)]) { row in
            count += 1
            guard count <= spansMax else { return false }
            if count > 1 { json.raw(",") }
            json.string(row.text(0) ?? "")
            return true
        }
        json.raw("],\"truncated\":")
        json.bool(count > spansMax)
        json.raw("}")
    }
}
