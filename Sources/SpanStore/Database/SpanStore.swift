import CSQLite
import SQLite
package import SegmentFormat
import TelemetryModel

/// The writing side of the store. One owner: the thread that commits.
///
/// Durability: when `commit` returns, what it was given is in a committed transaction that SQLite has fsynced. When it throws,
/// nothing of it is.
package final class SpanStore {
    package let folder: StoreFolder
    /// Says whether what is open is still what stands at its name.
    package let files: DataFileWatch
    let connection: Connection
    package let gate: CommitGate
    /// The segments that are stored, shared with merging, retention and `SpanPresence`.
    package let ledger = SegmentLedger()
    package var storedSpans: Int64 { ledger.storedSpans }
    /// The same of log records.
    package let logLedger = LogLedger()
    private var lastFoldUnixNano: Int64 = 0
    private let mark: AcknowledgedMark
    /// What the mark beside the file says of commits that the file does not have; `nil` when all is there.
    package let lostCommits: AcknowledgedMark.Loss?

    private let insertSegment: Statement
    private let insertStream: Statement
    private let derivations: DerivationTables
    private let annex: AnnexTables
    private let logs: LogTables

    /// Opens or creates the store in a folder, takes its lock and checks that commits are durable.
    package init(folder: StoreFolder, gate: CommitGate) throws(StoreError) {
        self.folder = folder
        self.gate = gate
        try folder.create()
        let lock = try StoreLock(folder)
        try DataFileWatch.checkBeforeOpening(folder)
        try folder.createDatabaseFile()
        do {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
            try StoreSettings.prepareWriter(connection)
            insertSegment = try connection.prepare(SegmentRow.insertion, persistent: true)
            insertStream = try connection.prepare("INSERT INTO segment_stream (id, data) VALUES (?1, ?2)", persistent: true)
            derivations = try DerivationTables(connection)
            annex = AnnexTables(connection)
            logs = LogTables(connection)
            mark = AcknowledgedMark(folder)
            lostCommits = try AcknowledgedMark.loss(mark.receivedUnixNano, connection)
            files = DataFileWatch(folder, lock)
            try loadLedger()
            logLedger.load(try logs.entries())
            try startOrdinals()
            ledger.setRetentionFloor(
                try connection.integer("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'retention_floor_unix_nano'") ?? .min)
        } catch {
            throw Self.storeError(error)
        }
        try folder.synchronize()
    }

    package static func storeError(_ error: any Error) -> StoreError {
        switch error {
        case let error as StoreError: error
        case let error as SQLiteError: .database(error)
        case let error as SegmentError: .segment(error)
        default: .setting("\(error)")
        }
    }

    private func loadLedger() throws {
        let statement = try connection.prepare(
            """
            SELECT id, span_count, stored_bytes, trace_filter, directory, first_ordinal, ordinal_count, \(SegmentStatistics.columns)
            FROM segment ORDER BY id
            """)
        while try statement.step() {
            let id = statement.integer(0)
            let statistics = SegmentStatistics(statement, from: 7)
            ledger.append(
                SegmentLedger.Entry(
                    id: id, streamSet: try SegmentDirectory.streamSet(ofFrame: statement.blob(4)) ?? id,
                    firstOrdinal: statement.integer(5), ordinalCount: statement.integer(statement.isNull(6) ? 1 : 6),
                    spanCount: Int(statement.integer(1)), storedBytes: Int(statement.integer(2)),
                    latestMaximum: statistics.latestMaximum, receivedMaximum: statistics.receivedMaximum,
                    filter: TraceFilter(bytes: statement.blob(3))))
        }
        // Numbers of unfinished merges and of deleted segments are not used again either.
        let streams = try connection.integer("SELECT max(id) FROM segment_stream") ?? 0
        let leftover = try connection.integer("SELECT max(stream_set) FROM segment_leftover") ?? 0
        let last = ledger.entries.last?.id ?? 0
        ledger.startNumbers(at: max(last, streams / Int64(SegmentFormat.streamsMax), leftover) + 1)
    }

    /// An ordinal is given once, though the file lost the commit that gave it: the mark beside it knows.
    private func startOrdinals() throws(SQLiteError) {
        let (stored, marked) = (try StoredOrdinals.next(connection), mark.next)
        ledger.startOrdinals(at: max(stored.spans, marked.spans))
        logLedger.startOrdinals(at: max(stored.logs, marked.logs))
    }

    // MARK: Commit

    /// Makes a segment, log records, derivation rows and what stands beside them durable in one transaction.
    ///
    /// The file's names are compared before the transaction ends and after it: what went into a file that is gone is never said
    /// to be stored. When only the second look finds it gone, the transaction stands and this throws: a client that sends again
    /// finds its spans there if the file comes back.
    ///
    /// - Parameter unsettledSpans: how many of the last spans retention must leave from then on; `nil` leaves that as it was.
    package func commit(
        _ segment: EncodedSegment?, _ rows: DerivationRows, annex annexRows: AnnexRows = AnnexRows(),
        logs logSegment: EncodedLogSegment? = nil, nowUnixNano: Int64, unsettledSpans: Int64? = nil
    ) throws(StoreError) {
        let folds = derivations.shouldFold(rows, lastFoldUnixNano: lastFoldUnixNano, nowUnixNano: nowUnixNano)
        if segment == nil && logSegment == nil && rows.isEmpty && annexRows.isEmpty && !folds {
            // Spans that are there already are acknowledged as well.
            if let problem = files.look() { throw .dataFile(problem) }
            return
        }
        do throws(SQLiteError) {
            let written = try gate.whileCheckpointsWait { () throws(SQLiteError) in
                let id = segment == nil ? 0 : ledger.takeNumber()
                let logID = logSegment == nil ? 0 : logLedger.takeNumber()
                let (ordinal, logOrdinal) = (ledger.nextOrdinal, logLedger.nextOrdinal)
                let written = try connection.transaction { () throws(SQLiteError) in
                    if let segment { try insert(segment, id: id, firstOrdinal: ordinal) }
                    if let logSegment { try logs.insert(logSegment, id: logID, firstOrdinal: logOrdinal) }
                    if !annexRows.isEmpty { try annex.write(annexRows, nowUnixNano: nowUnixNano) }
                    let written = try derivations.write(rows, folds: folds)
                    try files.check()
                    return written
                }
                if let segment { ledger.append(SegmentLedger.Entry(segment, id: id, firstOrdinal: ordinal)) }
                if let unsettledSpans { ledger.setUnsettledSpans(unsettledSpans) }
                if let logSegment { logLedger.append(LogLedger.Entry(logSegment, id: logID, firstOrdinal: logOrdinal)) }
                return written
            }
            derivations.didCommit(written)
        } catch {
            throw files.problem.map(StoreError.dataFile) ?? .database(error)
        }
        if folds { lastFoldUnixNano = nowUnixNano }
        if let problem = files.look() { throw .dataFile(problem) }
        if segment != nil || logSegment != nil {
            mark.advance(
                to: max(segment?.statistics.receivedMaximum ?? .min, logSegment?.statistics.receivedMaximum ?? .min),
                next: StoredOrdinals.Next(spans: ledger.nextOrdinal, logs: logLedger.nextOrdinal))
        }
    }

    private func insert(_ segment: EncodedSegment, id: Int64, firstOrdinal: Int64) throws(SQLiteError) {
        try SegmentRow.insert(segment, id: id, firstOrdinal: firstOrdinal, with: insertSegment)
        for (number, stream) in segment.streams.enumerated() {
            try insertStream.bind(1, id * Int64(SegmentFormat.streamsMax) + Int64(number))
            try insertStream.bind(2, stream)
            try insertStream.run()
        }
    }

    /// A connection for merging and deleting segments beside this one.
    package func maintenance() throws(StoreError) -> StoreMaintenance {
        try StoreMaintenance(folder: folder, gate: gate, ledger: ledger, logs: logLedger)
    }

    /// Empties the write-ahead log into the file, so that the file alone is the whole store. For the end; readers may prevent it.
    package func emptyLog() {
        sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    }
}
