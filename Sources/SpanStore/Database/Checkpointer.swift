import CSQLite
import Dispatch
import SQLite

/// Keeps the writer's transactions and the rare checkpoint that needs them to stand still apart.
package final class CommitGate: Sendable {
    private let turn = DispatchSemaphore(value: 1)

    package init() {}

    func whileCheckpointsWait<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        turn.wait()
        defer { turn.signal() }
        return try body()
    }
}

/// Copies the write-ahead log into the database file, on a connection and a thread of its own, so that no commit pays for it.
///
/// A passive checkpoint runs beside the writer. Under an unbroken stream of commits it never catches up, and the log could not
/// start over; so when the log is long, one more runs while the gate holds commits back: it has only the frames of the last moment
/// left to copy.
package final class Checkpointer {
    /// The log is checkpointed when it has this many pages of 16 KiB: 16 MiB.
    private static let pagesToStart = 1024
    /// Above this many pages (64 MiB), commits wait for the rest of it.
    private static let pagesToHold = 4096

    /// A log file of this many pages (128 MiB) is cut to nothing when no reader needs it.
    private static let pagesToTruncate = 8192

    package enum Outcome: Sendable {
        /// The log was short.
        case idle
        case done(pages: Int)
        /// A reader held old frames; the rest is copied later.
        case busy
    }

    private let connection: Connection
    private let gate: CommitGate
    private let logPath: String

    package init(folder: StoreFolder, gate: CommitGate) throws(StoreError) {
        do {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
            try connection.execute("PRAGMA synchronous = FULL")
            try connection.execute("PRAGMA wal_autocheckpoint = 0")
            // Commits wait meanwhile: it does not wait for readers.
            sqlite3_busy_timeout(connection.handle, 0)
        } catch {
            throw SpanStore.storeError(error)
        }
        self.gate = gate
        logPath = folder.databasePath + "-wal"
    }

    /// Checkpoints when the log is long enough. Blocks on the disk; not for an event loop.
    package func runIfNeeded() throws(StoreError) -> Outcome {
        guard FileSize.bytes(logPath) / 16384 >= Self.pagesToStart else { return .idle }
        do {
            let first = try passive()
            guard first.log >= Self.pagesToHold || first.log != first.copied else { return .done(pages: first.copied) }
            guard first.log >= Self.pagesToHold else { return .busy }
            var second = first
            try gate.whileCheckpointsWait { () throws(SQLiteError) in second = try passive() }
            if FileSize.bytes(logPath) / 16384 >= Self.pagesToTruncate {
                try gate.whileCheckpointsWait { () throws(SQLiteError) in _ = try checkpoint(SQLITE_CHECKPOINT_TRUNCATE) }
            }
            return second.copied == second.log ? .done(pages: second.copied) : .busy
        } catch {
            throw .database(error)
        }
    }

    private func passive() throws(SQLiteError) -> (log: Int, copied: Int) {
        try checkpoint(SQLITE_CHECKPOINT_PASSIVE)
    }

    private func checkpoint(_ mode: Int32) throws(SQLiteError) -> (log: Int, copied: Int) {
        var log: Int32 = 0
        var copied: Int32 = 0
        let result = sqlite3_wal_checkpoint_v2(connection.handle, nil, mode, &log, &copied)
        guard result == SQLITE_OK || result == SQLITE_BUSY else { throw connection.error(result, "checkpoint") }
        return (Int(log), Int(copied))
    }
}
