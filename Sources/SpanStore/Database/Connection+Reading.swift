import CSQLite
package import SQLite

extension Connection {
    /// A connection that reads a data file, beside a server or without one.
    ///
    /// A file that nobody has open, on a disk or in a folder that takes no writes, has no shared memory beside it and gets none: such a file cannot
    /// change, and is read as it is.
    package static func reading(_ path: String) throws(SQLiteError) -> Connection {
        let connection = try Connection(path: path, access: .readOnly)
        do throws(SQLiteError) {
            _ = try connection.integer("PRAGMA user_version")
            return connection
        } catch {
            guard error.code == SQLITE_CANTOPEN || error.code == SQLITE_READONLY, FileSize.bytes(path + "-wal") == 0 else { throw error }
            return try Connection(path: path, access: .immutable)
        }
    }
}
