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
/// start over; so when the log is long, more follow, each with less left to copy, and when little is left one runs while the gate
/// holds commits back.
package final class Checkpointer {
    /// The log is checkpointed when it has this many bytes.
    private static let bytesToStart = 16 << 20
    /// Above this many, commits wait for the rest of it.
    private static let bytesToHold = 64 << 20
    /// Commits wait while this much is copied, not for more, as long as more passes make it less.
    private static let heldBytesMax = 4 << 20
    /// Passes beside the writer before commits wait, however much is left.
    private static let passesMax = 4
    /// A log file of this many bytes is cut to nothing when no reader needs it.
    private static let bytesToTruncate = 128 << 20

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
    private let pageBytes: Int

    package init(folder: StoreFolder, gate: CommitGate) throws(StoreError) {
        do {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
            try connection.execute("PRAGMA synchronous = FULL")
            try connection.execute("PRAGMA wal_autocheckpoint = 0")
            // Commits wait meanwhile: it does not wait for readers.
            sqlite3_busy_timeout(connection.handle, 0)
            pageBytes = Int(try connection.integer("PRAGMA page_size") ?? 0)
        } catch {
            throw SpanStore.storeError(error)
        }
        self.gate = gate
        logPath = folder.databasePath + "-wal"
    }

    /// Checkpoints when the log is long enough. Blocks on the disk; not for an event loop.
    package func runIfNeeded() throws(StoreError) -> Outcome {
        guard FileSize.bytes(logPath) >= Self.bytesToStart else { return .idle }
        do {
            var last = try passive()
            guard last.log * pageBytes >= Self.bytesToHold else {
                return last.copied == last.log ? .done(pages: last.copied) : .busy
            }
            for _ in 1..<Self.passesMax {
                let next = try passive()
                let copied = next.copied - last.copied
                last = next
                if copied * pageBytes <= Self.heldBytesMax { break }
            }
            // A reader that needs many old frames is not waited for: commits would wait, and nothing would be won.
            guard (last.log - last.copied) * pageBytes <= Self.heldBytesMax else { return .busy }
            try gate.whileCheckpointsWait { () throws(SQLiteError) in last = try passive() }
            if FileSize.bytes(logPath) >= Self.bytesToTruncate {
                try gate.whileCheckpointsWait { () throws(SQLiteError) in _ = try checkpoint(SQLITE_CHECKPOINT_TRUNCATE) }
            }
            return last.copied == last.log ? .done(pages: last.copied) : .busy
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
