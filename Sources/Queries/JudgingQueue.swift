import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// What nobody has judged yet: traces, spans or sessions without an eval of a name, of anyone or of one judge. Newest first.
///
/// A trace is judged by an eval that names it, or its root; a span by one that names it; a session by one that names it. An eval of an eval id
/// judges the traces and spans that carry the id.
package struct JudgingQueue: Sendable {
    package enum Target: String, CaseIterable, Sendable {
        case trace, span, session
    }

    /// Judgements of one name that are looked through.
    package static let judgementsMax = 500_000
    package static let limitMax = 500

    package var target = Target.trace
    /// Of the evals, such as `quality`.
    package var name: String
    /// Whose evals count; `nil` for anyone's.
    package var annotator: String?
    package var criteria = SpanCriteria()
    /// Of the trace; of a span its durations alone.
    package var limits = TraceLimits()
    package var window = TimeWindow()
    package var limit = 100

    package init(name: String) {
        self.name = name
    }

    /// What the evals of the name are about.
    private struct Judged: Sendable {
        var traces: Set<String> = []
        var spans: Set<String> = []
        var sessions: Set<ExactText> = []
        var evalIDs: Set<ExactText> = []
    }

    /// Writes `{"items":[…],"truncated":…,"judged_count":…}`. Traces are as in a list of traces.
    package func write(_ reader: QueryReader, into json: inout JSONWriter) throws {
        let judged = try judged(reader)
        json.raw("{\"items\":")
        switch target {
        case .trace: try writeTraces(judged, reader, into: &json)
        case .span: try writeSpans(reader, into: &json)
        case .session: try writeSessions(reader, into: &json)
        }
        json.raw(",\"truncated\":")
        json.bool(!reader.truncations.isEmpty)
        json.raw(",\"judged_count\":")
        switch target {
        case .trace: json.integer(Int64(judged.traces.count))
        case .span: json.integer(Int64(judged.spans.count))
        case .session: json.integer(Int64(judged.sessions.count))
        }
        json.raw("}")
    }

    // MARK: What is judged

    /// Who may read one project alone sees the evals of its spans.
    private func rows(_ reader: QueryReader) -> String {
        reader.reader.scope?.isLimit == true
            ? """
            SELECT CASE WHEN matched_by IN ('trace_id', 'span_id') THEN trace_id END AS trace_id,
                CASE WHEN matched_by = 'span_id' THEN span_id END AS span_id,
                CASE WHEN matched_by = 'session_id' THEN (SELECT max(session_id) FROM spans WHERE spans.trace_id = span_evals.trace_id) END
                    AS session_id,
                CASE WHEN matched_by = 'eval_id' THEN eval_id END AS eval_id
            FROM span_evals WHERE name = ?1 AND (?2 IS NULL OR annotator = ?2)
            """
            : "SELECT trace_id, span_id, session_id, eval_id FROM evals WHERE name = ?1 AND (?2 IS NULL OR annotator = ?2)"
    }

    private func judged(_ reader: QueryReader) throws -> Judged {
        var judged = Judged()
        var count = 0
        try reader.each("\(rows(reader)) LIMIT \(Self.judgementsMax + 1)", [.text(name), .optional(annotator)]) { row in
            count += 1
            if let span = row.text(1) {
                judged.spans.insert(span)
            } else if let trace = row.text(0) {
                judged.traces.insert(trace)
            } else if let session = row.text(2) {
                judged.sessions.insert(ExactText(session))
            } else if let id = row.text(3) {
                judged.evalIDs.insert(ExactText(id))
            }
            return true
        }
        guard count <= Self.judgementsMax else {
            throw QueryError.tooLarge("there are more than \(Self.judgementsMax) evals of that name; judge under another one")
        }
        return judged
    }

    /// The same in SQL, for lists that one statement makes.
    private func unjudged(_ column: String, _ reader: QueryReader) -> String {
        """
        WITH judged AS MATERIALIZED (\(rows(reader)))
        SELECT %@ FROM spans
        WHERE start_time_unix_nano >= ?3 AND start_time_unix_nano <= ?4 AND \(column) IS NOT NULL
            AND \(column) NOT IN (SELECT \(column) FROM judged WHERE \(column) IS NOT NULL)
        """
    }

    // MARK: Lists

    private func writeTraces(_ judged: Judged, _ reader: QueryReader, into json: inout JSONWriter) throws {
        var search = TraceSearch()
        search.criteria = criteria
        search.limits = limits
        (search.from, search.to) = (window.from, window.to)
        search.limit = limit
        search.acceptance = { ids, reader in
            var open = Set(ids).subtracting(judged.traces)
            guard !judged.spans.isEmpty || !judged.evalIDs.isEmpty else { return open }
            let marks = Array(repeating: "?", count: ids.count).joined(separator: ",")
            let sql = """
                SELECT trace_id, CASE WHEN parent_span_id IS NULL THEN span_id END, eval_id FROM spans
                WHERE trace_id IN (\(marks)) AND (parent_span_id IS NULL OR eval_id IS NOT NULL)
                """
            try reader.each(sql, ids.map(QueryValue.text)) { row in
                let isJudged =
                    row.text(1).map(judged.spans.contains) ?? false || row.text(2).map { judged.evalIDs.contains(ExactText($0)) } ?? false
                if isJudged { open.remove(row.text(0) ?? "") }
                return true
            }
            return open
        }
        let answer = try search.run(reader)
        if answer.next != nil { reader.noteTruncated("traces", after: answer.traces.count) }
        let previews = try TracePreview.read(answer.traces.map(\.traceID), reader)
        json.raw("[")
        for (index, trace) in answer.traces.enumerated() {
            if index > 0 { json.raw(",") }
            trace.write(preview: previews[trace.traceID] ?? TracePreview(), into: &json)
        }
        json.raw("]")
    }

    private func writeSpans(_ reader: QueryReader, into json: inout JSONWriter) throws {
        let columns = """
            trace_id, span_id, kind, name, service_name, start_time_unix_nano, duration_ns, status_code, outcome, stage, tool_name, model, tokens,
            session_id, user_id
            """
        try write(
            unjudged("span_id", reader).replacing("%@", with: columns)
                + " AND (eval_id IS NULL OR eval_id NOT IN (SELECT eval_id FROM judged WHERE eval_id IS NOT NULL))",
            "ORDER BY start_time_unix_nano DESC", of: "spans", reader, into: &json)
    }

    private func writeSessions(_ reader: QueryReader, into json: inout JSONWriter) throws {
        let columns = """
            session_id, min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
            count(DISTINCT trace_id) AS trace_count, max(service_name) AS service_name, max(user_id) AS user_id
            """
        try write(
            unjudged("session_id", reader).replacing("%@", with: columns),
            "GROUP BY session_id ORDER BY max(start_time_unix_nano) DESC",
            of: "sessions", reader, into: &json)
    }

    private func write(
        _ sql: String, _ order: String, of what: String, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        var criteria = criteria
        if let durationMinimum = limits.durationMinimum { criteria.extra.append(SQLCondition("duration_ns >= ?", [.integer(durationMinimum)])) }
        if let durationMaximum = limits.durationMaximum { criteria.extra.append(SQLCondition("duration_ns <= ?", [.integer(durationMaximum)])) }
        let condition = criteria.condition
        try reader.write(
            "\(sql)\(condition.map { " AND \($0.sql)" } ?? "") \(order) LIMIT \(limit + 1)",
            [.text(name), .optional(annotator)] + window.values + (condition?.values ?? []), rowsMax: limit, of: what, into: &json
        )
    }
}
