import SQLite

/// What a server that runs tells other processes through the data file, kept in `meta`.
package enum StoreNote: String, Sendable {
    /// The fuse table and the rules of breakers that the server derives by, as YAML.
    case fusePolicy = "fuse_policy"
}

extension SpanStore {
    /// Keeps a note, in a transaction of its own.
    package func keep(_ note: StoreNote, _ text: String) throws(StoreError) {
        do throws(SQLiteError) {
            try gate.whileCheckpointsWait { () throws(SQLiteError) in
                let statement = try connection.prepare(
                    "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value "
                        + "WHERE value <> excluded.value")
                try statement.bind(1, note.rawValue)
                try statement.bind(2, text)
                try statement.run()
            }
        } catch {
            throw .database(error)
        }
    }
}
