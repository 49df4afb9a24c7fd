import Derivations
import Queries
import TelemetryModel

/// `search_traces`: the filters of `/api/traces`.
enum SearchTool {
    private static let shape = RowShape([
        ("trace_id", .text, "For get_trace."), ("start", .time, "When its first span began."),
        ("duration_ms", .milliseconds, "From its first start to its last end."), ("name", .text, "Of the root span."),
        ("service", .text, "Of the root span."), ("workflow", .text, "Of the root span."),
        ("root_failed", .flag, "The root span has the status error; null when no root is stored."),
        ("span_count", .integer, "Spans."), ("error_count", .integer, "Spans with the status error."),
        ("timeout_count", .integer, "Calls that timed out."), ("open_span_count", .integer, "Spans that have not ended."), ("tokens", .integer, "Each counted once."),
        ("session_id", .text, "The conversation that it is of."), ("user_id", .text, "Whom it was for."),
    ])

    static let tool = Tool(
        name: "search_traces", title: "Search traces",
        purpose: """
            Find runs, newest first. A trace is found when one of its spans meets every condition. Give its trace_id to get_trace.
            """,
        parameters: [
            Parameter.since, Parameter.until, Parameter.service,
            Parameter("workflow", .text, "Only this workflow, by its exact name."),
            Parameter("tool", .text, "A span that calls this tool; or a stage (llm, vector, http_tool, subprocess) for calls that name no tool."),
            Parameter("model", .text, "A span that calls this model."),
            Parameter("span_name", .text, "A span of this exact name."),
            Parameter("session", .text, "Only this conversation."),
            Parameter("user", .text, "Only this user."),
            Parameter("eval", .text, "Only this eval id."),
            Parameter("outcome", .choice(Outcome.allCases.map(\.rawValue)), "A call that ended so."),
            Parameter("status", .choice(SpanCriteria.Status.allCases.map(\.rawValue)), "A span with this status."),
            Parameter("running", .choice(["true", "false"]), "Only what still runs: a span has not ended, or no root is stored."),
            Parameter("text", .text, "Text in a span's name, status message or attributes, prompts and answers included."),
            Parameter("attributes", .texts, "Span attributes with exactly these values."),
            Parameter("min_ms", .number, "Traces that took at least this many milliseconds."),
            Parameter("max_ms", .number, "Traces that took at most this many milliseconds."),
            Parameter.limit(20, max: 100, of: "Traces"),
            Parameter("cursor", .text, "next_cursor of the answer before."),
        ],
        output: AnswerSchema.object([
            ("traces", AnswerSchema.list(shape, "Newest first.")),
            ("next_cursor", AnswerSchema.optional("string", "Give it as cursor, with the same conditions, for the rest; null at the end.")),
            ("stopped_early", AnswerSchema.value("boolean", "The search stopped to be asked again by next_cursor, not because it found enough.")),
        ]),
        run: run)

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let search = try search(call.arguments)
        return try await call.read(of: search.need) { reader in
            let answer = try search.run(reader)
            var page = Page()
            var next = answer.next
            var last: TraceSummary?
            for trace in answer.traces {
                guard page.append(row(trace)) else {
                    next = last.map { TraceCursor(matchUnixNano: $0.matchUnixNano, traceID: $0.traceID) }
                    break
                }
                last = trace
            }
            return [
                "traces": .array(page.rows), "next_cursor": .optional(next?.text), "stopped_early": .bool(answer.stoppedEarly),
            ]
        }
    }

    private static func search(_ arguments: Arguments) throws(QueryError) -> TraceSearch {
        var search = TraceSearch()
        let window = try arguments.window()
        (search.from, search.to) = (window.from, window.to)
        search.criteria.service = arguments.text("service")
        search.criteria.workflow = arguments.text("workflow")
        search.criteria.tool = arguments.text("tool")
        search.criteria.model = arguments.text("model")
        search.criteria.name = arguments.text("span_name")
        search.criteria.session = arguments.text("session")
        search.criteria.user = arguments.text("user")
        search.criteria.evalID = arguments.text("eval")
        search.criteria.outcome = arguments.text("outcome")
        search.criteria.status = arguments.text("status").flatMap(SpanCriteria.Status.init)
        search.criteria.text = arguments.text("text")
        search.criteria.attributes = arguments.texts("attributes").map { SpanCriteria.Attribute(key: $0.key, value: $0.value) }
        search.limits.isRunning = arguments.text("running") == "true"
        search.limits.durationMinimum = try arguments.milliseconds("min_ms")
        search.limits.durationMaximum = try arguments.milliseconds("max_ms")
        search.limit = arguments.integer("limit")
        if let text = arguments.text("cursor") {
            guard let cursor = TraceCursor(text: text) else { throw .invalid("cursor must be the next_cursor of an answer") }
            search.after = cursor
        }
        return search
    }

    private static func row(_ trace: TraceSummary) -> JSONValue {
        func optional(_ text: String?) -> QueryValue { text.map(QueryValue.text) ?? .null }
        return shape.row([
            .text(trace.traceID), .integer(trace.startUnixNano), .integer(trace.durationNanoseconds), .text(trace.name),
            .text(trace.service), optional(trace.workflow), trace.rootStatusCode.map { .integer($0 == 2 ? 1 : 0) } ?? .null,
            .integer(trace.spanCount), .integer(trace.errorCount), .integer(trace.timeoutCount), .integer(trace.openSpanCount),
            trace.spending.tokens.map(QueryValue.integer) ?? .null, optional(trace.session), optional(trace.user),
        ])
    }
}
