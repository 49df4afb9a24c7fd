import Queries
import TelemetryModel

/// `what_changed`: what is new or worse since a time, against as long a time before it.
enum ChangeTool {
    private static let toolShape = RowShape([
        ("service", .text, "The service."), ("call", .text, "The tool's name, or the stage of calls without one."),
        ("calls", .integer, "Since then."), ("calls_before", .integer, "In as long a time before; 0 for a new tool."),
        ("failures", .integer, "Errors and timeouts since then."), ("failures_before", .integer, "Errors and timeouts before."),
        ("p95_ms", .milliseconds, "Since then."), ("p95_before_ms", .milliseconds, "Before."),
    ])
    private static let failureShape = RowShape([
        ("service", .text, "The service."), ("call", .text, "The tool's name, or the stage."), ("outcome", .text, "error or timeout."),
        ("reason", .text, "The timeout's reason, or the type of the error."), ("count", .integer, "Since then."),
        ("trace_id", .text, "One of them, for get_trace."), ("span_id", .text, "The same, for get_span."),
    ])
    private static let openingShape = RowShape([
        ("service", .text, "The service."), ("tool", .text, "The tool."), ("machine", .text, "reported or derived."),
        ("opens", .integer, "Openings that began since then."), ("trace_id", .text, "What opened it, one of them."),
    ])
    private static let countShape = RowShape([
        ("name", .text, "The kind of the stall, or the name of the eval."), ("count", .integer, "Since then."),
        ("mean_score", .number, "Of evals."), ("mean_score_before", .number, "Of evals before."),
    ])

    static let tool = Tool(
        name: name, title: title,
        purpose: """
            Begin here: what is new or worse since a time, against as long a time before it. Runs, tools that are new, slower or fail more, \
            failures of kinds not seen before, breakers that opened, stalls, evals.
            """,
        parameters: parameters,
        output: AnswerSchema.object(
            ofSpans + [
                ("breakers_opened", AnswerSchema.list(openingShape, "Breakers that opened.")),
                ("stalls", AnswerSchema.list(countShape, "By kind.")), ("evals", AnswerSchema.list(countShape, "By name.")),
                ("newest_span_received", AnswerSchema.optional("string", "When the store last took a span in: silence shows here.")),
            ]),
        run: run)

    /// The same over an engine. What is not known there is not an empty list, which would say that nothing happened.
    static let toolOfEngine = Tool(
        name: name, title: title,
        purpose: """
            Begin here: what is new or worse since a time, against as long a time before it. Runs, tools that are new, slower or fail more, \
            failures of kinds not seen before. Breakers, stalls and evals are kept by each node and are not told here.
            """,
        parameters: parameters, output: AnswerSchema.object(ofSpans), run: run)

    private static let name = "what_changed"
    private static let title = "What changed since"
    private static let parameters = [
        Parameter("since", .moment, "The time; an age such as 15m, 6h, 7d, or ISO 8601.", fallback: "1h"), Parameter.service,
        Parameter.limit(10, max: 30, of: "Rows of each list"),
    ]
    /// What spans alone say.
    private static let ofSpans: [(String, JSONValue)] = [
        ("since", AnswerSchema.value("string", "ISO 8601.")), ("before", AnswerSchema.window),
        ("runs", AnswerSchema.value("integer", "Runs of workflows that began since then.")),
        ("runs_before", AnswerSchema.value("integer", "In as long a time before.")),
        ("failed_runs", AnswerSchema.value("integer", "With the status error.")),
        ("failed_runs_before", AnswerSchema.value("integer", "With the status error.")),
        ("tools", AnswerSchema.list(toolShape, "New, slower by half, or failing more; most failures first.")),
        ("new_failures", AnswerSchema.list(failureShape, "Kinds of failures that were not seen before.")),
    ]

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let since = call.arguments.moment("since") ?? call.now
        guard since < call.now else { throw QueryError.invalid("since must be before now, \(TimeText.iso8601(unixNano: call.now))") }
        let before = TimeWindow(from: since.subtractingSaturated(call.now.subtractingSaturated(since)), to: since)
        let service = call.arguments.text("service").map(QueryValue.text) ?? .null
        let limit = call.arguments.integer("limit")
        let spans: [QueryValue] = [.integer(before.from), .integer(since), service]
        let isOfNode = call.sources.isOfNode
        return try await call.read(of: .window(from: before.from, to: .max)) { reader in
            func list(_ shape: RowShape, _ sql: String, _ values: [QueryValue]) throws -> JSONValue {
                var page = Page(bytesMax: Page.bytesMax / 5)
                for row in try reader.rows(sql, values + [.integer(Int64(limit))]) where !page.append(shape.row(row)) { break }
                return .array(page.rows)
            }
            let runs = try reader.first(runs, spans) ?? []
            func count(_ column: Int) -> JSONValue { .integer(column < runs.count ? runs[column].integer ?? 0 : 0) }
            let found: [JSONValue.Member] = [
                .init("since", .string(TimeText.iso8601(unixNano: since))), .init("before", .string(before.text)),
                .init("runs", count(0)), .init("runs_before", count(1)), .init("failed_runs", count(2)),
                .init("failed_runs_before", count(3)), .init("tools", try list(toolShape, tools, spans)),
                .init("new_failures", try list(failureShape, newFailures, spans)),
            ]
            guard isOfNode else { return .object(found) }
            let received = try reader.first("SELECT max(received_max) FROM segment")?.first?.integer
            return .object(
                found + [
                    .init("breakers_opened", try list(openingShape, openings, [.integer(since), service])),
                    .init("stalls", try list(countShape, stalls, [.integer(since), service])),
                    .init("evals", try list(countShape, evals, [.integer(before.from), .integer(since)])),
                    .init("newest_span_received", .optional(received.map { TimeText.iso8601(unixNano: $0) })),
                ])
        }
    }

    // Parameters: begin of the time before, the time, service; then the limit.

    private static let asked = "start_time_unix_nano >= ?1 AND (?3 IS NULL OR service_name = ?3)"

    private static let runs = """
        SELECT coalesce(sum(start_time_unix_nano >= ?2), 0), coalesce(sum(start_time_unix_nano < ?2), 0),
            coalesce(sum(start_time_unix_nano >= ?2 AND status_code = 2), 0),
            coalesce(sum(start_time_unix_nano < ?2 AND status_code = 2), 0)
        FROM spans WHERE \(asked) AND is_run = 1
        """

    private static let tools = """
        WITH sides AS (
            SELECT service_name, call_name, coalesce(sum(start_time_unix_nano >= ?2), 0) AS calls,
                coalesce(sum(start_time_unix_nano < ?2), 0) AS calls_before,
                coalesce(sum(start_time_unix_nano >= ?2 AND outcome IN ('error', 'timeout')), 0) AS failures,
                coalesce(sum(start_time_unix_nano < ?2 AND outcome IN ('error', 'timeout')), 0) AS failures_before,
                percentile(CASE WHEN start_time_unix_nano >= ?2 AND outcome <> 'rejected' THEN duration_ns END, 95) AS p95,
                percentile(CASE WHEN start_time_unix_nano < ?2 AND outcome <> 'rejected' THEN duration_ns END, 95) AS p95_before
            FROM spans WHERE \(asked) AND outcome IS NOT NULL GROUP BY service_name, call_name)
        SELECT * FROM sides
        WHERE calls > 0 AND (calls_before = 0 OR p95 > p95_before * 1.5
            OR failures * calls_before > failures_before * calls AND failures > 0)
        ORDER BY failures DESC, calls DESC, 1, 2 LIMIT ?4
        """

    private static let newFailures = """
        SELECT service_name, call_name, outcome, coalesce(timeout_reason, error_type) AS reason, count(*),
            max(trace_id), max(CASE WHEN place = 1 THEN span_id END)
        FROM (
            SELECT *, row_number() OVER (
                PARTITION BY service_name, call_name, outcome, coalesce(timeout_reason, error_type)
                ORDER BY trace_id DESC, span_id) AS place,
                min(start_time_unix_nano) OVER (
                    PARTITION BY service_name, call_name, outcome, coalesce(timeout_reason, error_type)) AS earliest
            FROM (
                SELECT service_name, call_name, outcome, timeout_reason, error_type, trace_id, span_id, start_time_unix_nano
                FROM spans WHERE \(asked) AND outcome IN ('error', 'timeout')))
        WHERE earliest >= ?2
        GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2 LIMIT ?4
        """

    private static let openings = """
        SELECT service_name, tool_name, machine, count(*), max(trace_id) FROM breaker_openings
        WHERE from_unix_nano >= ?1 AND (?2 IS NULL OR service_name = ?2) GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT ?3
        """

    private static let stalls = """
        SELECT kind, count(*), NULL, NULL FROM stalls WHERE time_unix_nano >= ?1 AND (?2 IS NULL OR service_name = ?2)
        GROUP BY kind ORDER BY 2 DESC, 1 LIMIT ?3
        """

    private static let evals = """
        SELECT name, sum(updated_unix_nano >= ?2), avg(CASE WHEN updated_unix_nano >= ?2 THEN score END),
            avg(CASE WHEN updated_unix_nano < ?2 THEN score END)
        FROM main.evaluation WHERE updated_unix_nano >= ?1 GROUP BY name HAVING sum(updated_unix_nano >= ?2) > 0 ORDER BY 1 LIMIT ?3
        """
}
