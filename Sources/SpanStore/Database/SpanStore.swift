import CSQLite
import SQLite
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
    /// The segments that are stored, shared with merging and retention.
    package let ledger = SegmentLedger()
    /// Spans that ended at or before this are refused; set by retention. `nil` before the first deletion.
    @inline(__always)
    package var retentionFloorUnixNano: Int64? { ledger.retentionFloorUnixNano }
    package var storedSpans: Int64 { ledger.storedSpans }
    private var lastFoldUnixNano: Int64 = 0

    private let insertSegment: Statement
    private let insertStream: Statement
    private let selectDirectory: Statement
    private let selectStream: Statement
    private let derivations: DerivationTables

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
            insertSegment = try connection.prepare(SegmentRow.insertion, persistent: true)
            insertStream = try connection.prepare("INSERT INTO segment_stream (id, data) VALUES (?1, ?2)", persistent: true)
            selectDirectory = try connection.prepare("SELECT directory FROM segment WHERE id = ?1", persistent: true)
            selectStream = try connection.prepare("SELECT data FROM segment_stream WHERE id = ?1", persistent: true)
            derivations = try DerivationTables(connection)
            try loadIdentities()
            ledger.setRetentionFloor(
                try connection.integer("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'retention_floor_unix_nano'") ?? .min)
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
        let statement = try connection.prepare(
            "SELECT id, span_count, stored_bytes, end_max, received_max, trace_filter, directory FROM segment ORDER BY id")
        while try statement.step() {
            let id = statement.integer(0)
            ledger.append(
                SegmentLedger.Entry(
                    id: id, streamSet: try SegmentDirectory.streamSet(ofFrame: statement.blob(6)) ?? id,
                    spanCount: Int(statement.integer(1)), storedBytes: Int(statement.integer(2)),
                    endMaximum: statement.integer(3), receivedMaximum: statement.integer(4),
                    filter: TraceFilter(bytes: statement.blob(5))))
        }
        // Numbers of unfinished merges and of deleted segments are not used again either.
        let streams = try connection.integer("SELECT max(id) FROM segment_stream") ?? 0
        let leftover = try connection.integer("SELECT max(stream_set) FROM segment_leftover") ?? 0
        let entries = ledger.entries
        ledger.startNumbers(at: max(entries.last?.id ?? 0, streams / Int64(SegmentFormat.streamsMax), leftover) + 1)
        try identities.load(entries, open: open)
    }

    private func loadStream(_ id: Int64) throws -> [UInt8] {
        defer { selectStream.reset() }
        try selectStream.bind(1, id)
        guard try selectStream.step() else { throw SegmentError.damaged("stream \(id) is missing") }
        return selectStream.blob(0)
    }

    private func open(_ id: Int64) throws -> SegmentReader? {
        defer { selectDirectory.reset() }
        try selectDirectory.bind(1, id)
        guard try selectDirectory.step() else { return nil }
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
            let stored = try pendingHash ?? storedHash(span)
            guard let stored else { return .new }
            return stored == span.contentHash ? .identical : .conflict
        } catch {
            throw Self.storeError(error)
        }
    }

    private func storedHash(_ span: SpanRecord) throws -> UInt32? {
        do {
            return try identities.contentHash(span.traceID, span.spanID, in: ledger.entries, open: open)
        } catch is IdentityIndex.OutdatedSegments {
            // Segments were merged since the list was read. While the gate is held, list and file agree.
            return try gate.whileCheckpointsWait {
                try identities.contentHash(span.traceID, span.spanID, in: ledger.entries, open: open)
            }
        }
    }

    // MARK: Commit

    /// Makes a segment and derivation rows durable in one transaction.
    package func commit(_ segment: EncodedSegment?, _ rows: DerivationRows, nowUnixNano: Int64) throws(StoreError) {
        let folds = derivations.shouldFold(rows, lastFoldUnixNano: lastFoldUnixNano, nowUnixNano: nowUnixNano)
        if segment == nil && rows.isEmpty && !folds { return }
        do throws(SQLiteError) {
            let written = try gate.whileCheckpointsWait { () throws(SQLiteError) in
                let id = segment == nil ? 0 : ledger.takeNumber()
                let written = try connection.transaction { () throws(SQLiteError) in
                    if let segment { try insert(segment, id: id) }
                    return try derivations.write(rows, folds: folds)
                }
                if let segment { ledger.append(SegmentLedger.Entry(segment, id: id)) }
                return written
            }
            derivations.didCommit(written)
        } catch {
            throw .database(error)
        }
        if folds { lastFoldUnixNano = nowUnixNano }
        identities.settle(ledger)
    }

    private func insert(_ segment: EncodedSegment, id: Int64) throws(SQLiteError) {
        try SegmentRow.insert(segment, id: id, with: insertSegment)
        for (number, stream) in segment.streams.enumerated() {
            try insertStream.bind(1, id * Int64(SegmentFormat.streamsMax) + Int64(number))
            try insertStream.bind(2, stream)
            try insertStream.run()
        }
    }

    /// A connection for merging and deleting segments beside this one.
    package func maintenance() throws(StoreError) -> StoreMaintenance {
        try StoreMaintenance(folder: folder, gate: gate, ledger: ledger)
    }

    /// What was committed, for rebuilding the derivations.
    package var history: SpanHistory { SpanHistory(connection) }

    /// Empties the write-ahead log into the file, so that the file alone is the whole store. For the end; readers may prevent it.
    package func emptyLog() {
        sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    }
}
