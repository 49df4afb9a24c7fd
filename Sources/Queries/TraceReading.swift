import SpanStore
import StoreSQL
package import TelemetryModel

/// The spans of one trace.
package enum TraceReading {
    /// Spans of a trace that are given; the answer says when there are more.
    package static let spansMax = 50_000
    private static let evalsMax = 1000

    /// Columns that a waterfall needs. What is long (attributes, events, links) is asked for span by span.
    package static let columns = """
        span_id, parent_span_id, name, service_name, kind, status_code, status_message, start_time_unix_nano, end_time_unix_nano,
        duration_ns, stage, outcome, tool_name, step_id, workflow_name, operation, model, provider, tokens, input_tokens,
        output_tokens, cached_tokens, reasoning_tokens, retrieval_batch, cache_hit, queue_depth, breaker_state, error_type,
        timeout_reason, timeout_phase, session_id, user_id, eval_id, scope_name
        """

    /// Writes `{"trace_id":…,"spans":[…],"evals":[…],"critical_path":{…},"truncated":…}`, spans by start.
    package static func write(_ id: TraceID, attributes: Bool, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let text = QueryValue.text(id.hexadecimal)
        json.raw("{\"trace_id\":")
        text.write(into: &json)
        json.raw(",\"spans\":")
        let long = attributes ? ", attributes, resource_attributes, events, links" : ""
        let count = try reader.write(
            """
            SELECT \(columns), counts_tokens, coalesce(logfire_span_type = 'pending_span', 0) AS is_pending,
                CASE WHEN logfire_span_type = 'pending_span' THEN logfire_pending_parent_id END AS pending_parent_id,
                CASE WHEN counts_tokens = 1 THEN \(DollarsSQL.of("spans")) END AS dollars,
                json_array_length(events) AS event_count, json_array_length(links) AS link_count\(long)
            FROM spans WHERE trace_id = ?1 ORDER BY start_time_unix_nano, rowid LIMIT \(spansMax + 1)
            """, [text], json: ["attributes", "resource_attributes", "events", "links"], rowsMax: spansMax, of: "spans", into: &json)
        guard count > 0 else { throw notFound(id) }
        json.raw(",\"evals\":")
        // Who may read one project alone is shown the evals of its spans, and not every eval of an id that others may use too.
        let judged =
            reader.reader.scope?.isLimit == true
            ? "span_evals WHERE trace_id = ?1"
            : "evals WHERE trace_id = ?1 OR eval_id IN (SELECT DISTINCT eval_id FROM spans WHERE trace_id = ?1 AND eval_id IS NOT NULL)"
        try reader.write(
            """
            SELECT eval_id, name, score, label, explanation, annotator, run_id, trace_id, span_id FROM \(judged) LIMIT \(evalsMax + 1)
            """, [text], rowsMax: evalsMax, of: "evals", into: &json)
        json.raw(",\"critical_path\":")
        write(try criticalPath(id, reader), into: &json)
        json.raw(",\"truncated\":")
        let total = try self.count(id, reader)
        json.bool(total > Int64(count))
        json.raw(",\"span_count\":")
        json.integer(total)
        json.raw("}")
    }

    /// Writes one span with everything that it came with.
    ///
    /// - Parameter kind: of two sides of a call that share the id, the one with this kind; without it, or when there is none, the
    ///   first.
    package static func write(
        _ id: TraceID, span: SpanID, kind: Int64? = nil, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        var rows = JSONWriter()
        let count = try reader.write(
            """
            SELECT * FROM spans WHERE trace_id = ?1 AND span_id = ?2 ORDER BY kind IS NOT ?3, start_time_unix_nano, kind LIMIT 1
            """,
            [.text(id.hexadecimal), .text(span.hexadecimal), kind.map(QueryValue.integer) ?? .null],
            json: ["attributes", "resource_attributes", "events", "links"], into: &rows)
        guard count == 1 else {
            throw QueryError.notFound("trace \(id.hexadecimal) has no span \(span.hexadecimal)")
        }
        json.raw(String(decoding: rows.bytes.dropFirst().dropLast(), as: UTF8.self))
    }

    /// How many spans of a trace are stored.
    package static func count(_ id: TraceID, _ reader: QueryReader) throws -> Int64 {
        try reader.first("SELECT count(*) FROM spans WHERE trace_id = ?1", [.text(id.hexadecimal)])?.first?.integer ?? 0
    }

    /// Notes that an answer has only the first spans of a trace; gives what to say of it.
    package static func noteCut(_ id: TraceID, _ reader: QueryReader) throws -> String {
        reader.noteTruncated("spans of trace \(id.hexadecimal)", after: spansMax)
        return "the first \(spansMax) of \(try count(id, reader)) spans; fusebox sql and export have all"
    }

    package static func notFound(_ id: TraceID) -> QueryError {
        .notFound("no span of trace \(id.hexadecimal) is stored; it may have been pruned, or its spans have not arrived yet")
    }

    /// A trace id as people paste it: 1 to 32 hexadecimal digits in either case, with or without leading zeros.
    package static func traceID(_ text: some StringProtocol) -> TraceID? {
        guard (1...32).contains(text.utf8.count) else { return nil }
        let id = TraceID(hexadecimal: String(repeating: "0", count: 32 - text.utf8.count) + text)
        return id?.isValid == true ? id : nil
    }
}
