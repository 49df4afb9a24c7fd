package import TelemetryModel

/// The spans of one trace.
package enum TraceReading {
    /// Spans of a trace that are given; the answer says when there are more.
    package static let spansMax = 50_000

    /// Columns that a waterfall needs. What is long (attributes, events, links) is asked for span by span.
    package static let columns = """
        span_id, parent_span_id, name, service_name, kind, status_code, status_message, start_time_unix_nano, end_time_unix_nano,
        duration_ns, stage, outcome, tool_name, step_id, workflow_name, operation, model, provider, tokens, input_tokens,
        output_tokens, cached_tokens, retrieval_batch, cache_hit, queue_depth, breaker_state, error_type, timeout_reason,
        timeout_phase, session_id, eval_id, scope_name
        """

    /// Dollars of a span by the price of its model at its end; NULL without a price.
    private static let dollars = """
        (SELECT ((max(0, coalesce(input_tokens, 0) - coalesce(cached_tokens, 0))) * price.input
            + coalesce(cached_tokens, 0) * price.cache_read + coalesce(output_tokens, 0) * price.output) / 1e6
        FROM main.model_price AS price
        WHERE price.model = spans.model AND price.effective_from_unix_nano <= spans.end_time_unix_nano
        ORDER BY price.effective_from_unix_nano DESC LIMIT 1)
        """

    /// Writes `{"trace_id":…,"spans":[…],"evals":[…],"truncated":…}`, spans by start.
    package static func write(_ id: TraceID, attributes: Bool, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let text = QueryValue.text(id.hexadecimal)
        json.raw("{\"trace_id\":")
        text.write(into: &json)
        json.raw(",\"spans\":")
        let long = attributes ? ", attributes, resource_attributes, events, links" : ""
        let count = try reader.write(
            """
            SELECT \(columns), \(TraceSummary.countsTokens) AS counts_tokens,
                CASE WHEN tokens IS NOT NULL THEN \(dollars) END AS dollars,
                json_array_length(events) AS event_count, json_array_length(links) AS link_count\(long)
            FROM spans WHERE trace_id = ?1 ORDER BY start_time_unix_nano, span_id LIMIT \(spansMax + 1)
            """, [text], json: ["attributes", "resource_attributes", "events", "links"], rowsMax: spansMax, into: &json)
        guard count > 0 else { throw notFound(id) }
        json.raw(",\"evals\":")
        try reader.write(
            """
            SELECT eval_id, name, score, label, explanation, annotator, run_id, trace_id, span_id FROM evals
            WHERE trace_id = ?1 OR eval_id IN (SELECT DISTINCT eval_id FROM spans WHERE trace_id = ?1 AND eval_id IS NOT NULL)
            LIMIT 1000
            """, [text], into: &json)
        json.raw(",\"truncated\":")
        let total = try reader.first("SELECT count(*) FROM spans WHERE trace_id = ?1", [text])?.first?.integer ?? 0
        json.bool(total > Int64(count))
        json.raw(",\"span_count\":")
        json.integer(total)
        json.raw("}")
    }

    /// Writes one span with everything that it came with.
    package static func write(_ id: TraceID, span: SpanID, _ reader: QueryReader, into json: inout JSONWriter) throws {
        var rows = JSONWriter()
        let count = try reader.write(
            "SELECT * FROM spans WHERE trace_id = ?1 AND span_id = ?2 LIMIT 1",
            [.text(id.hexadecimal), .text(span.hexadecimal)],
            json: ["attributes", "resource_attributes", "events", "links"], into: &rows)
        guard count == 1 else {
            throw QueryError.notFound("trace \(id.hexadecimal) has no span \(span.hexadecimal)")
        }
        json.raw(String(decoding: rows.bytes.dropFirst().dropLast(), as: UTF8.self))
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
