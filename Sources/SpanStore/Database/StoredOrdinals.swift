import SQLite

/// Ordinals of spans and of log records, each counted by itself: how many were ever committed before one, those included that are gone
/// (docs/adr/0090). A segment's row has that of its first; the others follow in the order of arrival without a gap, which is why merging
/// puts only those together that follow each other without one.
enum StoredOrdinals {
    /// The version of the file that brought them.
    static let version: Int64 = 5
    /// Of the column in `segment` and `log_segment`.
    static let declaration = "first_ordinal INTEGER NOT NULL DEFAULT 0"
    /// Keys in `meta` of the next ordinals, which retention keeps when it deletes: the last segment may be among what goes.
    static let spansKey = "next_span_ordinal"
    static let logsKey = "next_log_ordinal"

    /// The next ordinals.
    struct Next: Equatable, Sendable {
        var spans: Int64 = 0
        var logs: Int64 = 0
    }

    /// Gives the segments of an older file ordinals, as though nothing had been deleted before them. Inside the caller's transaction.
    static func upgrade(_ connection: Connection) throws(SQLiteError) {
        for (table, count) in [("segment", "span_count"), ("log_segment", "record_count")] {
            if try connection.integer("SELECT 1 FROM pragma_table_info('\(table)') WHERE name = 'first_ordinal'") == nil {
                try connection.execute("ALTER TABLE \(table) ADD COLUMN \(declaration)")
            }
            try connection.execute(
                """
                UPDATE \(table) SET first_ordinal = before.spans
                FROM (SELECT id, sum(\(count)) OVER (ORDER BY id) - \(count) AS spans FROM \(table)) AS before
                WHERE before.id = \(table).id
                """)
        }
    }

    /// The next ordinals as far as the file knows them.
    static func next(_ connection: Connection) throws(SQLiteError) -> Next {
        func next(_ table: String, _ count: String, _ key: String) throws(SQLiteError) -> Int64 {
            let stored = try connection.integer("SELECT first_ordinal + \(count) FROM \(table) ORDER BY id DESC LIMIT 1") ?? 0
            let kept = try connection.integer("SELECT CAST(value AS INTEGER) FROM meta WHERE key = '\(key)'") ?? 0
            return max(stored, kept)
        }
        return Next(spans: try next("segment", "span_count", spansKey), logs: try next("log_segment", "record_count", logsKey))
    }
}
