import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// Workflows in a span of time: their runs and what was spent for them, by calls to models, as in the view `costs`.
package enum WorkflowBoard {
    private struct Key: Hashable {
        var service: ExactText
        var workflow: ExactText?

        init(_ service: String, _ workflow: String?) {
            self.service = ExactText(service)
            self.workflow = workflow.map(ExactText.init)
        }
    }

    private static let runs = """
        SELECT service_name, workflow_name, count(*) AS runs, sum(status_code = 2) AS failed_runs,
            percentile(duration_ns, 50) AS p50_ns, percentile(duration_ns, 95) AS p95_ns, max(duration_ns) AS max_ns
        FROM spans WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2 AND is_run = 1
            AND (?3 IS NULL OR service_name = ?3)
        GROUP BY service_name, workflow_name ORDER BY 1, 2 LIMIT \(Boards.rowsMax + 1)
        """

    /// Writes an array of objects, by service and name; what was spent outside of any workflow has none. A service that worked for
    /// another's workflow has a row without runs.
    package static func write(_ window: TimeWindow, service: String?, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let spent = try spending(window, service: service, reader)
        var rows: [(key: Key, figures: [QueryValue])] = []
        let named = try reader.rows(runs, window.values + [service.map(QueryValue.text) ?? .null])
        for row in named { rows.append((Key(row[0].text ?? "", row[1].text), Array(row[2...]))) }
        let known = Set(rows.map(\.key))
        for key in spent.keys where !known.contains(key) { rows.append((key, [.integer(0), .integer(0), .null, .null, .null])) }
        let none = ExactText("")
        rows.sort { ($0.key.service, $0.key.workflow ?? none) < ($1.key.service, $1.key.workflow ?? none) }
        let figures = ["runs", "failed_runs", "p50_ns", "p95_ns", "max_ns"]
        let written = rows.prefix(Boards.rowsMax + 1).map { row in
            [
                ("service_name", QueryValue.text(row.key.service.text)),
                ("workflow_name", row.key.workflow.map { .text($0.text) } ?? .null),
            ] + Array(zip(figures, row.figures)) + (spent[row.key] ?? Spending()).fields
        }
        try reader.write(written, rowsMax: Boards.rowsMax, of: "workflows", into: &json)
    }

    /// By columns, and not by rows of SQL: a page looks at millions of spans.
    private static func spending(_ window: TimeWindow, service: String?, _ reader: QueryReader) throws -> [Key: Spending] {
        var spent: [Key: Spending] = [:]
        let book = try reader.prices()
        let condition = service.map { "service_name = '\($0.replacing("'", with: "''"))'" }
        let bounds = SpanPass.Bounds(.start, from: window.from, until: window.to, condition: condition)
        try reader.passTokenCalls(bounds) { segment throws(SQLiteError) in
            let columns = try SpentColumns(segment, book)
            let services = try segment.texts("service_name")
            let workflows = try segment.texts("call_workflow")
            segment.forEachRow { row in
                let service = services.number(row)
                guard service >= 0 else { return }
                let workflow = workflows.number(row)
                let key = Key(services.texts[service], workflow < 0 ? nil : workflows.texts[workflow])
                columns.add(row, to: &spent[key, default: Spending()])
            }
        }
        return spent
    }
}
