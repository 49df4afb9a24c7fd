package import SQLite
import TelemetryModel

/// Rows beside the segments that quote spans: what they say of traces that are forgotten goes with them. Counters stay.
package enum QuotedRows {
    /// Ids of the stalls of forgotten runs.
    package static func stalls(_ matcher: ForgetMatcher, _ connection: Connection) throws(SQLiteError) -> [Int64] {
        try ids(matcher, "SELECT id, trace_id, time_unix_nano FROM main.stall", connection)
    }

    private static func ids(_ matcher: ForgetMatcher, _ query: String, _ connection: Connection) throws(SQLiteError) -> [Int64] {
        let statement = try connection.prepare(query)
        var ids: [Int64] = []
        while try statement.step() {
            let trace = TraceID(hexadecimal: (statement.text(1) ?? "")[...])
            if matcher.isOf(trace), matcher.isWithin(statement.integer(2)) { ids.append(statement.integer(0)) }
        }
        return ids
    }

    /// Deletes, inside the caller's transaction, stalls and what targets of forwarding said of spans; edges and openings of breakers stay,
    /// since figures are made of them, and forget which spans they came from.
    ///
    /// - Returns: how many stalls there were.
    static func delete(_ matcher: ForgetMatcher, _ connection: Connection) throws(SQLiteError) -> Int64 {
        let stalls = try stalls(matcher, connection)
        try run("DELETE FROM stall WHERE id = ?1", stalls, connection)
        try run(
            "DELETE FROM forward_refused WHERE id = ?1",
            try ids(matcher, "SELECT id, trace_id, time_unix_nano FROM forward_refused", connection), connection)
        guard matcher.traces != nil else { return Int64(stalls.count) }
        try run(
            """
            UPDATE breaker_transition SET trace_id = '', span_id = '', checksum = row_checksum(time_unix_nano, service_name, scope, tool_name,
                machine, from_state, to_state, '', '') WHERE id = ?1
            """, try ids(matcher, "SELECT id, trace_id, time_unix_nano FROM breaker_transition", connection), connection)
        // One that runs is found again by its span when it ends.
        try run(
            """
            UPDATE OR IGNORE breaker_opening SET trace_id = '', span_id = '', checksum = row_checksum(service_name, scope, tool_name, machine,
                from_unix_nano, to_unix_nano, until_unix_nano, credited_ns, '', '') WHERE id = ?1
            """,
            try ids(
                matcher, "SELECT id, trace_id, to_unix_nano FROM breaker_opening WHERE to_unix_nano IS NOT NULL", connection),
            connection)
        return Int64(stalls.count)
    }

    static func run(_ sql: String, _ ids: [Int64], _ connection: Connection) throws(SQLiteError) {
        guard !ids.isEmpty else { return }
        let statement = try connection.prepare(sql)
        for id in ids { try statement.run(binding: id) }
    }
}
