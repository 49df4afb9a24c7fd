import Queries
import Reports
import SpanStore
import TelemetryModel

/// `list_evals`: scores by name, and the cases that did worst.
enum EvalTool {
    private static let shape = RowShape([
        ("name", .text, "Of the eval."), ("score", .number, "Null where it has none."), ("label", .text, "Such as pass or fail."),
        ("explanation", .text, "Why, as the judge wrote it."), ("error", .text, "Why there is no judgement."),
        ("eval_id", .text, "The example that was judged."), ("trace_id", .text, "For get_trace; null when no span is stored."),
        ("span_id", .text, "For get_span."), ("duration_ms", .milliseconds, "Of the span that was judged."),
        ("judged", .time, "When the eval was made."),
    ])

    static let tool = Tool(
        name: "list_evals", title: "Evals and worst cases",
        purpose: "Scores by eval name, and the cases that did worst, each with the span that was judged.",
        parameters: [
            Parameter("name", .text, "Only evals of this name."),
            Parameter("order", .choice(["worst", "newest"]), "worst: failures and the lowest scores first.", fallback: "worst"),
            Parameter.limit(20, max: 100, of: "Cases"),
            Parameter("offset", .integer(0...1_000_000), "Cases to step over.", fallback: .integer(0)),
        ],
        output: AnswerSchema.object([
            ("names", AnswerSchema.value("object", "By name: evals, matched, mean_score, min_score, max_score, pass, fail, errors.")),
            ("cases", AnswerSchema.list(shape, "In the order that was asked for.")), ("next_offset", AnswerSchema.nextOffset),
        ]),
        run: run)

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let arguments = call.arguments
        let name = arguments.text("name")
        let (limit, offset) = (arguments.integer("limit"), arguments.integer("offset"))
        let order =
            arguments.text("order") == "newest"
            ? "evaluation.updated_unix_nano DESC"
            : "\(EvalReport.hasFailed) DESC, evaluation.score IS NULL, evaluation.score"
        return try await call.read { reader in
            var names = ReportDocument(name: "evals", window: ReportWindow(fromUnixNano: 0, untilUnixNano: call.now))
            names.sections = [try EvalReport(ReportReader(reader.reader)).names(name)]
            let rows = try reader.rows(
                """
                SELECT evaluation.name, evaluation.score, evaluation.label, evaluation.explanation, evaluation.error,
                    coalesce(evaluation.eval_id, evaluation.example_id), span_evals.trace_id, span_evals.span_id,
                    span_evals.duration_ns, coalesce(evaluation.created_unix_nano, evaluation.updated_unix_nano)
                FROM main.evaluation LEFT JOIN span_evals ON span_evals.evaluation_id = evaluation.id
                WHERE ?1 IS NULL OR evaluation.name = ?1
                ORDER BY \(order), evaluation.id DESC LIMIT ?2 OFFSET ?3
                """, [name.map(QueryValue.text) ?? .null, .integer(Int64(limit + 1)), .integer(Int64(offset))])
            var page = Page(bytesMax: Page.bytesMax * 3 / 4)
            for row in rows.prefix(limit) where !page.append(shape.row(row)) { break }
            let hasMore = page.rows.count < rows.count
            return [
                "names": names.bounded(rows: namesMax).json, "cases": .array(page.rows),
                "next_offset": hasMore ? .integer(Int64(offset + page.rows.count)) : .null,
            ]
        }
    }

    private static let namesMax = 30
}
