import Queries
import TelemetryModel

/// `list_failures`: what failed or timed out in a window, grouped, with examples.
enum FailureTool {
    private static let groupsMax = 30
    private static let examplesMax = 3

    private static let shape = RowShape([
        ("service", .text, "The service."), ("call", .text, "The tool's name, or the stage of calls without one."),
        ("outcome", .text, "error, timeout or rejected."), ("reason", .text, "The timeout's reason, or the type of the error."),
        ("count", .integer, "Calls in the window."), ("traces", .integer, "Traces that they are of."),
        ("last", .time, "When the last one began."), ("example_trace_id", .text, "The latest, for get_trace."),
        ("example_span_id", .text, "The latest, for get_span."), ("example_message", .text, "Its status message."),
        ("other_examples", .text, "More as trace_id/span_id, with spaces between."),
    ])
    private static let runShape = RowShape([
        ("trace_id", .text, "For get_trace."), ("start", .time, "When it began."), ("name", .text, "Of the run's span."),
        ("service", .text, "Of the run's span."), ("duration_ms", .milliseconds, "Of the run's span."),
        ("message", .text, "Its status message."),
    ])

    static let tool = Tool(
        name: "list_failures", title: "Failures and timeouts",
        purpose: "What failed in a window: calls grouped by tool, outcome and reason, with the latest example of each; and runs that failed.",
        parameters: [
            Parameter.sinceDay, Parameter.until, Parameter.service,
            Parameter("tool", .text, "Only this tool, or stage."),
            Parameter("outcome", .choice(["error", "timeout", "rejected"]), "Only calls that ended so."),
            Parameter.limit(15, max: groupsMax, of: "Groups, and failed runs,"),
        ],
        output: AnswerSchema.object([
            ("window", AnswerSchema.window), ("groups", AnswerSchema.list(shape, "Most frequent first.")),
            ("more_groups", AnswerSchema.value("boolean", "There are more: narrow by service, tool or outcome.")),
            ("failed_run_count", AnswerSchema.value("integer", "Runs of workflows with the status error.")),
            ("failed_runs", AnswerSchema.list(runShape, "The latest.")),
        ]),
        run: run)

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let window = try call.arguments.window()
        let service = call.arguments.text("service").map(QueryValue.text) ?? .null
        let tool = call.arguments.text("tool").map(QueryValue.text) ?? .null
        let outcome = call.arguments.text("outcome").map(QueryValue.text) ?? .null
        let limit = call.arguments.integer("limit")
        return try await call.read(of: .window(window)) { reader in
            let rows = try reader.rows(groups, window.values + [service, tool, outcome, .integer(Int64(limit + 1))])
            var page = Page(bytesMax: Page.bytesMax * 3 / 4)
            var hasMore = rows.count > limit
            for row in rows.prefix(limit) where !page.append(shape.row(row)) {
                hasMore = true
                break
            }
            let runs = try reader.rows(failedRuns, window.values + [service, .integer(Int64(limit))])
            var runPage = Page(bytesMax: Page.bytesMax / 4)
            for row in runs where !runPage.append(runShape.row(Array(row.dropLast()))) { break }
            return [
                "window": .string(window.text), "groups": .array(page.rows), "more_groups": .bool(hasMore),
                "failed_run_count": .integer(runs.first?.last?.integer ?? 0), "failed_runs": .array(runPage.rows),
            ]
        }
    }

    /// Failed calls of a window; parameters: from, last, service, tool, outcome, groups.
    private static let groups = """
        WITH failed AS (
            SELECT service_name, call_name, outcome, coalesce(timeout_reason, error_type) AS reason, trace_id, span_id,
                start_time_unix_nano, status_message,
                row_number() OVER (
                    PARTITION BY service_name, call_name, outcome, coalesce(timeout_reason, error_type)
                    ORDER BY start_time_unix_nano DESC, span_id) AS place
            FROM spans
            WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2 AND outcome IN ('error', 'timeout', 'rejected')
                AND (?3 IS NULL OR service_name = ?3) AND (?4 IS NULL OR call_name = ?4) AND (?5 IS NULL OR outcome = ?5)
        )
        SELECT service_name, call_name, outcome, reason, count(*), count(DISTINCT trace_id), max(start_time_unix_nano),
            max(CASE WHEN place = 1 THEN trace_id END), max(CASE WHEN place = 1 THEN span_id END),
            max(CASE WHEN place = 1 THEN status_message END),
            group_concat(CASE WHEN place BETWEEN 2 AND \(examplesMax) THEN trace_id || '/' || span_id END, ' ')
        FROM failed GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4 LIMIT ?6
        """

    /// Parameters: from, last, service, runs. The count of all stands in each row.
    private static let failedRuns = """
        SELECT trace_id, start_time_unix_nano, name, service_name, duration_ns, status_message, count(*) OVER ()
        FROM spans
        WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2 AND is_run = 1 AND status_code = 2
            AND (?3 IS NULL OR service_name = ?3)
        ORDER BY start_time_unix_nano DESC LIMIT ?4
        """
}
