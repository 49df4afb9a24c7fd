package import SQLite
package import SegmentFormat

/// Writes and reads the tables `log_segment` and `log_stream` on one connection. Statements are made when they are first needed: most
/// commits need none.
package final class LogTables {
    private let connection: Connection
    private var insertSegment: Statement?
    private var insertStream: Statement?
    private var deleteSegment: Statement?
    private var deleteStreams: Statement?

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// Whether a data file has the tables: one that only an older version wrote to has not.
    package static func exist(_ connection: Connection) throws(SQLiteError) -> Bool {
        try connection.integer("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'log_stream'") != nil
    }

    private func statement(_ known: inout Statement?, _ sql: String) throws(SQLiteError) -> Statement {
        if let known { return known }
        let made = try connection.prepare(sql, persistent: true)
        known = made
        return made
    }

    /// Inserts a segment inside the caller's transaction.
    ///
    /// - Parameters:
    ///   - firstOrdinal: how many log records were committed before its first one.
    ///   - ordinalCount: how many ordinals it stands for; `nil` for as many as it has records.
    func insert(_ segment: EncodedLogSegment, id: Int64, firstOrdinal: Int64, ordinalCount: Int64? = nil) throws(SQLiteError) {
        let statistics = segment.statistics
        let row = try statement(
            &insertSegment,
            """
            INSERT INTO log_segment (id, record_count, time_min, time_max, received_min, received_max, severity_min, severity_max,
                content_bytes, stored_bytes, trace_filter, first_ordinal, ordinal_count)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
            """)
        let numbers = [
            id, Int64(statistics.recordCount), statistics.timeMinimum, statistics.timeMaximum, statistics.receivedMinimum,
            statistics.receivedMaximum, statistics.severityMinimum, statistics.severityMaximum, Int64(segment.contentBytes),
            Int64(segment.storedBytes),
        ]
        for (index, number) in numbers.enumerated() { try row.bind(Int32(index + 1), number) }
        try row.bind(11, segment.traceFilter.bytes)
        try row.bind(12, firstOrdinal)
        try row.bind(13, optional: ordinalCount == Int64(statistics.recordCount) ? nil : ordinalCount)
        try row.run()
        let stream = try statement(&insertStream, "INSERT INTO log_stream (id, data) VALUES (?1, ?2)")
        for (streamID, bytes) in [
            (LogSegmentFormat.facts(of: id), segment.facts), (LogSegmentFormat.contents(of: id), segment.contents),
        ] {
            try stream.bind(1, streamID)
            try stream.bind(2, bytes)
            try stream.run()
        }
    }

    /// Deletes a segment inside the caller's transaction.
    func delete(_ id: Int64) throws(SQLiteError) {
        let row = try statement(&deleteSegment, "DELETE FROM log_segment WHERE id = ?1")
        try row.run(binding: id)
        let streams = try statement(&deleteStreams, "DELETE FROM log_stream WHERE id BETWEEN ?1 AND ?2")
        try streams.bind(1, LogSegmentFormat.facts(of: id))
        try streams.bind(2, LogSegmentFormat.contents(of: id))
        try streams.run()
    }

    /// The segments that are stored, in the order of ids.
    func entries() throws(SQLiteError) -> [LogLedger.Entry] {
        let statement = try connection.prepare(
            """
            SELECT id, record_count, content_bytes, stored_bytes, time_max, received_max, first_ordinal, ordinal_count
            FROM log_segment ORDER BY id
            """)
        var entries: [LogLedger.Entry] = []
        while try statement.step() {
            entries.append(
                LogLedger.Entry(
                    id: statement.integer(0), firstOrdinal: statement.integer(6),
                    ordinalCount: statement.integer(statement.isNull(7) ? 1 : 7), recordCount: statement.integer(1),
                    contentBytes: statement.integer(2), storedBytes: statement.integer(3), timeMaximum: statement.integer(4),
                    receivedMaximum: statement.integer(5)))
        }
        return entries
    }

    // MARK: Reading

    /// The facts of a segment; reads one stream.
    package static func facts(of id: Int64, _ connection: Connection) throws -> LogFacts {
        try LogFacts(decoding: stream(LogSegmentFormat.facts(of: id), connection))
    }

    /// The inflated contents of a segment.
    package static func contents(of id: Int64, _ connection: Connection) throws -> [UInt8] {
        try stream(LogSegmentFormat.contents(of: id), connection)
    }

    private static func stream(_ id: Int64, _ connection: Connection) throws -> [UInt8] {
        let statement = try connection.prepare("SELECT data FROM log_stream WHERE id = ?1")
        try statement.bind(1, id)
        guard try statement.step() else { throw SegmentError.damaged("log stream \(id) is missing") }
        return try StoredFrame.bytes(of: statement.blob(0))
    }
}
