package import SQLite
package import TelemetryModel

/// The rows of `breaker_opening`, which the view `breaker_openings` shows.
package enum OpeningRows {
    /// Columns of the view, in the order that `read` takes them in.
    package static let columns = """
        service_name, scope, tool_name, machine, from_unix_nano, to_unix_nano, until_unix_nano, credited_ns, trace_id, span_id
        """
    /// The version of the file that brought the table.
    static let version: Int64 = 4

    package static func read(_ row: Statement) -> BreakerOpening {
        BreakerOpening(
            serviceName: row.text(0) ?? "", scope: row.text(1) ?? "", toolName: row.text(2) ?? "",
            isReported: row.text(3) == "reported", fromUnixNano: row.integer(4), toUnixNano: row.isNull(5) ? nil : row.integer(5),
            untilUnixNano: row.integer(6), creditedNanoseconds: row.integer(7),
            traceID: TraceID(hexadecimal: (row.text(8) ?? "")[...]) ?? TraceID(high: 0, low: 0),
            spanID: SpanID(hexadecimal: (row.text(9) ?? "")[...]) ?? SpanID(0))
    }

    static let insertion = """
        INSERT INTO breaker_opening (service_name, scope, tool_name, machine, from_unix_nano, to_unix_nano, until_unix_nano,
            credited_ns, trace_id, span_id, checksum)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, row_checksum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10))
        ON CONFLICT DO UPDATE SET to_unix_nano = excluded.to_unix_nano, until_unix_nano = excluded.until_unix_nano,
            credited_ns = excluded.credited_ns, checksum = excluded.checksum
        """

    static func write(_ row: BreakerOpening, with statement: Statement) throws(SQLiteError) {
        try statement.bind(1, row.serviceName)
        try statement.bind(2, row.scope)
        try statement.bind(3, row.toolName)
        try statement.bind(4, row.machine)
        try statement.bind(5, row.fromUnixNano)
        try statement.bind(6, optional: row.toUnixNano)
        try statement.bind(7, row.untilUnixNano)
        try statement.bind(8, row.creditedNanoseconds)
        try statement.bind(9, row.traceID.hexadecimal)
        try statement.bind(10, row.spanID.hexadecimal)
        try statement.run()
    }

    /// Takes openings from the edges of a file that has no rows of them, once. Calls that saw a breaker open are not looked for:
    /// an opening ends at its next edge, and without one within ten minutes after the cooldown's default.
    static let takeover = """
        INSERT OR IGNORE INTO breaker_opening (service_name, scope, tool_name, machine, from_unix_nano, to_unix_nano,
            until_unix_nano, credited_ns, trace_id, span_id, checksum)
        SELECT service_name, scope, tool_name, machine, time_unix_nano, ended, ended, ended - time_unix_nano, trace_id, span_id,
            row_checksum(service_name, scope, tool_name, machine, time_unix_nano, ended, ended, ended - time_unix_nano, trace_id,
                span_id)
        FROM (
            SELECT *, CASE WHEN next IS NULL OR next < time_unix_nano OR next - time_unix_nano > 600000000000
                THEN time_unix_nano + 30000000000 ELSE next END AS ended
            FROM (
                SELECT *, lead(time_unix_nano) OVER (PARTITION BY service_name, scope, tool_name, machine ORDER BY id) AS next
                FROM breaker_transition
                WHERE time_unix_nano BETWEEN 0 AND 9000000000000000000)
            WHERE to_state = 'open')
        """
}
