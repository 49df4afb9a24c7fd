import SQLite

extension SpanStore {
    /// Commits a row that means nothing, to learn whether commits succeed again.
    package func probe(nowUnixNano: Int64) throws(StoreError) {
        do throws(SQLiteError) {
            try gate.whileCheckpointsWait { () throws(SQLiteError) in
                let statement = try connection.prepare(
                    "INSERT INTO meta (key, value) VALUES ('last_probe_unix_nano', ?1) "
                        + "ON CONFLICT (key) DO UPDATE SET value = excluded.value")
                try statement.bind(1, "\(nowUnixNano)")
                try statement.run()
            }
        } catch {
            throw .database(error)
        }
    }
}
