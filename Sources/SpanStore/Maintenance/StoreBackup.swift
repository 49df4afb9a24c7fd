import CSQLite
import SQLite

/// Copies a data file while it is in use: the copy is one committed state, with everything that was acknowledged before the start.
package enum StoreBackup {
    /// Pages of 16 KiB that are copied before the progress is told.
    private static let pagesPerStep: Int32 = 512

    /// Writes the copy to `target`, a path where nothing is yet. It appears there whole and durable, or not at all.
    ///
    /// - Parameter progress: how many of how many pages are copied.
    package static func run(
        folder: StoreFolder, to target: String, progress: (_ done: Int64, _ total: Int64) -> Void = { _, _ in }
    ) throws(StoreError) {
        try folder.checkDatabaseExists()
        do {
            try NewFile.write(target) { try copy(from: folder.databasePath, to: $0, progress) }
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    private static func copy(from source: String, to target: String, _ progress: (Int64, Int64) -> Void) throws {
        let reader = try Connection.reading(source)
        try StoreSettings.checkVersion(reader)
        // A read transaction that stays open holds one state; without it each commit would start the copy over.
        try reader.execute("BEGIN")
        _ = try reader.integer("SELECT count(*) FROM sqlite_master")
        let writer = try Connection(path: target, access: .readWrite)
        guard let backup = sqlite3_backup_init(writer.handle, "main", reader.handle, "main") else {
            throw writer.error(sqlite3_errcode(writer.handle), "begin a backup")
        }
        var result = SQLITE_OK
        while result == SQLITE_OK {
            result = sqlite3_backup_step(backup, pagesPerStep)
            let total = Int64(sqlite3_backup_pagecount(backup))
            progress(total - Int64(sqlite3_backup_remaining(backup)), total)
        }
        sqlite3_backup_finish(backup)
        guard result == SQLITE_DONE else { throw writer.error(result, "back up") }
        // One file, that a read-only disk can hold; a server that takes it over turns its log on again.
        _ = try writer.text("PRAGMA journal_mode = DELETE")
    }
}
