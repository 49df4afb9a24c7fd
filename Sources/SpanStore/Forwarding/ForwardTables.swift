package import SQLite
package import TelemetryModel

/// A row of `forward_target`: how far a target has one signal.
package struct ForwardCursor: Equatable, Sendable {
    package var target: String
    package var signal: ForwardSignal
    package var nextOrdinal: Int64
    package var epoch: Int64
    package var isConfigured: Bool
    package var holds: Bool
    /// By an operator.
    package var isPaused: Bool
    /// A word for what its sender does, and a sentence when something is wrong.
    package var state: String
    package var message: String
    package var sent: Int64
    package var refused: Int64
    package var lost: Int64
    package var lastSuccessUnixNano: Int64?
}

/// A row of `forward_flight`.
package struct ForwardFlight: Equatable, Sendable {
    package var ordinals: Range<Int64>
    package var firstSentUnixNano: Int64
    /// Of the body before it is compressed.
    package var bodyHash: Int64

    package init(ordinals: Range<Int64>, firstSentUnixNano: Int64, bodyHash: Int64) {
        self.ordinals = ordinals
        self.firstSentUnixNano = firstSentUnixNano
        self.bodyHash = bodyHash
    }
}

/// A row of `forward_refused`.
package struct ForwardRefusal: Equatable, Sendable {
    /// Of the span or record; of several, of the first of their request.
    package var ordinal: Int64
    package var count: Int64
    package var traceID: TraceID?
    package var spanID: SpanID?
    /// HTTP's.
    package var code: Int
    package var message: String

    package init(ordinal: Int64, count: Int64, traceID: TraceID? = nil, spanID: SpanID? = nil, code: Int, message: String) {
        self.ordinal = ordinal
        self.count = count
        self.traceID = traceID
        self.spanID = spanID
        self.code = code
        self.message = message
    }
}

/// What an operator wants of a target.
package enum ForwardOrder: Equatable, Sendable {
    case pause(target: String)
    case resume(target: String)
    /// Send again from an ordinal on.
    case replay(target: String, signal: ForwardSignal, from: Int64)
}

/// The tables of forwarding as SQL.
package enum ForwardTables {
    /// Rows of `forward_refused`; past them the oldest go.
    static let refusalsMax = 10_000
    /// Bytes of a message that are kept.
    static let messageBytesMax = 1_000

    private static let columns = """
        target, signal, next_ordinal, epoch, configured, holds, paused, state, message, sent, refused, lost, last_success_unix_nano
        """

    /// Whether a data file has the tables: one that only an older version wrote to has not.
    package static func exist(_ connection: Connection) throws(SQLiteError) -> Bool {
        try connection.integer("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'forward_refused'") != nil
    }

    /// All cursors, by target and signal.
    package static func cursors(_ connection: Connection) throws(SQLiteError) -> [ForwardCursor] {
        guard try exist(connection) else { return [] }
        let statement = try connection.prepare("SELECT \(columns) FROM forward_target ORDER BY target, signal DESC")
        var cursors: [ForwardCursor] = []
        while try statement.step() {
            if let cursor = cursor(statement) { cursors.append(cursor) }
        }
        return cursors
    }

    static func cursor(_ target: String, _ signal: ForwardSignal, _ connection: Connection) throws(SQLiteError) -> ForwardCursor?
    {
        let statement = try connection.prepare("SELECT \(columns) FROM forward_target WHERE target = ?1 AND signal = ?2")
        try statement.bind(1, target)
        try statement.bind(2, signal.rawValue)
        return try statement.step() ? cursor(statement) : nil
    }

    private static func cursor(_ row: Statement) -> ForwardCursor? {
        guard let signal = ForwardSignal(rawValue: row.text(1) ?? "") else { return nil }
        return ForwardCursor(
            target: row.text(0) ?? "", signal: signal, nextOrdinal: max(0, row.integer(2)), epoch: row.integer(3),
            isConfigured: row.integer(4) != 0, holds: row.integer(5) != 0, isPaused: row.integer(6) != 0,
            state: row.text(7) ?? "",
            message: row.text(8) ?? "", sent: row.integer(9), refused: row.integer(10), lost: row.integer(11),
            lastSuccessUnixNano: row.isNull(12) ? nil : row.integer(12))
    }

    static func flight(_ target: String, _ signal: ForwardSignal, _ connection: Connection) throws(SQLiteError) -> ForwardFlight?
    {
        let statement = try connection.prepare(
            """
            SELECT from_ordinal, to_ordinal, first_sent_unix_nano, body_hash FROM forward_flight WHERE target = ?1 AND signal = ?2
            """)
        try statement.bind(1, target)
        try statement.bind(2, signal.rawValue)
        guard try statement.step(), statement.integer(0) >= 0, statement.integer(1) > statement.integer(0) else { return nil }
        return ForwardFlight(
            ordinals: statement.integer(0)..<statement.integer(1), firstSentUnixNano: statement.integer(2),
            bodyHash: statement.integer(3))
    }

    /// The least ordinal that retention must leave, of those that targets wait for; `nil` when none holds.
    static func held(_ signal: ForwardSignal, _ connection: Connection) throws(SQLiteError) -> Int64? {
        let statement = try connection.prepare(
            "SELECT min(next_ordinal) FROM forward_target WHERE holds = 1 AND configured = 1 AND signal = ?1")
        try statement.bind(1, signal.rawValue)
        return try statement.step() && !statement.isNull(0) ? statement.integer(0) : nil
    }

    /// The targets that hold anything that is stored.
    static func holdingTargets(_ connection: Connection) throws(SQLiteError) -> [String] {
        let statement = try connection.prepare(
            """
            SELECT DISTINCT target FROM forward_target
            WHERE holds = 1 AND configured = 1 AND next_ordinal < CASE signal
                WHEN 'traces' THEN (SELECT max(first_ordinal + coalesce(ordinal_count, span_count)) FROM segment)
                ELSE (SELECT max(first_ordinal + coalesce(ordinal_count, record_count)) FROM log_segment) END
            ORDER BY target
            """)
        var targets: [String] = []
        while try statement.step() { targets.append(statement.text(0) ?? "") }
        return targets
    }

    /// The ordinal of the oldest segment of which something was received at or after a time; that behind the last when none is.
    package static func ordinal(
        ofSignal signal: ForwardSignal, receivedAtOrAfter time: Int64, _ connection: Connection
    ) throws(SQLiteError) -> Int64 {
        let table = signal == .traces ? "segment" : "log_segment"
        let count = try StoredOrdinals.count(of: table, connection)
        return try connection.integer(
            """
            SELECT coalesce((SELECT min(first_ordinal) FROM \(table) WHERE received_max >= \(time)),
                (SELECT max(first_ordinal + \(count)) FROM \(table)), 0)
            """) ?? 0
    }

    /// How many spans or records are stored from an ordinal on, and when the first segment of them was received. Of a segment in which the
    /// ordinal lies and of which some were forgotten, it may be a few more than there are.
    package static func backlog(
        from ordinal: Int64, of signal: ForwardSignal, _ connection: Connection
    ) throws(SQLiteError) -> (count: Int64, receivedUnixNano: Int64?) {
        let table = signal == .traces ? "segment" : "log_segment"
        let rows = signal == .traces ? "span_count" : "record_count"
        let count = try StoredOrdinals.count(of: table, connection)
        let statement = try connection.prepare(
            """
            SELECT coalesce(sum(min(\(rows), first_ordinal + \(count) - ?1)), 0), min(received_min) FROM \(table)
            WHERE first_ordinal + \(count) > ?1
            """)
        try statement.bind(1, ordinal)
        guard try statement.step() else { return (0, nil) }
        return (statement.integer(0), statement.isNull(1) ? nil : statement.integer(1))
    }

    /// Carries an order out, inside the caller's transaction.
    static func apply(_ order: ForwardOrder, _ connection: Connection) throws(SQLiteError) {
        switch order {
        case .pause(let target): try set(1, target, connection)
        case .resume(let target): try set(0, target, connection)
        case .replay(let target, let signal, let ordinal):
            let flight = try connection.prepare("DELETE FROM forward_flight WHERE target = ?1 AND signal = ?2")
            try flight.bind(1, target)
            try flight.bind(2, signal.rawValue)
            try flight.run()
            let statement = try connection.prepare(
                """
                UPDATE forward_target SET next_ordinal = ?3, epoch = epoch + 1 WHERE target = ?1 AND signal = ?2 AND next_ordinal > ?3
                """)
            try statement.bind(1, target)
            try statement.bind(2, signal.rawValue)
            try statement.bind(3, max(0, ordinal))
            try statement.run()
        }
    }

    /// Resuming begins a target's account of failures anew, which the epoch tells its sender. Pausing leaves what is under way to end.
    private static func set(_ paused: Int64, _ target: String, _ connection: Connection) throws(SQLiteError) {
        let statement = try connection.prepare(
            "UPDATE forward_target SET paused = ?2, epoch = epoch + 1 - ?2 WHERE target = ?1")
        try statement.bind(1, target)
        try statement.bind(2, paused)
        try statement.run()
    }
}
