import SQLite
import TelemetryModel

/// Writes how far targets are, on a connection of its own and in turns with commits. Used by one thread.
///
/// Its transactions are not fsynced by themselves: the next commit of spans takes them to the disk. What a loss of power takes back is
/// sent again, and a receiver that knows spans by their ids stores them once.
package final class ForwardJournal {
    /// What one signal of a target begins with.
    package struct Beginning: Sendable {
        package var target: String
        package var signal: ForwardSignal
        package var holds: Bool
        /// Where a new target begins.
        package var ordinal: Int64

        package init(target: String, signal: ForwardSignal, holds: Bool, ordinal: Int64) {
            self.target = target
            self.signal = signal
            self.holds = holds
            self.ordinal = ordinal
        }
    }

    /// What became of a stretch of ordinals.
    package struct Progress: Equatable, Sendable {
        package var nextOrdinal: Int64
        package var sent: Int64 = 0
        package var lost: Int64 = 0
        package var refusals: [ForwardRefusal] = []

        package init(nextOrdinal: Int64, sent: Int64 = 0, lost: Int64 = 0, refusals: [ForwardRefusal] = []) {
            self.nextOrdinal = nextOrdinal
            self.sent = sent
            self.lost = lost
            self.refusals = refusals
        }

        package var refused: Int64 { refusals.reduce(0) { $0 + $1.count } }
    }

    private let connection: Connection
    private let gate: CommitGate

    package init(_ source: ForwardSource) throws(StoreError) {
        gate = source.gate
        do {
            connection = try Connection(path: source.folder.databasePath, access: .readWrite)
            try StoreSettings.prepareMaintenance(connection)
            try connection.execute("PRAGMA synchronous = NORMAL")
        } catch {
            throw .database(error)
        }
    }

    private func write<Value>(_ body: () throws(SQLiteError) -> Value) throws(StoreError) -> Value {
        do {
            return try gate.whileCheckpointsWait { () throws(SQLiteError) in try connection.transaction(body) }
        } catch {
            throw .database(error)
        }
    }

    private func read<Value>(_ body: () throws(SQLiteError) -> Value) throws(StoreError) -> Value {
        do {
            return try body()
        } catch {
            throw .database(error)
        }
    }

    /// Enters what is configured. Targets that are not any more stay as they are, for the day they come back, and hold nothing.
    package func begin(_ targets: [Beginning], nowUnixNano: Int64) throws(StoreError) {
        try write { () throws(SQLiteError) in
            try connection.execute("UPDATE forward_target SET configured = 0")
            let insert = try connection.prepare(
                """
                INSERT INTO forward_target (target, signal, next_ordinal, holds, created_unix_nano) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT DO UPDATE SET configured = 1, holds = excluded.holds
                """)
            for target in targets {
                try insert.bind(1, target.target)
                try insert.bind(2, target.signal.rawValue)
                try insert.bind(3, target.ordinal)
                try insert.bind(4, Int64(target.holds ? 1 : 0))
                try insert.bind(5, nowUnixNano)
                try insert.run()
            }
        }
    }

    package func cursor(_ target: String, _ signal: ForwardSignal) throws(StoreError) -> ForwardCursor? {
        try read { () throws(SQLiteError) in try ForwardTables.cursor(target, signal, connection) }
    }

    package func flight(_ target: String, _ signal: ForwardSignal) throws(StoreError) -> ForwardFlight? {
        try read { () throws(SQLiteError) in try ForwardTables.flight(target, signal, connection) }
    }

    /// Says what is about to be sent, in place of what was said before; `false` when somebody moved the cursor meanwhile.
    package func open(_ flight: ForwardFlight, of cursor: ForwardCursor) throws(StoreError) -> Bool {
        try write { () throws(SQLiteError) in
            guard try ForwardTables.cursor(cursor.target, cursor.signal, connection)?.epoch == cursor.epoch else { return false }
            let statement = try connection.prepare(
                """
                INSERT OR REPLACE INTO forward_flight (target, signal, from_ordinal, to_ordinal, first_sent_unix_nano, body_hash)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                """)
            try statement.bind(1, cursor.target)
            try statement.bind(2, cursor.signal.rawValue)
            try statement.bind(3, flight.ordinals.lowerBound)
            try statement.bind(4, flight.ordinals.upperBound)
            try statement.bind(5, flight.firstSentUnixNano)
            try statement.bind(6, flight.bodyHash)
            try statement.run()
            return true
        }
    }

    /// Moves the cursor behind what has its answer, or is gone; `false` when somebody moved it meanwhile.
    package func advance(_ cursor: ForwardCursor, _ progress: Progress, nowUnixNano: Int64) throws(StoreError) -> Bool {
        try write { () throws(SQLiteError) in
            let statement = try connection.prepare(
                """
                UPDATE forward_target SET next_ordinal = max(next_ordinal, ?4), sent = sent + ?5, refused = refused + ?6,
                    lost = lost + ?7, last_success_unix_nano = CASE WHEN ?5 > 0 THEN ?8 ELSE last_success_unix_nano END
                WHERE target = ?1 AND signal = ?2 AND epoch = ?3
                """)
            try statement.bind(1, cursor.target)
            try statement.bind(2, cursor.signal.rawValue)
            try statement.bind(3, cursor.epoch)
            try statement.bind(4, progress.nextOrdinal)
            try statement.bind(5, progress.sent)
            try statement.bind(6, progress.refused)
            try statement.bind(7, progress.lost)
            try statement.bind(8, nowUnixNano)
            try statement.run()
            guard connection.changes == 1 else { return false }
            let flight = try connection.prepare("DELETE FROM forward_flight WHERE target = ?1 AND signal = ?2")
            try flight.bind(1, cursor.target)
            try flight.bind(2, cursor.signal.rawValue)
            try flight.run()
            for refusal in progress.refusals { try insert(refusal, cursor, nowUnixNano) }
            return true
        }
    }

    private func insert(_ refusal: ForwardRefusal, _ cursor: ForwardCursor, _ nowUnixNano: Int64) throws(SQLiteError) {
        let statement = try connection.prepare(
            """
            INSERT INTO forward_refused (target, signal, ordinal, count, trace_id, span_id, code, message, time_unix_nano)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            """)
        try statement.bind(1, cursor.target)
        try statement.bind(2, cursor.signal.rawValue)
        try statement.bind(3, refusal.ordinal)
        try statement.bind(4, refusal.count)
        try statement.bind(5, optional: refusal.traceID?.hexadecimal)
        try statement.bind(6, optional: refusal.spanID?.hexadecimal)
        try statement.bind(7, Int64(refusal.code))
        try statement.bind(8, Self.bounded(refusal.message))
        try statement.bind(9, nowUnixNano)
        try statement.run()
        try connection.execute(
            "DELETE FROM forward_refused WHERE id <= (SELECT max(id) FROM forward_refused) - \(ForwardTables.refusalsMax)")
    }

    /// Says what a target's sender does, for whoever asks the file.
    package func note(_ target: String, _ signal: ForwardSignal, state: String, message: String) throws(StoreError) {
        try write { () throws(SQLiteError) in
            let statement = try connection.prepare(
                "UPDATE forward_target SET state = ?3, message = ?4 WHERE target = ?1 AND signal = ?2")
            try statement.bind(1, target)
            try statement.bind(2, signal.rawValue)
            try statement.bind(3, state)
            try statement.bind(4, Self.bounded(message))
            try statement.run()
        }
    }

    private static func bounded(_ text: String) -> String {
        text.utf8.count <= ForwardTables.messageBytesMax
            ? text : String(decoding: text.utf8.prefix(ForwardTables.messageBytesMax), as: UTF8.self)
    }
}
