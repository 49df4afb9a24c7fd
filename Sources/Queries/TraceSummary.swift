import SQLite
package import TelemetryModel

/// A trace in a list: figures over all of its spans.
package struct TraceSummary: Equatable, Sendable {
    package var traceID: String
    package var startUnixNano: Int64
    package var endUnixNano: Int64
    package var durationNanoseconds: Int64
    package var spanCount: Int64
    package var errorCount: Int64
    package var timeoutCount: Int64
    /// The root's name, or the first span's when no root is stored.
    package var name: String
    package var hasRoot: Bool
    /// Spans that have not ended.
    package var openSpanCount: Int64
    package var service: String
    package var workflow: String?
    package var rootStatusCode: Int64?
    /// Each token once, as in the view `token_spans`.
    package var spending: Spending
    package var session: String?
    package var user: String?
    package var evalID: String?
    /// Start of the first span that matched.
    package var matchUnixNano: Int64

    /// Which span of a trace gives a value first: as in the view `traces`.
    static let rank = "parent_span_id IS NOT NULL, start_time_unix_nano, end_time_unix_nano, span_id"
    /// Spans that count as some of a trace: as in the view `traces`.
    static let isShown = "(told_by_log IS NULL OR outcome IS NOT NULL OR counts_tokens = 1)"

    /// Columns that a summary is made of; `here` holds the spans of the traces asked for.
    private static let select = """
        SELECT trace_id, min(start_time_unix_nano), max(end_time_unix_nano), count(*), sum(status_code = 2),
            sum(outcome = 'timeout'), max(CASE WHEN parent_span_id IS NULL THEN name END),
            first_of(service_name, \(rank)), first_of(workflow_name, \(rank)),
            max(CASE WHEN parent_span_id IS NULL THEN status_code END), first_of(session_id, \(rank)), max(eval_id),
            (SELECT name FROM here AS early WHERE early.trace_id = here.trace_id ORDER BY start_time_unix_nano, span_id LIMIT 1),
            min(CASE WHEN matches THEN start_time_unix_nano END), first_of(user_id, \(rank)), sum(\(RunningTraces.isOpen)),
            \(SpendingSQL.sums)
        FROM here GROUP BY trace_id
        """

    /// Reads traces whole.
    package static func read(
        _ ids: [String], matching condition: SQLCondition?, _ reader: QueryReader
    ) throws -> [String: TraceSummary] {
        guard !ids.isEmpty else { return [:] }
        let marks = Array(repeating: "?", count: ids.count).joined(separator: ",")
        let sql = """
            WITH here AS MATERIALIZED (
                SELECT trace_id, span_id, parent_span_id, start_time_unix_nano, end_time_unix_nano, duration_ns, service_name, name,
                    status_code, logfire_span_type,
                    workflow_name, outcome, session_id, user_id, eval_id, \(SpendingSQL.ofRow("spans")),
                    \(condition?.sql ?? "1") AS matches
                FROM spans WHERE trace_id IN (\(marks)) AND \(isShown))
            \(select)
            """
        var found: [String: TraceSummary] = [:]
        try reader.each(sql, (condition?.values ?? []) + ids.map(QueryValue.text)) { row in
            let values = QueryReader.row(row)
            let summary = TraceSummary(values)
            found[summary.traceID] = summary
            return true
        }
        return found
    }

    /// Columns of `select`.
    private static let columns = 16 + SpendingSQL.names.count

    private init(_ row: [QueryValue]) {
        let row = row.count == Self.columns ? row : Array(repeating: .null, count: Self.columns)
        traceID = row[0].text ?? ""
        startUnixNano = row[1].integer ?? 0
        endUnixNano = row[2].integer ?? 0
        durationNanoseconds = max(0, endUnixNano.subtractingSaturated(startUnixNano))
        spanCount = row[3].integer ?? 0
        errorCount = row[4].integer ?? 0
        timeoutCount = row[5].integer ?? 0
        hasRoot = row[6].text != nil
        name = row[6].text ?? row[12].text ?? ""
        service = row[7].text ?? ""
        workflow = row[8].text
        rootStatusCode = row[9].integer
        session = row[10].text
        evalID = row[11].text
        matchUnixNano = row[13].integer ?? .min
        user = row[14].text
        openSpanCount = row[15].integer ?? 0
        spending = Spending(row[16...])
    }

    /// Whether it still runs, as far as its spans tell: one of them has not ended, or the root has not come.
    package var isRunning: Bool { openSpanCount > 0 || !hasRoot }

    /// The summary as a JSON object.
    ///
    /// - Parameter preview: what was asked and answered, where that is shown.
    package func write(preview: TracePreview? = nil, into json: inout JSONWriter) {
        json.raw("{")
        var isFirst = true
        for (name, value) in fields {
            json.key(name, isFirst: &isFirst)
            if case .integer(let integer) = value, name.hasSuffix("_unix_nano") {
                json.string("\(integer)")
            } else {
                value.write(into: &json)
            }
        }
        if let preview {
            json.key("input", isFirst: &isFirst)
            (preview.input.map(QueryValue.text) ?? .null).write(into: &json)
            json.key("output", isFirst: &isFirst)
            (preview.output.map(QueryValue.text) ?? .null).write(into: &json)
        }
        json.raw("}")
    }

    /// The names of `fields`.
    package static let names = TraceSummary([]).fields.map(\.0)

    /// Names and values as the API and the terminal show them.
    package var fields: [(String, QueryValue)] {
        func optional(_ text: String?) -> QueryValue { text.map(QueryValue.text) ?? .null }
        func optional(_ integer: Int64?) -> QueryValue { integer.map(QueryValue.integer) ?? .null }
        return [
            ("trace_id", .text(traceID)), ("start_time_unix_nano", .integer(startUnixNano)),
            ("end_time_unix_nano", .integer(endUnixNano)), ("duration_ns", .integer(durationNanoseconds)),
            ("service_name", .text(service)), ("workflow_name", optional(workflow)), ("name", .text(name)),
            ("has_root", .integer(hasRoot ? 1 : 0)), ("open_span_count", .integer(openSpanCount)), ("root_status_code", optional(rootStatusCode)),
            ("span_count", .integer(spanCount)), ("error_count", .integer(errorCount)), ("timeout_count", .integer(timeoutCount)),
        ] + spending.fields + [
            ("user_id", optional(user)), ("session_id", optional(session)), ("eval_id", optional(evalID)),
        ]
    }
}
