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

    /// What is new behind a cursor, and the query that reads it.
    private struct News {
        var received: Int64
        var condition: String
        var values: [QueryValue]
    }

    private static func news(
        after cursor: Int64, matching condition: SQLCondition?, _ reader: QueryReader
    ) throws -> News? {
        let ends = try reader.first(
            "SELECT min(start_min), max(start_max), max(received_max) FROM segment WHERE received_max > ?1", [.integer(cursor)])
        guard let ends, let first = ends[0].integer, let last = ends[1].integer, let received = ends[2].integer else {
            return nil
        }
        return News(
            received: received,
            condition: """
                start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND received_time_unix_nano > ?
                AND received_time_unix_nano <= ? AND \(condition?.sql ?? "1")
                """,
            values: [.integer(first), .integer(last), .integer(cursor), .integer(received)] + (condition?.values ?? []))
    }

    /// The newest spans, newest first.
    private static func query(_ columns: String, _ news: News) -> String {
        """
        SELECT \(columns) FROM spans WHERE \(news.condition)
        ORDER BY received_time_unix_nano DESC, start_time_unix_nano DESC LIMIT \(spansMax)
        """
    }

    private static func skipped(_ news: News, _ written: Int, _ reader: QueryReader) throws -> Int {
        guard written == spansMax else { return 0 }
        let total = try reader.first("SELECT count(*) FROM spans WHERE \(news.condition)", news.values)?.first?.integer ?? 0
        return max(0, Int(total) - written)
    }

    /// Writes the newest spans received after `cursor`, as an array, newest first.
    ///
    /// - Returns: the cursor to go on from, how many spans were written and how many more there were.
    package static func write(
        after cursor: Int64, matching condition: SQLCondition?, _ reader: QueryReader, into json: inout JSONWriter
    ) throws -> (cursor: Int64, written: Int, skipped: Int) {
        guard let news = try news(after: cursor, matching: condition, reader) else {
            json.raw("[]")
            return (cursor, 0, 0)
        }
        let columns = "trace_id, \(TraceReading.columns), received_time_unix_nano"
        let written = try reader.write(query(columns, news), news.values, into: &json)
        return (news.received, written, try skipped(news, written, reader))
    }

    /// The newest spans received after `cursor` by the columns named, newest first.
    package static func rows(
        _ columns: String, after cursor: Int64, matching condition: SQLCondition?, _ reader: QueryReader
    ) throws -> (cursor: Int64, rows: [[QueryValue]], skipped: Int) {
        guard let news = try news(after: cursor, matching: condition, reader) else { return (cursor, [], 0) }
        let rows = try reader.rows(query(columns, news), news.values)
        return (news.received, rows, try skipped(news, rows.count, reader))
    }
}
