import CSQLite
package import SQLite

/// What the store asks of SQLite, and reads back. docs/adr/0004-sqlite-settings.md has the reasons and the measurements.
package enum StoreSettings {
    /// Raised when an older program would misread the tables.
    package static let schemaVersion: Int64 = 6
    /// The version that brought the tables of log records.
    static let logsVersion: Int64 = 3

    /// A connection that may write, to a file that the caller owns.
    static func openWriter(_ folder: StoreFolder) throws(StoreError) -> Connection {
        let connection: Connection
        do throws(SQLiteError) {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
        } catch {
            throw .database(error)
        }
        try prepareWriter(connection)
        return connection
    }

    /// Prepares the writer's connection and makes the tables.
    static func prepareWriter(_ connection: Connection) throws(StoreError) {
        do {
            try checkOwnership(connection)
            let found = try checkVersion(connection)
            // A page size takes effect only before the first table; segments are large, and appended.
            try connection.execute("PRAGMA page_size = 4096")
            try connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            try connection.execute("PRAGMA journal_mode = WAL")
            try connection.execute("PRAGMA synchronous = FULL")
            // Debian's SQLite overwrites deleted pages, which makes retention write a hundred times as much.
            try connection.execute("PRAGMA secure_delete = OFF")
            try connection.execute("PRAGMA wal_autocheckpoint = 0")
            try connection.execute("PRAGMA cache_size = -8192")
            try connection.execute("PRAGMA foreign_keys = OFF")
            try checkDurability(connection)
            try RowChecksum.register(on: connection)
            try connection.execute(String(decoding: PackageResources.schema_sql, as: UTF8.self))
            guard found < schemaVersion else { return }
            try connection.transaction { () throws(SQLiteError) in
                if found > 0 && found < OpeningRows.version { try connection.execute(OpeningRows.takeover) }
                if found > 0 && found < StoredOrdinals.version { try StoredOrdinals.upgrade(connection) }
                if found > 0 && found < StoredOrdinals.gapsVersion { try StoredOrdinals.addCounts(connection) }
                try connection.execute("PRAGMA user_version = \(schemaVersion)")
            }
        } catch let error as SQLiteError {
            throw .database(error)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .setting("\(error)")
        }
    }

    /// A 200 promises an fsync: nothing starts unless SQLite says that it will do one for each commit.
    static func checkDurability(_ connection: Connection) throws {
        guard try connection.integer("PRAGMA synchronous") == 2 else {
            throw StoreError.setting("SQLite does not hold synchronous=FULL; acknowledged spans could be lost on power failure")
        }
        guard try connection.text("PRAGMA journal_mode") == "wal" else {
            throw StoreError.setting("SQLite cannot use its write-ahead log here; put the data folder on a local disk")
        }
    }

    /// Prepares a connection for merging or retention: it writes beside the writer, in turns.
    static func prepareMaintenance(_ connection: Connection) throws(SQLiteError) {
        try connection.execute("PRAGMA synchronous = FULL")
        try connection.execute("PRAGMA secure_delete = OFF")
        try connection.execute("PRAGMA wal_autocheckpoint = 0")
        try connection.execute("PRAGMA cache_size = -4096")
        try connection.execute("PRAGMA foreign_keys = OFF")
    }

    /// A database of another program is left as it is: nothing of ours goes into it.
    package static func checkOwnership(_ connection: Connection) throws {
        guard try connection.integer("SELECT count(*) FROM sqlite_master") ?? 0 > 0 else { return }
        guard try connection.integer("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'segment_stream'") != nil else {
            throw StoreError.folder("the data file is a database of another program; give fusebox another folder with --data-dir")
        }
    }

    /// The version of the file's tables; a newer one than this program knows is refused.
    @discardableResult
    package static func checkVersion(_ connection: Connection) throws -> Int64 {
        let found = try connection.integer("PRAGMA user_version") ?? 0
        guard found <= schemaVersion else { throw StoreError.schemaVersion(found: found, known: schemaVersion) }
        return found
    }

    package static func prepareReader(_ connection: Connection) throws(SQLiteError) {
        try connection.execute("PRAGMA cache_size = -4096")
        try connection.execute("PRAGMA temp_store = MEMORY")
    }
}
