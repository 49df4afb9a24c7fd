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
    package var service: String
    package var workflow: String?
    package var rootStatusCode: Int64?
    /// Each token once, as in the view `token_spans`.
    package var tokens: Int64?
    package var session: String?
    package var evalID: String?
    /// Start of the first span that matched.
    package var matchUnixNano: Int64

    /// Columns that a summary is made of; `here` holds the spans of the traces asked for.
    private static let select = """
        SELECT trace_id, min(start_time_unix_nano), max(end_time_unix_nano), count(*), sum(status_code = 2),
            sum(outcome = 'timeout'), max(CASE WHEN parent_span_id IS NULL THEN name END),
            coalesce(max(CASE WHEN parent_span_id IS NULL THEN service_name END), max(service_name)),
            coalesce(max(CASE WHEN parent_span_id IS NULL THEN workflow_name END), max(workflow_name)),
            max(CASE WHEN parent_span_id IS NULL THEN status_code END), max(session_id), max(eval_id),
            (SELECT name FROM here AS early WHERE early.trace_id = here.trace_id ORDER BY start_time_unix_nano, span_id LIMIT 1),
            (SELECT sum(tokens) FROM here AS counted WHERE counted.trace_id = here.trace_id AND counted.counts
                AND NOT EXISTS (SELECT 1 FROM here AS child WHERE child.trace_id = counted.trace_id
                    AND child.parent_span_id = counted.span_id AND child.counts)),
            min(CASE WHEN matches THEN start_time_unix_nano END)
        FROM here GROUP BY trace_id
        """

    /// Operations that repeat their children's tokens, as in the view `token_spans`.
    package static let countsTokens = """
        (tokens IS NOT NULL AND coalesce(operation, '') \
        NOT IN ('invoke_agent', 'invoke_workflow', 'create_agent', 'chain', 'task', 'execute_task'))
        """

    /// Reads traces whole.
    package static func read(
        _ ids: [String], matching condition: SQLCondition?, _ reader: QueryReader
    ) throws -> [String: TraceSummary] {
        guard !ids.isEmpty else { return [:] }
        let marks = Array(repeating: "?", count: ids.count).joined(separator: ",")
        let sql = """
            WITH here AS MATERIALIZED (
                SELECT trace_id, span_id, parent_span_id, start_time_unix_nano, end_time_unix_nano, service_name, name, status_code,
                    workflow_name, outcome, tokens, session_id, eval_id, \(countsTokens) AS counts,
                    \(condition?.sql ?? "1") AS matches
                FROM spans WHERE trace_id IN (\(marks)))
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

    private init(_ row: [QueryValue]) {
        traceID = row[0].text ?? ""
        startUnixNano = row[1].integer ?? 0
        endUnixNano = row[2].integer ?? 0
        let (span, overflow) = endUnixNano.subtractingReportingOverflow(startUnixNano)
        durationNanoseconds = overflow ? 0 : max(0, span)
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
        tokens = row[13].integer
        matchUnixNano = row[14].integer ?? .min
    }

    /// The summary as a JSON object.
    package func write(into json: inout JSONWriter) {
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
        json.raw("}")
    }

    /// Names and values as the API and the terminal show them.
    package var fields: [(String, QueryValue)] {
        func optional(_ text: String?) -> QueryValue { text.map(QueryValue.text) ?? .null }
        func optional(_ integer: Int64?) -> QueryValue { integer.map(QueryValue.integer) ?? .null }
        return [
            ("trace_id", .text(traceID)), ("start_time_unix_nano", .integer(startUnixNano)),
            ("end_time_unix_nano", .integer(endUnixNano)), ("duration_ns", .integer(durationNanoseconds)),
            ("service_name", .text(service)), ("workflow_name", optional(workflow)), ("name", .text(name)),
            ("has_root", .integer(hasRoot ? 1 : 0)), ("root_status_code", optional(rootStatusCode)),
            ("span_count", .integer(spanCount)), ("error_count", .integer(errorCount)), ("timeout_count", .integer(timeoutCount)),
            ("tokens", optional(tokens)), ("session_id", optional(session)), ("eval_id", optional(evalID)),
        ]
    }
}
