package import SQLite
import TelemetryModel

/// The tables `forget` and `forget_trace` as SQL.
package enum ForgetTables {
    /// Orders that are kept when they are done.
    private static let ordersMax = 1_000

    /// An order that is not done.
    struct Pending {
        var id: Int64
        var phase: ForgetProgress.Phase
        /// `nil` once everything is deleted.
        var selection: ForgetSelection?
    }

    /// Whether a data file has the tables: one that only an older version wrote to has not.
    package static func exist(_ connection: Connection) throws(SQLiteError) -> Bool {
        try connection.integer("SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = 'forget_trace'") != nil
    }

    /// Enters an order inside the caller's transaction; once, though it comes twice.
    static func insert(_ order: ForgetOrder, nowUnixNano: Int64, _ connection: Connection) throws(SQLiteError) {
        let statement = try connection.prepare(
            "INSERT OR IGNORE INTO forget (request, selection, phase, asked_unix_nano) VALUES (?1, ?2, 'searching', ?3)")
        try statement.bind(1, order.request)
        try statement.bind(2, order.selection.json.line)
        try statement.bind(3, nowUnixNano)
        try statement.run()
        try connection.execute("DELETE FROM forget WHERE phase = 'done' AND id <= (SELECT max(id) FROM forget) - \(ordersMax)")
    }

    /// The oldest order that is not done.
    static func next(_ connection: Connection) throws(SQLiteError) -> Pending? {
        let statement = try connection.prepare(
            "SELECT id, phase, selection FROM forget WHERE phase <> 'done' ORDER BY id LIMIT 1")
        guard try statement.step(), let phase = ForgetProgress.Phase(rawValue: statement.text(1) ?? "") else { return nil }
        let selection = statement.text(2).flatMap { try? JSONValue.parse(Array($0.utf8)[...]) }.flatMap { ForgetSelection($0) }
        return Pending(id: statement.integer(0), phase: phase, selection: selection)
    }

    /// The traces that an order is about.
    static func traces(of id: Int64, _ connection: Connection) throws(SQLiteError) -> Set<TraceID> {
        let statement = try connection.prepare("SELECT trace_id FROM forget_trace WHERE forget_id = ?1")
        try statement.bind(1, id)
        var traces: Set<TraceID> = []
        while try statement.step() {
            if let trace = TraceID(hexadecimal: (statement.text(0) ?? "")[...]) { traces.insert(trace) }
        }
        return traces
    }

    static func insert(_ traces: some Sequence<TraceID>, of id: Int64, _ connection: Connection) throws(SQLiteError) {
        let statement = try connection.prepare("INSERT OR IGNORE INTO forget_trace (forget_id, trace_id) VALUES (?1, ?2)")
        for trace in traces {
            try statement.bind(1, id)
            try statement.bind(2, trace.hexadecimal)
            try statement.run()
        }
    }

    /// Counts what the caller's transaction deletes.
    static func add(_ counts: ForgetCounts, to id: Int64, _ connection: Connection) throws(SQLiteError) {
        let statement = try connection.prepare(
            """
            UPDATE forget SET spans = spans + ?2, segments = segments + ?3, log_records = log_records + ?4,
                log_segments = log_segments + ?5, evals = evals + ?6, stalls = stalls + ?7 WHERE id = ?1
            """)
        for (index, number) in [
            id, counts.spans, counts.segments, counts.logRecords, counts.logSegments, counts.evals, counts.stalls,
        ].enumerated() {
            try statement.bind(Int32(index + 1), number)
        }
        try statement.run()
    }
}
