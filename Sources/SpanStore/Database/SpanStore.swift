import CSQLite
import SQLite
import TelemetryModel

/// The writing side of the store. One owner: the thread that commits.
///
/// Durability: when `commit` returns, what it was given is in a committed transaction that SQLite has fsynced. When it throws,
/// nothing of it is.
package final class SpanStore {
    package let folder: StoreFolder
    private let lock: StoreLock
    private let connection: Connection
    private let gate: CommitGate
    private var nextSegmentID: Int64 = 1
    package private(set) var storedSpans: Int64 = 0
    private var lastFoldUnixNano: Int64 = 0

    private let insertSegment: Statement
    private let insertStream: Statement
    private let derivations: DerivationTables

    /// Opens or creates the store in a folder, takes its lock and checks that commits are durable.
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
            derivations = try DerivationTables(connection)
            nextSegmentID = try connection.integer("SELECT coalesce(max(id), 0) + 1 FROM segment") ?? 1
            storedSpans = try connection.integer("SELECT coalesce(sum(span_count), 0) FROM segment") ?? 0
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

    // MARK: Commit

    /// Makes a segment and derivation rows durable in one transaction; gives what `SpanPresence` is to be told of it.
    @discardableResult
    package func commit(
        _ segment: EncodedSegment?, _ rows: DerivationRows, nowUnixNano: Int64
    ) throws(StoreError) -> CommittedSegment? {
        let id = nextSegmentID
        let folds = derivations.shouldFold(rows, lastFoldUnixNano: lastFoldUnixNano, nowUnixNano: nowUnixNano)
        if segment == nil && rows.isEmpty && !folds { return nil }
        do throws(SQLiteError) {
            let written = try gate.whileCheckpointsWait { () throws(SQLiteError) in
                try connection.transaction { () throws(SQLiteError) in
                    if let segment { try insert(segment, id: id) }
                    return try derivations.write(rows, folds: folds)
                }
            }
            derivations.didCommit(written)
        } catch {
            throw .database(error)
        }
        if folds { lastFoldUnixNano = nowUnixNano }
        guard let segment else { return nil }
        storedSpans += Int64(segment.spanCount)
        nextSegmentID += 1
        return CommittedSegment(id: id, traceFilter: segment.traceFilter)
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

    /// Empties the write-ahead log into the file, so that the file alone is the whole store. For the end; readers may prevent it.
    package func emptyLog() {
        sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    }
}
