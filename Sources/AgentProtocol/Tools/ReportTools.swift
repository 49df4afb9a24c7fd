import Queries
import Reports
import SpanStore
import TelemetryModel

/// Tools whose answers are reports: what `fusebox cost` and `fusebox stalls` print as JSON, with as many rows as fit.
enum ReportTools {
    static let costs = Tool(
        name: "get_costs", title: "Costs",
        purpose: """
            What a window cost: tokens and dollars by model, rent of hosts, idle GPUs, dollars a million tokens. A model without a price \
            is named in unpriced_models and leaves the total null: never take null for zero.
            """,
        parameters: [Parameter.sinceDay, Parameter.until, Parameter.service, Parameter.limit(20, max: 100, of: "Rows of each section")],
        output: AnswerSchema.object([
            ("total_dollars", AnswerSchema.optional("number", "Null when a model has no price.")),
            ("tokens", AnswerSchema.value("integer", "Each counted once.")),
            ("calls", AnswerSchema.value("integer", "Model calls.")),
            ("unpriced_models", ["type": "array", "items": ["type": "string"]]),
            ("report", AnswerSchema.value("object", "Sections of rows, with notes.")),
            ("rows_left_out", AnswerSchema.value("integer", "Rows that did not fit; on a node, query_sql on the view costs has all.")),
        ])
    ) { call in
        let (window, limit) = (try call.reportWindow(), call.arguments.integer("limit"))
        let (slow, engine) = (call.sources.gates.slowToolNanoseconds, call.sources.engine)
        let need = SpanNeed.window(from: window.fromUnixNano, to: window.untilUnixNano)
        return try await call.read(of: need) { reader in
            var settings = CostReport.Settings()
            settings.slowToolNanoseconds = slow
            let (figures, document) = try CostReport(ReportReader(reader.reader, over: engine), settings: settings).make(window)
            let (json, leftOut) = document.bounded(rows: limit)
            return [
                "total_dollars": .optional(figures.totalDollars), "tokens": .integer(figures.tokens), "calls": .integer(figures.calls),
                "unpriced_models": .array(figures.unpricedModels.prefix(unpricedMax).map(JSONValue.string)), "report": json,
                "rows_left_out": .integer(Int64(leftOut)),
            ]
        }
    }

    private static let unpricedMax = 50

    static let stalls = Tool(
        name: "list_stalls", title: "Stalls",
        purpose: """
            Where agents' loops stood still or ran in circles: gaps, repeats, cycles, blocked event loops, each with the span that is \
            suspected. The resource fusebox://docs/stalls says what each kind means.
            """,
        parameters: [Parameter.sinceDay, Parameter.until, Parameter.limit(20, max: 100, of: "Stalls")],
        output: AnswerSchema.object([
            ("report", AnswerSchema.value("object", "Counts by workflow and kind, and the latest stalls with trace_id and span_id.")),
            ("rows_left_out", AnswerSchema.value("integer", "Rows that did not fit; query_sql on the view stalls has all.")),
        ])
    ) { call in
        let (window, limit) = (try call.reportWindow(), call.arguments.integer("limit"))
        return try await call.read { reader in
            let (json, leftOut) = try StallReport(ReportReader(reader.reader)).make(window, limit: limit).bounded(rows: limit)
            return ["report": json, "rows_left_out": .integer(Int64(leftOut))]
        }
    }
}

extension ToolCall {
    /// The window of a report, and the condition of its `service`.
    func reportWindow() throws(QueryError) -> ReportWindow {
        let window = try arguments.window()
        return ReportWindow(
            fromUnixNano: max(0, window.from), untilUnixNano: window.to == .max ? now : window.to,
            condition: arguments.text("service").map { "service_name = \(SQLLiteral.text($0))" })
    }
}

extension ReportDocument {
    /// The report as JSON, at most so many rows in each section and only what fits, and how many rows that leaves out.
    func bounded(rows rowsMax: Int) -> (json: JSONValue, leftOut: Int) {
        var document = self
        var leftOut = 0
        var bytes = Page.bytesMax
        for (index, section) in sections.enumerated() {
            var page = Page(bytesMax: max(1, bytes))
            var rows: [[ReportValue]] = []
            for row in section.rows.prefix(rowsMax) {
                let clipped = row.map { value in
                    if case .text(let text) = value { return ReportValue.text(ClippedText.of(text, max: Self.textMax)) }
                    return value
                }
                let names = section.columns.reduce(0) { $0 + $1.utf8.count + 4 }
                guard bytes > 0, page.append(.array(clipped.map(\.json))) else { break }
                bytes -= JSONValue.array(clipped.map(\.json)).line.utf8.count + names
                rows.append(clipped)
            }
            leftOut += section.rows.count - rows.count
            document.sections[index].rows = rows
        }
        return (document.json(explains: false), leftOut)
    }

    /// Characters of one text.
    private static var textMax: Int { 400 }
}

/// Texts inside SQL, where a report takes a condition rather than parameters.
enum SQLLiteral {
    static func text(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
}
