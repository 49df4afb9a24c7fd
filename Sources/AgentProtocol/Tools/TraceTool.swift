import Queries
import TelemetryModel

/// `get_trace`: a trace as a tree, a row a span, in the order of reading.
enum TraceTool {
    private static let shape = RowShape([
        ("span_id", .text, "For get_span."), ("depth", .integer, "How deep in the tree; children follow their parent."),
        ("name", .text, "Of the span."), ("service", .text, "Its service."),
        ("stage", .text, "What kind of call it is: llm, vector, http_tool, subprocess, other."),
        ("tool", .text, "The tool that it calls."), ("model", .text, "The model that it calls."),
        ("start_ms", .milliseconds, "After the start of the trace."), ("duration_ms", .milliseconds, "Null when it has not ended."),
        ("outcome", .text, "How the call ended: ok, error, timeout or rejected; null where it is not a call."),
        ("failed", .flag, "Its status is error."), ("message", .text, "The status message, or what timed out and how."),
        ("tokens", .integer, "Tokens of the call."),
        (
            "path_ms", .milliseconds,
            "Its own time on the critical path: what the run waited for it alone. Null when it is not on it."
        ),
    ])

    /// Spans that are named beside the tree.
    private static let longestMax = 10
    private static let pathShape = RowShape([
        ("span_id", .text, "For get_span."), ("name", .text, "Of the span."),
        ("path_ms", .milliseconds, "Its own time on the critical path."),
    ])

    static let tool = Tool(
        name: "get_trace", title: "A trace as a tree",
        purpose: """
            Read one run: every span with its depth, time and outcome. In a long trace ask with only=problems first: spans that failed or \
            timed out, and what leads to them. Why it took so long: critical_path has the spans that the run waited for longest, and \
            only=critical_path all of them. get_span has a span's messages, arguments and events.
            """,
        parameters: [
            Parameter.traceID,
            Parameter(
                "only", .choice(["all", "problems", "critical_path"]),
                "problems: spans that failed, timed out or were rejected, with their ancestors. critical_path: those that the run waited for.",
                fallback: "all"),
            Parameter("offset", .integer(0...TraceReading.spansMax), "Rows to step over.", fallback: .integer(0)),
            Parameter.limit(100, max: 500, of: "Spans"),
        ],
        output: AnswerSchema.object([
            ("trace_id", AnswerSchema.value("string", "Of the trace.")), ("start", AnswerSchema.value("string", "ISO 8601.")),
            ("duration_ms", AnswerSchema.value("number", "From its first start to its last end.")),
            ("span_count", AnswerSchema.value("integer", "Spans that are stored.")),
            ("failed_count", AnswerSchema.value("integer", "Spans with the status error.")),
            ("timeout_count", AnswerSchema.value("integer", "Calls that timed out.")),
            (
                "critical_path",
                AnswerSchema.list(pathShape, "The \(longestMax) spans with the most time on it, the longest first.")
            ),
            ("uncovered_ms", AnswerSchema.value("number", "Time of the run in which no span ran.")),
            ("spans", AnswerSchema.list(shape, "Depth first.")), ("next_offset", AnswerSchema.nextOffset),
        ]),
        run: run)

    /// A row of the query below.
    private struct Span: Sendable {
        var node: TraceTree.Node
        var kind: Int64?
        var start: Int64
        var end: Int64
        var duration: QueryValue
        var outcome: String?
        var failed: Bool
        /// name, service, stage, tool, model
        var words: [QueryValue]
        var message: QueryValue
        var tokens: QueryValue

        init(_ row: [QueryValue]) {
            node = TraceTree.Node(
                spanID: row[0].text ?? "", parentSpanID: row[1].text, service: row[3].text ?? "", kind: row[4].integer)
            kind = row[4].integer
            words = [row[2], row[3], row[8], row[12], row[13]]
            start = row[5].integer ?? 0
            end = max(row[6].integer ?? 0, start)
            duration = row[7]
            outcome = row[9].text
            failed = row[10].integer == 2
            message = row[11]
            if let reason = row[15].text { message = .text("timeout: \(reason)" + (row[11].text.map { ": \($0)" } ?? "")) }
            if message == .null || message == .text(""), let type = row[16].text { message = .text(type) }
            tokens = row[14]
        }

        var isProblem: Bool { failed || (outcome ?? "ok") != "ok" }
    }

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let id = try call.arguments.traceID()
        let only = call.arguments.text("only")
        let (offset, limit) = (call.arguments.integer("offset"), call.arguments.integer("limit"))
        return try await call.read(of: .trace(id.hexadecimal)) { reader in
            let spans = try reader.rows(
                """
                SELECT span_id, parent_span_id, name, service_name, kind, start_time_unix_nano, end_time_unix_nano, duration_ns, stage,
                    outcome, status_code, status_message, tool_name, model, tokens, timeout_reason, error_type
                FROM spans WHERE trace_id = ?1 ORDER BY start_time_unix_nano, rowid LIMIT \(TraceReading.spansMax)
                """, [.text(id.hexadecimal)]
            ).map(Span.init)
            guard !spans.isEmpty else { throw TraceReading.notFound(id) }
            var places = TraceTree.places(spans.map(\.node))
            let path = try TraceReading.criticalPath(id, reader)
            let shares = path.shares
            func share(_ span: Span) -> Int64? { shares[TraceReading.Path.Key(spanID: span.node.spanID, kind: span.kind)] }
            switch only {
            case "problems": places = problems(places, spans)
            case "critical_path": places = places.filter { (share(spans[$0.index]) ?? 0) > 0 }
            default: break
            }
            let start = spans.first?.start ?? 0
            let end = spans.map(\.end).max() ?? start
            var page = Page()
            for place in places.dropFirst(offset).prefix(limit) {
                guard
                    page.append(row(spans[place.index], depth: place.depth, traceStart: start, share: share(spans[place.index])))
                else { break }
            }
            let next = offset + page.rows.count
            let longest = spans.compactMap { span in share(span).map { (span: span, share: $0) } }.filter { $0.share > 0 }
                .sorted { ($0.share, $1.span.start) > ($1.share, $0.span.start) }.prefix(longestMax)
            return [
                "trace_id": .string(id.hexadecimal), "start": .string(TimeText.iso8601(unixNano: start)),
                "duration_ms": .double(Double(end.subtractingSaturated(start)) / 1e6),
                "span_count": .integer(try TraceReading.count(id, reader)),
                "failed_count": .integer(Int64(spans.count { $0.failed })),
                "timeout_count": .integer(Int64(spans.count { $0.outcome == "timeout" })),
                "critical_path": .array(
                    longest.map { pathShape.row([.text($0.span.node.spanID), $0.span.words[0], .integer($0.share)]) }),
                "uncovered_ms": .double((Double(path.uncoveredNanoseconds) / 1e3).rounded() / 1e3),
                "spans": .array(page.rows), "next_offset": next < places.count ? .integer(Int64(next)) : .null,
            ]
        }
    }

    /// The places of spans that are problems, and of what they hang under.
    private static func problems(_ places: [TraceTree.Place], _ spans: [Span]) -> [TraceTree.Place] {
        var parents: [Int: Int] = [:]
        for place in places { parents[place.index] = place.parent }
        var wanted: Set<Int> = []
        for place in places where spans[place.index].isProblem {
            var index: Int? = place.index
            while let current = index, wanted.insert(current).inserted { index = parents[current] }
        }
        return places.filter { wanted.contains($0.index) }
    }

    private static func row(_ span: Span, depth: Int, traceStart: Int64, share: Int64?) -> JSONValue {
        shape.row([
            .text(span.node.spanID), .integer(Int64(depth)), span.words[0], span.words[1], span.words[2], span.words[3], span.words[4],
            .integer(span.start.subtractingSaturated(traceStart)), span.duration, span.outcome.map(QueryValue.text) ?? .null,
            .integer(span.failed ? 1 : 0), span.message, span.tokens, share.map(QueryValue.integer) ?? .null,
        ])
    }
}
