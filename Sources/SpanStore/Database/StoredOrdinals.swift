package import SQLite

/// Ordinals of spans and of log records, each counted by itself: how many were ever committed before one, those included that are gone
/// (docs/adr/0090). A segment's row has that of its first, and how many it stands for; the others follow in the order of arrival. Gaps within a
/// segment are spans that were forgotten (docs/adr/0105); merging puts only those together that follow each other without one.
package enum StoredOrdinals {
    /// The version of the file that brought them.
    package static let version: Int64 = 5
    /// The version of the file that brought gaps within segments, and the column `ordinal_count`.
    static let gapsVersion: Int64 = 6
    static let countDeclaration = "ordinal_count INTEGER"
    /// Of the column in `segment` and `log_segment`.
    static let declaration = "first_ordinal INTEGER NOT NULL DEFAULT 0"
    /// Keys in `meta` of the next ordinals, which retention keeps when it deletes: the last segment may be among what goes.
    static let spansKey = "next_span_ordinal"
    static let logsKey = "next_log_ordinal"

    /// The next ordinals.
    package struct Next: Equatable, Sendable {
        package var spans: Int64 = 0
        package var logs: Int64 = 0
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

    /// Gives segments of an older file the column for gaps within them; they have none. Inside the caller's transaction.
    static func addCounts(_ connection: Connection) throws(SQLiteError) {
        for table in ["segment", "log_segment"] {
            let query = "SELECT 1 FROM pragma_table_info('\(table)') WHERE name = 'ordinal_count'"
            if try connection.integer(query) != nil { continue }
            try connection.execute("ALTER TABLE \(table) ADD COLUMN \(countDeclaration)")
        }
    }

    /// The SQL expression for how many ordinals a row of `segment` or `log_segment` stands for, in a file of any version.
    package static func count(of table: String, _ connection: Connection) throws(SQLiteError) -> String {
        let rows = table == "segment" ? "span_count" : "record_count"
        return try connection.integer("PRAGMA user_version") ?? 0 >= gapsVersion ? "coalesce(ordinal_count, \(rows))" : rows
    }

    /// The next ordinals as far as the file knows them.
    package static func next(_ connection: Connection) throws(SQLiteError) -> Next {
        func next(_ table: String, _ key: String) throws(SQLiteError) -> Int64 {
            let count = try count(of: table, connection)
            let stored = try connection.integer("SELECT first_ordinal + \(count) FROM \(table) ORDER BY id DESC LIMIT 1") ?? 0
            let kept = try connection.integer("SELECT CAST(value AS INTEGER) FROM meta WHERE key = '\(key)'") ?? 0
            return max(stored, kept)
        }
        return Next(spans: try next("segment", spansKey), logs: try next("log_segment", logsKey))
    }
}
