import SQLite
package import SpanStore
import TelemetryModel

/// How far a target has one signal, and what it still lacks.
package struct ForwardStatus: Equatable, Sendable {
    package var cursor: ForwardCursor
    /// Stored, and not delivered.
    package var behind: Int64
    /// When the oldest of them was received, at most this much earlier than it really was: that of the first in its segment.
    package var oldestReceivedUnixNano: Int64?

    /// What its sender does, as people are told.
    package var shownState: String {
        if !cursor.isConfigured { return "not configured" }
        return cursor.isPaused ? "paused" : cursor.state
    }

    /// How long the oldest of them has waited; 0 when none does.
    package func behindSeconds(nowUnixNano: Int64) -> Int64 {
        oldestReceivedUnixNano.map { max(0, nowUnixNano.subtractingSaturated($0)) / 1_000_000_000 } ?? 0
    }
}

/// A row of `forward_refused` as it is listed.
package struct ListedRefusal: Equatable, Sendable {
    package var target: String
    package var signal: String
    package var row: ForwardRefusal
    package var timeUnixNano: Int64
}

extension SQLReader {
    private func asking<Value>(_ body: () throws(SQLiteError) -> Value) throws(StoreError) -> Value {
        do {
            return try body()
        } catch {
            throw .database(error)
        }
    }

    /// Each target's signals; none in a file from which nothing was ever forwarded.
    package func forwardStatus() throws(StoreError) -> [ForwardStatus] {
        try asking { () throws(SQLiteError) in
            try ForwardTables.cursors(connection).map { cursor throws(SQLiteError) in
                let backlog = try ForwardTables.backlog(from: cursor.nextOrdinal, of: cursor.signal, connection)
                return ForwardStatus(cursor: cursor, behind: backlog.count, oldestReceivedUnixNano: backlog.receivedUnixNano)
            }
        }
    }

    /// What targets did not take, latest first.
    package func forwardRefusals(max: Int) throws(StoreError) -> [ListedRefusal] {
        try asking { () throws(SQLiteError) in
            guard try ForwardTables.exist(connection) else { return [] }
            let statement = try connection.prepare(
                """
                SELECT target, signal, ordinal, count, trace_id, span_id, code, message, time_unix_nano FROM main.forward_refused
                ORDER BY id DESC LIMIT ?1
                """)
            try statement.bind(1, Int64(max))
            var refusals: [ListedRefusal] = []
            while try statement.step() {
                let row = ForwardRefusal(
                    ordinal: statement.integer(2), count: statement.integer(3),
                    traceID: statement.text(4).flatMap { TraceID(hexadecimal: $0[...]) },
                    spanID: statement.text(5).flatMap { SpanID(hexadecimal: $0[...]) }, code: Int(clamping: statement.integer(6)),
                    message: statement.text(7) ?? "")
                refusals.append(
                    ListedRefusal(
                        target: statement.text(0) ?? "", signal: statement.text(1) ?? "", row: row,
                        timeUnixNano: statement.integer(8)))
            }
            return refusals
        }
    }

    /// The ordinal from which on something was received at or after a time.
    package func forwardOrdinal(of signal: ForwardSignal, receivedAtOrAfter time: Int64) throws(StoreError) -> Int64 {
        try asking { () throws(SQLiteError) in
            try ForwardTables.ordinal(ofSignal: signal, receivedAtOrAfter: time, connection)
        }
    }

    /// Ranges of ordinals that are stored, from one on and before another, ascending.
    package func storedOrdinals(of signal: ForwardSignal, _ range: Range<Int64>) throws(StoreError) -> [Range<Int64>] {
        try asking { () throws(SQLiteError) in
            let table = signal == .traces ? "segment" : "log_segment"
            let count = signal == .traces ? "span_count" : "record_count"
            let statement = try connection.prepare(
                "SELECT first_ordinal, \(count) FROM main.\(table) WHERE first_ordinal + \(count) > ?1 AND first_ordinal < ?2 ORDER BY first_ordinal"
            )
            try statement.bind(1, range.lowerBound)
            try statement.bind(2, range.upperBound)
            var found: [Range<Int64>] = []
            while try statement.step() {
                let first = statement.integer(0)
                let own = first..<max(first, first.addingSaturated(statement.integer(1)))
                found.append(own.clamped(to: range))
            }
            return found
        }
    }
}
