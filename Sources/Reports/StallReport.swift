import SQLite
import TelemetryModel

/// Stalls of a window: counts by workflow and kind, and the list.
package struct StallReport {
    private let reader: ReportReader

    package init(_ reader: ReportReader) {
        self.reader = reader
    }

    package func make(_ window: ReportWindow, limit: Int) throws(ReportReader.Failure) -> ReportDocument {
        var document = ReportDocument(name: "stalls", window: window)
        guard window.condition == nil else {
            throw .condition("stalls are rows of their own, without the columns of spans; use `fusebox sql` on the view stalls instead of --where")
        }
        var counts = ToolReport.Counts()
        document.sections = [try ToolReport(reader).stalls(window, &counts), try list(window, limit)]
        return document
    }

    private func list(_ window: ReportWindow, _ limit: Int) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "list", title: "Latest first", columns: ["time", "kind", "workflow", "seconds", "what", "trace_id", "span_id"])
        let sql = """
            SELECT time_unix_nano, kind, workflow_name, duration_ns / 1e9, detail, trace_id, span_id FROM stalls
            WHERE time_unix_nano >= \(window.fromUnixNano) AND time_unix_nano < \(window.untilUnixNano)
            ORDER BY time_unix_nano DESC LIMIT \(max(0, limit))
            """
        section.rows = try reader.rows(sql) { row in
            [
                .text(TimeText.iso8601(unixNano: row.integer(0))), .text(row.text(1) ?? ""), .text(row.text(2) ?? ""),
                row.isNull(3) ? .none : .seconds(row.double(3)), .text(row.text(4) ?? ""), .text(row.text(5) ?? ""),
                .optional(row.text(6)),
            ]
        }
        section.queries = [ReportQuery("the latest stalls", sql)]
        return section
    }
}
