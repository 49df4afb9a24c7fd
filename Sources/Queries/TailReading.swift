package import TelemetryModel

/// Spans as they are committed.
///
/// What is new is told by segments, whose ids follow the order of arrival, and within them by the times of receipt. When the wall
/// clock was set back, the newest segment's receipts lie before the last ones told: then all of that segment is told, once.
package enum TailReading {
    /// Spans of one answer; the rest is counted.
    package static let spansMax = 200

    /// The newest segment's latest receipt: where a tail begins.
    package static func end(_ reader: QueryReader) throws -> Int64 {
        try newest(reader)?.last ?? 0
    }

    /// The times of receipt of the newest segment.
    private static func newest(_ reader: QueryReader) throws -> (first: Int64, last: Int64)? {
        guard let row = try reader.first("SELECT received_min, received_max FROM segment ORDER BY id DESC LIMIT 1"),
            let first = row[0].integer, let last = row[1].integer
        else { return nil }
        return (first, last)
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
        guard let newest = try newest(reader), newest.last != cursor else { return nil }
        let after = newest.last > cursor ? cursor : newest.first.subtractingReportingOverflow(1).partialValue
        let ends = try reader.first(
            "SELECT min(start_min), max(start_max) FROM segment WHERE received_max > ?1 AND received_min <= ?2",
            [.integer(after), .integer(newest.last)])
        guard let ends, let first = ends[0].integer, let last = ends[1].integer else { return nil }
        return News(
            received: newest.last,
            condition: """
                start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND received_time_unix_nano > ?
                AND received_time_unix_nano <= ? AND \(condition?.sql ?? "1")
                """,
            values: [.integer(first), .integer(last), .integer(after), .integer(newest.last)] + (condition?.values ?? []))
    }

    /// Endings as the spans themselves have them: their relatives may not have come yet, and a look at what came in a second
    /// should not look for them.
    private static func own(_ columns: String) -> String {
        columns.split(separator: ",").map { column in
            let name = column.filter { !$0.isWhitespace }
            return ["outcome", "timeout_reason", "timeout_phase"].contains(name) ? "own_\(name) AS \(name)" : String(column)
        }.joined(separator: ",")
    }

    /// The newest spans, newest first.
    private static func query(_ columns: String, _ news: News) -> String {
        """
        SELECT \(own(columns)) FROM spans WHERE \(news.condition)
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
