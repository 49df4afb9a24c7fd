import CSQLite
package import SQLite
package import TelemetryModel

/// The writing side of the store. One owner, one thread: identities are checked and segments committed in one order.
///
/// Durability: when `commit` returns, what it was given is in a committed transaction that SQLite has fsynced. When it throws,
/// nothing of it is.
package final class SpanStore {
    /// What the store knows of a span that wants in.
    package enum Presence: Sendable {
        case new
        /// Stored already, with the same content: a client sent it again.
        case identical
        /// Stored already with other content; the first stays.
        case conflict
    }

    package let folder: StoreFolder
    private let lock: StoreLock
    private let connection: Connection
    private let gate: CommitGate
    private var identities = IdentityIndex()
    private var nextSegmentID: Int64 = 1
    /// Spans that ended at or before this are refused; set by retention. `nil` before the first deletion.
    package private(set) var retentionFloorUnixNano: Int64?
    package private(set) var storedSpans: Int64 = 0
    private var lastFoldUnixNano: Int64 = 0

    private let insertSegment: Statement
    private let insertStream: Statement
    private let selectDirectory: Statement
    private let selectStream: Statement
    private let derivations: DerivationTables
    private let annex: AnnexTables

    /// Opens or creates the store in a folder, takes its lock, checks that commits are durable and learns which spans it holds.
    package init(folder: StoreFolder, gate: CommitGate) throws(StoreError) {
        self.folder = folder
        self.gate = gate
        try folder.create()
        lock = try StoreLock(folder)
        try folder.createDatabaseFile()
        do {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
            try StoreSettings.prepareWriter(connection)
            insertSegment = try connection.prepare(
                """
                INSERT INTO segment (id, span_count, start_min, start_max, end_min, end_max, received_min, received_max,
                    stored_bytes, trace_filter, directory) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                """, persistent: true)
            insertStream = try connection.prepare("INSERT INTO segment_stream (id, data) VALUES (?1, ?2)", persistent: true)
            selectDirectory = try connection.prepare("SELECT directory FROM segment WHERE id = ?1", persistent: true)
            selectStream = try connection.prepare("SELECT data FROM segment_stream WHERE id = ?1", persistent: true)
            derivations = try DerivationTables(connection)
            annex = AnnexTables(connection)
            try loadIdentities()
            retentionFloorUnixNano = try connection.integer(
                "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'retention_floor_unix_nano'")
        } catch {
            throw Self.storeError(error)
        }
        try folder.synchronize()
    }

    static func storeError(_ error: any Error) -> StoreError {
        switch error {
        case let error as StoreError: error
        case let error as SQLiteError: .database(error)
        case let error as SegmentError: .segment(error)
        default: .setting("\(error)")
        }
    }

    // MARK: Identity

    private func loadIdentities() throws {
        let statement = try connection.prepare("SELECT id, span_count, trace_filter, directory FROM segment ORDER BY id")
        while try statement.step() {
            let id = statement.integer(0)
            let segment = try SegmentReader(id: id, directory: statement.blob(3), loadStream: loadStream)
            try identities.load(id: id, filter: TraceFilter(bytes: statement.blob(2)), segment: segment)
            storedSpans += statement.integer(1)
            nextSegmentID = id + 1
        }
    }

    private func loadStream(_ id: Int64) throws -> [UInt8] {
        defer { selectStream.reset() }
        try selectStream.bind(1, id)
        guard try selectStream.step() else { throw SegmentError.damaged("stream \(id) is missing") }
        return selectStream.blob(0)
    }

    private func open(_ id: Int64) throws -> SegmentReader {
        defer { selectDirectory.reset() }
        try selectDirectory.bind(1, id)
        guard try selectDirectory.step() else { throw SegmentError.damaged("segment \(id) is missing") }
        return try SegmentReader(id: id, directory: selectDirectory.blob(0), loadStream: loadStream)
    }

    /// Whether the span is certainly new: it was neither stored nor asked for before. From then on it is known, so whoever asks must
    /// store it, or forget all that waits for the commit.
    @inline(__always)
    package func isCertainlyNew(_ span: SpanRecord) -> Bool {
        !identities.insert(span.traceID, span.spanID)
    }

    /// What the store knows of a span that is not certainly new, exactly, over all that is stored.
    ///
    /// - Parameter pendingHash: the content hash of the span with this identity that waits for the commit, if there is one.
    package func presence(_ span: SpanRecord, pendingHash: UInt32?) throws(StoreError) -> Presence {
        do {
            let stored = try pendingHash ?? identities.contentHash(span.traceID, span.spanID, open: open)
            guard let stored else { return .new }
            return stored == span.contentHash ? .identical : .conflict
        } catch {
            throw Self.storeError(error)
        }
    }

    // MARK: Commit

    /// Makes a segment, derivation rows and what stands beside them durable in one transaction.
    package func commit(
        _ segment: EncodedSegment?, _ rows: DerivationRows, annex annexRows: AnnexRows = AnnexRows(), nowUnixNano: Int64
    ) throws(StoreError) {
        let id = nextSegmentID
        let folds = derivations.shouldFold(rows, lastFoldUnixNano: lastFoldUnixNano, nowUnixNano: nowUnixNano)
        if segment == nil && rows.isEmpty && annexRows.isEmpty && !folds { return }
        do throws(SQLiteError) {
            let written = try gate.whileCheckpointsWait { () throws(SQLiteError) in
                try connection.transaction { () throws(SQLiteError) in
                    if let segment { try insert(segment, id: id) }
                    if !annexRows.isEmpty { try annex.write(annexRows, nowUnixNano: nowUnixNano) }
                    return try derivations.write(rows, folds: folds)
                }
            }
            derivations.didCommit(written)
        } catch {
            throw .database(error)
        }
        if folds { lastFoldUnixNano = nowUnixNano }
        guard let segment else { return }
        identities.add(id: id, filter: segment.traceFilter)
        storedSpans += Int64(segment.spanCount)
        nextSegmentID += 1
    }

    private func insert(_ segment: EncodedSegment, id: Int64) throws(SQLiteError) {
        let statistics = segment.statistics
        try insertSegment.bind(1, id)
        try insertSegment.bind(2, Int64(segment.spanCount))
        try insertSegment.bind(3, statistics.startMinimum)
        try insertSegment.bind(4, statistics.startMaximum)
        try insertSegment.bind(5, statistics.endMinimum)
        try insertSegment.bind(6, statistics.endMaximum)
        try insertSegment.bind(7, statistics.receivedMinimum)
        try insertSegment.bind(8, statistics.receivedMaximum)
        try insertSegment.bind(9, Int64(segment.storedBytes))
        try insertSegment.bind(10, segment.traceFilter.bytes)
        try insertSegment.bind(11, segment.directory)
        try insertSegment.run()
        for (number, stream) in segment.streams.enumerated() {
            try insertStream.bind(1, id * Int64(SegmentFormat.streamsMax) + Int64(number))
            try insertStream.bind(2, stream)
            try insertStream.run()
        }
    }

    /// What was committed, for rebuilding the derivations.
    package var history: SpanHistory { SpanHistory(connection) }

    /// The price table as it stands.
    package func prices() throws(StoreError) -> PriceTable {
        do throws(SQLiteError) {
            return try AnnexReading.prices(connection)
        } catch {
            throw .database(error)
        }
    }

    /// Rows of a query about what stands beside the spans, for the families that are made of them.
    package func rows<Row>(_ sql: String, _ read: (Statement) -> Row) throws(StoreError) -> [Row] {
        do throws(SQLiteError) {
            let statement = try connection.prepare(sql)
            var rows: [Row] = []
            while try statement.step() { rows.append(read(statement)) }
            return rows
        } catch {
            throw .database(error)
        }
    }

    /// Empties the write-ahead log into the file, so that the file alone is the whole store. For the end; readers may prevent it.
    package func emptyLog() {
        sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    }
}
