package import TelemetryModel

/// Spans as they are committed.
///
/// The order is that of receipt, which never goes back. A segment that was put together from older ones holds nothing that was
/// received later than they did, so spans are not told twice.
package enum TailReading {
    /// Spans of one answer; the rest is counted.
    package static let spansMax = 200

    /// The latest receipt so far: where a tail begins.
    package static func end(_ reader: QueryReader) throws -> Int64 {
        try reader.first("SELECT coalesce(max(received_max), 0) FROM segment")?.first?.integer ?? 0
    }

    /// Writes the newest spans received after `cursor`, as an array, newest last.
    ///
    /// - Returns: the cursor to go on from, how many spans were written and how many more there were.
    package static func write(
        after cursor: Int64, matching condition: SQLCondition?, _ reader: QueryReader, into json: inout JSONWriter
    ) throws -> (cursor: Int64, written: Int, skipped: Int) {
        let ends = try reader.first(
            "SELECT min(start_min), max(start_max), max(received_max) FROM segment WHERE received_max > ?1", [.integer(cursor)])
        guard let ends, let first = ends[0].integer, let last = ends[1].integer, let received = ends[2].integer else {
            json.raw("[]")
            return (cursor, 0, 0)
        }
        var total: Int64 = 0
        let written = try reader.write(
            """
            SELECT * FROM (
                SELECT trace_id, \(TraceReading.columns), received_time_unix_nano FROM spans
                WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND received_time_unix_nano > ?
                    AND received_time_unix_nano <= ? AND \(condition?.sql ?? "1")
                ORDER BY received_time_unix_nano DESC, start_time_unix_nano DESC LIMIT \(spansMax))
            ORDER BY received_time_unix_nano, start_time_unix_nano
            """, [.integer(first), .integer(last), .integer(cursor), .integer(received)] + (condition?.values ?? []), into: &json)
        if written == spansMax {
            total =
                try reader.first(
                    """
                    SELECT count(*) FROM spans WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ?
                        AND received_time_unix_nano > ? AND received_time_unix_nano <= ? AND \(condition?.sql ?? "1")
                    """, [.integer(first), .integer(last), .integer(cursor), .integer(received)] + (condition?.values ?? [])
                )?.first?.integer ?? 0
        }
        return (received, written, max(0, Int(total) - written))
    }
}
