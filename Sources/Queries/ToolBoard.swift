import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// A tool and stage of a service each, as in the view `tools`, in a span of time.
package enum ToolBoard {
    /// Of the values of a row.
    package static let columns = [
        "service_name", "tool_name", "stage", "calls", "ok", "errors", "timeouts", "rejected", "p50_ns", "p95_ns", "max_ns",
        "last_time_unix_nano",
    ]

    /// Those with most timeouts first, then those with most calls.
    package static func rows(_ window: TimeWindow, service: String?, _ reader: QueryReader) throws -> [[QueryValue]] {
        var attempts = ToolAttempts()
        try reader.pass(SpanPass.Bounds(.start, from: window.from, until: window.to)) { segment throws(SQLiteError) in
            try attempts.add(segment)
        }
        let wanted = service.map(ExactText.init)
        let tools = attempts.figures.filter { wanted == nil || $0.key.service == wanted }
        let ordered = tools.sorted { left, right in
            let (one, other) = (left.value, right.value)
            let (timeouts, others) = (one.counts["timeout"] ?? 0, other.counts["timeout"] ?? 0)
            if timeouts != others { return timeouts > others }
            return one.calls != other.calls ? one.calls > other.calls : left.key < right.key
        }
        return ordered.map { tool, figures in row(tool, figures) }
    }

    private static func row(_ tool: ToolAttempts.Tool, _ figures: ToolAttempts.Figures) -> [QueryValue] {
        func optional(_ text: ExactText?) -> QueryValue { text.map { .text($0.text) } ?? .null }
        func optional(_ number: Int64?) -> QueryValue { number.map(QueryValue.integer) ?? .null }
        var figures = figures
        var row = [optional(tool.service), optional(tool.name), optional(tool.stage), .integer(figures.calls)]
        for outcome in ["ok", "error", "timeout", "rejected"] { row.append(.integer(figures.counts[outcome] ?? 0)) }
        for percent in [50.0, 95] { row.append(optional(figures.percentile(percent))) }
        row.append(optional(figures.durations.max()))
        row.append(.integer(figures.lastUnixNano))
        return row
    }

    /// Writes an array of objects.
    package static func write(_ window: TimeWindow, service: String?, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let rows = try rows(window, service: service, reader)
        try reader.write(rows.map { Array(zip(columns, $0)) }, rowsMax: Boards.rowsMax, of: "tools", into: &json)
    }
}
