import SpanStore
package import StoreSQL
package import TelemetryModel

/// A span of time, nanoseconds since 1970; the end is outside, but for `Int64.max`, which is no end at all.
package struct TimeWindow: Equatable, Sendable {
    package var from: Int64
    package var to: Int64

    package init(from: Int64 = .min, to: Int64 = .max) {
        self.from = from
        self.to = to
    }

    /// The last time in it.
    package var last: Int64 { to == .max ? .max : to.subtractingSaturated(1) }

    package var nanoseconds: Int64 { max(0, to.subtractingSaturated(from)) }

    /// Its first and its last time, for `>= ?1 AND <= ?2`.
    package var values: [QueryValue] { [.integer(from), .integer(last)] }
}

/// Lists over a span of time, written as JSON arrays. What a list leaves out is noted (`QueryReader.truncations`).
package enum Boards {
    /// Rows of one list.
    package static let rowsMax = 1000
    /// Edges of breakers in one answer.
    package static let transitionsMax = 20_000
    private static let valuesMax = 200
    private static let timeoutsMax = 5000
    private static let sessionSpansMax = 2000
    private static let evalsMax = 5000

    private static let inWindow = "start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2"

    /// The distinct values of a column, most frequent first.
    package static func writeValues(
        of column: String, _ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        guard filterColumns.contains(column) else {
            throw QueryError.invalid("'\(column)' cannot be listed; one of: \(filterColumns.joined(separator: ", "))")
        }
        try reader.write(
            """
            SELECT \(column) AS value, count(*) AS span_count FROM spans WHERE \(inWindow) AND \(column) IS NOT NULL
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT \(valuesMax + 1)
            """, window.values, rowsMax: valuesMax, of: "values", into: &json)
    }

    /// Columns whose values a filter offers.
    package static let filterColumns = ["service_name", "workflow_name", "tool_name", "model", "name", "stage", "operation"]

    /// The loop contract (docs/metrics.md 2.14), a process each, as in the view `contract`, over the spans that began in a span of time.
    package static func writeContract(
        _ window: TimeWindow, service: String?, _ limits: ContractQuery.Limits, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        try reader.write(
            """
            SELECT * FROM (\(ContractQuery.sql(where: inWindow, limits: limits))) WHERE ?3 IS NULL OR service_name = ?3
            LIMIT \(rowsMax + 1)
            """, window.values + [service.map(QueryValue.text) ?? .null], rowsMax: rowsMax, of: "processes", into: &json)
    }

    /// Breakers are kept by service: of a project that is a service, its own. NULL is every service.
    private static func service(_ reader: QueryReader) -> QueryValue {
        guard let scope = reader.reader.scope, scope.isService else { return .null }
        return .text(scope.name)
    }

    /// Edges of breakers in a span of time, in the order of their times.
    package static func writeTransitions(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write(
            """
            SELECT time_unix_nano, service_name, scope, tool_name, machine, from_state, to_state, trace_id, span_id
            FROM main.breaker_transition WHERE time_unix_nano >= ?1 AND time_unix_nano <= ?2 AND (?3 IS NULL OR service_name = ?3)
            ORDER BY time_unix_nano, id LIMIT \(transitionsMax + 1)
            """, window.values + [service(reader)], rowsMax: transitionsMax, of: "transitions", into: &json)
    }

    /// The last edge of each breaker before a span of time: its state when the span begins.
    package static func writeStatesBefore(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write(
            """
            SELECT service_name, scope, tool_name, machine, to_state AS state, max(time_unix_nano) AS time_unix_nano
            FROM main.breaker_transition WHERE time_unix_nano < ?1 AND (?2 IS NULL OR service_name = ?2)
            GROUP BY service_name, scope, tool_name, machine ORDER BY 1, 3, 2, 4 LIMIT \(rowsMax + 1)
            """, [.integer(window.from), service(reader)], rowsMax: rowsMax, of: "states before", into: &json)
    }

    /// Timed-out calls in a span of time, for the marks on the board.
    package static func writeTimeouts(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        try reader.write(
            """
            SELECT end_time_unix_nano AS time_unix_nano, service_name, coalesce(tool_name, stage) AS tool_name,
                timeout_reason AS reason, duration_ns, trace_id, span_id
            FROM spans WHERE outcome = 'timeout' AND \(inWindow) ORDER BY 1 LIMIT \(timeoutsMax + 1)
            """, window.values, rowsMax: timeoutsMax, of: "timeouts", into: &json)
    }

    /// The spans of a conversation that hold what was said: model calls, tools and roots, with attributes and events.
    package static func writeSession(_ id: String, _ reader: QueryReader, into json: inout JSONWriter) throws {
        json.raw("{\"session_id\":")
        json.string(id)
        json.raw(",\"spans\":")
        let count = try reader.write(
            """
            SELECT trace_id, \(TraceReading.columns), attributes, events FROM spans
            WHERE trace_id IN (SELECT DISTINCT trace_id FROM spans WHERE session_id = ?1)
                AND (parent_span_id IS NULL OR stage = 'llm' OR tool_name IS NOT NULL)
            ORDER BY start_time_unix_nano, rowid LIMIT \(sessionSpansMax + 1)
            """, [.text(id)], json: ["attributes", "events"], rowsMax: sessionSpansMax, of: "spans", into: &json)
        guard count > 0 else { throw QueryError.notFound("no span of session '\(id)' is stored") }
        json.raw(",\"truncated\":")
        json.bool(!reader.truncations.isEmpty)
        json.raw("}")
    }

    /// Evals beside the spans that they judge, with the tokens and dollars of their traces.
    ///
    /// - Parameter window: of the spans' starts.
    package static func writeEvals(
        name: String?, run: String?, _ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        try reader.write(
            """
            WITH judged AS MATERIALIZED (
                SELECT * FROM span_evals
                WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR run_id = ?2) AND start_time_unix_nano >= ?3 AND start_time_unix_nano <= ?4
                LIMIT \(evalsMax + 1)),
            counted AS MATERIALIZED (
                SELECT trace_id, \(SpendingSQL.sums) FROM (
                    SELECT trace_id, \(SpendingSQL.ofRow("spans")) FROM spans
                    WHERE counts_tokens = 1 AND trace_id IN (SELECT trace_id FROM judged))
                GROUP BY trace_id)
            SELECT judged.*, counted.tokens, counted.dollars, counted.unpriced_tokens
            FROM judged LEFT JOIN counted ON counted.trace_id = judged.trace_id
            """, [.optional(name), .optional(run)] + window.values, rowsMax: evalsMax, of: "evals", into: &json)
    }

    /// Tokens and dollars by model, as in the view `costs`.
    ///
    /// - Parameter window: of the calls' ends, as in the cost report.
    package static func writeCosts(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let isAll = window.from == .min && window.to == .max
        let sql = isAll ? "SELECT * FROM costs" : SQLReader.costs(where: "end_time_unix_nano >= ?1 AND end_time_unix_nano <= ?2")
        try reader.write("\(sql) LIMIT \(rowsMax + 1)", isAll ? [] : window.values, rowsMax: rowsMax, of: "costs", into: &json)
    }
}
