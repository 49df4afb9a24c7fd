import CSQLite
import SQLite
import SegmentFormat

/// Opens a store's file anew and proves it, after an error that leaves open what is on the disk.
package enum StoreRecheck {
    private static let busyTimeoutMilliseconds: Int32 = 200

    /// Copies every committed page of the log into the file and syncs it, then checks all of it. The writer must not commit meanwhile
    /// for another reason than the gate: what it holds in memory may be older than this.
    ///
    /// - Throws: what still fails. Reading and writing may go on failing; then it is tried again later.
    package static func run(folder: StoreFolder, gate: CommitGate) throws(StoreError) {
        do {
            let connection = try Connection(
                path: folder.databasePath, access: .readWrite, busyTimeoutMilliseconds: busyTimeoutMilliseconds)
            try connection.execute("PRAGMA synchronous = FULL")
            try connection.execute("PRAGMA wal_autocheckpoint = 0")
            try gate.whileCheckpointsWait { () throws(SQLiteError) in try copyLog(connection) }
        } catch {
            throw SpanStore.storeError(error)
        }
        let report = try StoreVerification.run(folder: folder)
        if let finding = report.findings.first { throw .segment(.damaged(finding.message)) }
    }

    private static func copyLog(_ connection: Connection) throws(SQLiteError) {
        var log: Int32 = 0
        var copied: Int32 = 0
        let result = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, &log, &copied)
        // Busy with everything copied: a reader keeps the log from starting over, which does no harm.
        if result == SQLITE_OK || result == SQLITE_BUSY && log == copied { return }
        throw connection.error(result, "copy the log into the file")
    }
}
