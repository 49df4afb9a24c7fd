package import TelemetryModel

/// A span of time, nanoseconds since 1970; the end is outside.
package struct TimeWindow: Equatable, Sendable {
    package var from: Int64
    package var to: Int64

    package init(from: Int64 = .min, to: Int64 = .max) {
        self.from = from
        self.to = to
    }

    package var values: [QueryValue] { [.integer(from), .integer(to)] }
}

/// Lists over a span of time, written as JSON arrays.
package enum Boards {
    /// Rows of one list.
    package static let rowsMax = 1000
    /// Edges of breakers in one answer.
    package static let transitionsMax = 20_000

    private static let inWindow = "start_time_unix_nano >= ?1 AND start_time_unix_nano < ?2"

    /// A service each: spans, traces' roots, first and last time, names that a filter offers.
    package static func writeServices(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write(
            """
            SELECT service_name, count(*) AS span_count, sum(status_code = 2) AS error_count,
                min(start_time_unix_nano) AS first_time_unix_nano, max(start_time_unix_nano) AS last_time_unix_nano
            FROM spans WHERE \(inWindow) GROUP BY service_name ORDER BY service_name LIMIT \(rowsMax)
            """, window.values, into: &json)
    }

    /// The distinct values of a column, most frequent first.
    package static func writeValues(
        of column: String, _ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        guard filterColumns.contains(column) else {
            throw QueryError.invalid("'\(column)' cannot be listed; one of: \(filterColumns.joined(separator: ", "))")
        }
        try reader.write(
            """
            SELECT \(column) AS value, count(*) AS span_count FROM spans WHERE \(inWindow) AND \(column) IS NOT NULL
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 200
            """, window.values, into: &json)
    }

    /// Columns whose values a filter offers.
    package static let filterColumns = ["service_name", "workflow_name", "tool_name", "model", "name", "stage", "operation"]

    /// A tool and stage of a service each, as in the view `tools`, in a span of time; parameters as `toolValues` gives them.
    package static let tools = """
        SELECT service_name, coalesce(tool_name, stage) AS tool_name, stage, count(*) AS calls, sum(outcome = 'ok') AS ok,
            sum(outcome = 'error') AS errors, sum(outcome = 'timeout') AS timeouts, sum(outcome = 'rejected') AS rejected,
            percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 50) AS p50_ns,
            percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 95) AS p95_ns,
            max(CASE WHEN outcome <> 'rejected' THEN duration_ns END) AS max_ns,
            max(end_time_unix_nano) AS last_time_unix_nano
        FROM spans WHERE \(inWindow) AND outcome IS NOT NULL AND (?3 IS NULL OR service_name = ?3)
        GROUP BY service_name, coalesce(tool_name, stage), stage ORDER BY timeouts DESC, calls DESC, 1, 2 LIMIT \(rowsMax)
        """

    package static func toolValues(_ window: TimeWindow, service: String?) -> [QueryValue] {
        window.values + [service.map(QueryValue.text) ?? .null]
    }

    package static func writeTools(
        _ window: TimeWindow, service: String?, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        try reader.write(tools, toolValues(window, service: service), into: &json)
    }

    /// A workflow of a service each: the runs that began in a span of time, by their roots.
    package static func writeWorkflows(
        _ window: TimeWindow, service: String?, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        try reader.write(
            """
            SELECT service_name, workflow_name, count(*) AS runs, sum(status_code = 2) AS failed_runs,
                percentile(duration_ns, 50) AS p50_ns, percentile(duration_ns, 95) AS p95_ns, max(duration_ns) AS max_ns
            FROM spans WHERE \(inWindow) AND parent_span_id IS NULL AND workflow_name IS NOT NULL
                AND (?3 IS NULL OR service_name = ?3)
            GROUP BY service_name, workflow_name ORDER BY 1, 2 LIMIT \(rowsMax)
            """, window.values + [service.map(QueryValue.text) ?? .null], into: &json)
    }

    /// Edges of breakers in a span of time, in the order of their times.
    package static func writeTransitions(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write(
            """
            SELECT time_unix_nano, service_name, scope, tool_name, machine, from_state, to_state, trace_id, span_id
            FROM main.breaker_transition WHERE time_unix_nano >= ?1 AND time_unix_nano < ?2
            ORDER BY time_unix_nano, id LIMIT \(transitionsMax)
            """, window.values, into: &json)
    }

    /// The last edge of each breaker before a span of time: its state when the span begins.
    package static func writeStatesBefore(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write(
            """
            SELECT service_name, scope, tool_name, machine, to_state AS state, max(time_unix_nano) AS time_unix_nano
            FROM main.breaker_transition WHERE time_unix_nano < ?1
            GROUP BY service_name, scope, tool_name, machine ORDER BY 1, 3, 2, 4 LIMIT \(rowsMax)
            """, [.integer(window.from)], into: &json)
    }

    /// Timed-out calls in a span of time, for the marks on the board.
    package static func writeTimeouts(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write(
            """
            SELECT end_time_unix_nano AS time_unix_nano, service_name, coalesce(tool_name, stage) AS tool_name,
                timeout_reason AS reason, duration_ns, trace_id, span_id
            FROM spans WHERE outcome = 'timeout' AND \(inWindow) ORDER BY 1 LIMIT 5000
            """, window.values, into: &json)
    }

    /// Conversations, newest first, behind `after`.
    package static func writeSessions(
        _ window: TimeWindow, after: (lastUnixNano: Int64, id: String)?, limit: Int, _ reader: QueryReader,
        into json: inout JSONWriter
    ) throws {
        try reader.write(
            """
            SELECT session_id, min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
                count(DISTINCT trace_id) AS trace_count, count(*) AS span_count, sum(status_code = 2) AS error_count,
                sum(outcome = 'timeout') AS timeout_count, max(service_name) AS service_name
            FROM spans WHERE session_id IS NOT NULL AND \(inWindow) GROUP BY session_id
            HAVING ?3 IS NULL OR (max(end_time_unix_nano), session_id) < (?3, ?4)
            ORDER BY max(end_time_unix_nano) DESC, session_id DESC LIMIT ?5
            """,
            window.values + [
                after.map { .integer($0.lastUnixNano) } ?? .null, after.map { .text($0.id) } ?? .null, .integer(Int64(limit)),
            ], into: &json)
    }

    /// The spans of a conversation that hold what was said: model calls, tools and roots, with attributes and events.
    package static func writeSession(_ id: String, _ reader: QueryReader, into json: inout JSONWriter) throws {
        json.raw("{\"session_id\":")
        json.string(id)
        json.raw(",\"spans\":")
        let count = try reader.write(
            """
            SELECT trace_id, \(TraceReading.columns), attributes, events FROM spans
            WHERE trace_id IN (SELECT DISTINCT trace_id FROM spans WHERE session_id = ?1)
                AND (parent_span_id IS NULL OR stage = 'llm' OR tool_name IS NOT NULL)
            ORDER BY start_time_unix_nano, span_id LIMIT 2001
            """, [.text(id)], json: ["attributes", "events"], rowsMax: 2000, into: &json)
        guard count > 0 else { throw QueryError.notFound("no span of session '\(id)' is stored") }
        json.raw("}")
    }

    /// Offline evals beside the spans that they judge, with the tokens and dollars of their traces.
    package static func writeEvals(name: String?, _ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write(
            """
            WITH judged AS MATERIALIZED (SELECT * FROM span_evals WHERE ?1 IS NULL OR name = ?1 LIMIT 5000),
            counted AS MATERIALIZED (
                SELECT trace_id, sum(tokens) AS tokens, sum((
                    SELECT (max(0, coalesce(input_tokens, 0) - coalesce(cached_tokens, 0)) * price.input
                        + coalesce(cached_tokens, 0) * price.cache_read + coalesce(output_tokens, 0) * price.output) / 1e6
                    FROM main.model_price AS price
                    WHERE price.model = token_spans.model
                        AND price.effective_from_unix_nano <= token_spans.end_time_unix_nano
                    ORDER BY price.effective_from_unix_nano DESC LIMIT 1)) AS dollars
                FROM token_spans WHERE trace_id IN (SELECT trace_id FROM judged) GROUP BY trace_id)
            SELECT judged.*, counted.tokens, counted.dollars
            FROM judged LEFT JOIN counted ON counted.trace_id = judged.trace_id
            """, [name.map(QueryValue.text) ?? .null], into: &json)
    }

    /// Tokens and dollars by model, as in the view `costs`.
    package static func writeCosts(_ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write("SELECT * FROM costs LIMIT \(rowsMax)", into: &json)
    }
}
