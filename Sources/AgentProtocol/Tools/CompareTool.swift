import Queries
import Reports
import SpanStore
import TelemetryModel

/// `compare_windows`: two windows side by side.
enum CompareTool {
    private static let shape = RowShape([
        ("service", .text, "The service."), ("tool", .text, "The tool's name, or the stage of calls without one."),
        ("a_calls", .integer, "Calls in A; null for none."), ("b_calls", .integer, "Calls in B; null for none."),
        ("a_errors", .integer, "Calls that failed."), ("b_errors", .integer, "Calls that failed."),
        ("a_timeouts", .integer, "Calls that timed out."), ("b_timeouts", .integer, "Calls that timed out."),
        ("a_p95_ms", .milliseconds, "95th percentile of A."), ("b_p95_ms", .milliseconds, "95th percentile of B."),
        ("p95_change_ms", .milliseconds, "B minus A."),
    ])

    static let tool = Tool(
        name: "compare_windows", title: "Compare two windows",
        purpose: """
            What differs between two windows, A and B: runs' latency with confidence intervals (finding says whether it differs), failures, \
            cost, and each tool's calls, errors, timeouts and p95, the largest change first.
            """,
        parameters: [
            Parameter("a_since", .moment, "Begin of A.", isRequired: true),
            Parameter("a_until", .moment, "End of A; without it, the begin of B."),
            Parameter("b_since", .moment, "Begin of B.", isRequired: true), Parameter("b_until", .moment, "End of B; without it, now."),
            Parameter.service, Parameter("workflow", .text, "Only this workflow's runs."), Parameter.limit(20, max: 100, of: "Tools"),
        ],
        output: AnswerSchema.object([
            ("a", AnswerSchema.window), ("b", AnswerSchema.window),
            ("runs", AnswerSchema.value("object", "What fusebox compare says of the runs: sections of rows, with notes.")),
            ("tools", AnswerSchema.list(shape, "The largest change of p95 first.")),
            ("more_tools", AnswerSchema.value("boolean", "There are more: narrow by service.")),
        ]),
        run: run)

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let arguments = call.arguments
        let service = arguments.text("service")
        let b = TimeWindow(from: arguments.moment("b_since") ?? 0, to: arguments.moment("b_until") ?? call.now)
        let a = TimeWindow(from: arguments.moment("a_since") ?? 0, to: arguments.moment("a_until") ?? b.from)
        guard a.from < a.to, b.from < b.to else {
            throw QueryError.invalid("each window must begin before it ends; A is \(a.text), B is \(b.text)")
        }
        var terms: [String] = []
        if let service { terms.append("service_name = \(SQLLiteral.text(service))") }
        if let workflow = arguments.text("workflow") { terms.append("workflow_name = \(SQLLiteral.text(workflow))") }
        let condition = terms.isEmpty ? nil : terms.joined(separator: " AND ")
        let sides = [("A", a), ("B", b)].map { name, window in
            CompareReport.Side(
                name: name,
                window: ReportWindow(fromUnixNano: max(0, window.from), untilUnixNano: window.to, condition: condition))
        }
        var settings = CompareReport.Settings()
        settings.limits = call.sources.gates
        let (asked, limit) = (settings, arguments.integer("limit"))
        let engine = call.sources.engine
        return try await call.read(of: .window(from: min(a.from, b.from), to: max(a.to, b.to))) { reader in
            let report = try CompareReport(ReportReader(reader.reader, over: engine), settings: asked).make(sides[0], sides[1]).document
            let tools = changes(
                try ToolBoard.rows(a, service: service, reader),
                try ToolBoard.rows(b, service: service, reader))
            var page = Page(bytesMax: Page.bytesMax / 2)
            for row in tools.prefix(limit) where !page.append(shape.row(row)) { break }
            return [
                "a": .string(a.text), "b": .string(b.text), "runs": report.bounded(rows: limit).json, "tools": .array(page.rows),
                "more_tools": .bool(page.rows.count < tools.count),
            ]
        }
    }

    private struct Key: Hashable {
        var service, tool, stage: String

        init(_ row: [QueryValue]) {
            service = row[0].text ?? ""
            tool = row[1].text ?? ""
            stage = row[2].text ?? ""
        }
    }

    /// Rows of `ToolBoard` of both windows, joined.
    private static func changes(_ a: [[QueryValue]], _ b: [[QueryValue]]) -> [[QueryValue]] {
        let first = Dictionary(a.map { (Key($0), $0) }, uniquingKeysWith: { one, _ in one })
        let second = Dictionary(b.map { (Key($0), $0) }, uniquingKeysWith: { one, _ in one })
        let keys = Set(first.keys).union(second.keys)
        let rows = keys.map { key -> (order: Int64, name: String, row: [QueryValue]) in
            func value(_ side: [Key: [QueryValue]], _ column: Int) -> QueryValue { side[key]?[column] ?? .null }
            var change = QueryValue.null
            if let before = value(first, 9).integer, let after = value(second, 9).integer {
                change = .integer(after.subtractingSaturated(before))
            }
            let row: [QueryValue] = [
                .text(key.service), .text(key.tool), value(first, 3), value(second, 3), value(first, 5), value(second, 5),
                value(first, 6), value(second, 6), value(first, 9), value(second, 9), change,
            ]
            return (Int64(clamping: change.integer?.magnitude ?? 0), "\(key.service)/\(key.tool)/\(key.stage)", row)
        }
        return rows.sorted { ($1.order, $0.name) < ($0.order, $1.name) }.map(\.row)
    }
}
