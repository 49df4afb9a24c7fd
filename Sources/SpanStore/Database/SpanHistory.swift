import SQLite
import TelemetryModel

/// What was committed, read back to rebuild the derivations: by the writer at its start, and by commands beside it.
package struct SpanHistory {
    private let connection: Connection

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// The history in a data file that is not in a folder of its own, such as a backup.
    package static func reading(path: String) throws(StoreError) -> SpanHistory {
        do {
            let connection = try Connection.reading(path)
            try StoreSettings.checkOwnership(connection)
            return SpanHistory(connection)
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// Runs `body` on one state of the database, whatever is committed meanwhile.
    package func snapshot<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
        if connection.isInTransaction { return try body() }
        try translated { () throws(SQLiteError) in try connection.execute("BEGIN") }
        do {
            let result = try body()
            try translated { () throws(SQLiteError) in try connection.execute("COMMIT") }
            return result
        } catch {
            // The transaction only read: there is nothing to lose, and the first error is the one to tell.
            try? connection.execute("ROLLBACK")
            throw error
        }
    }

    private func translated<Result>(_ body: () throws(SQLiteError) -> Result) throws(StoreError) -> Result {
        do {
            return try body()
        } catch {
            throw .database(error)
        }
    }

    /// All derivation rows but the transitions, in the order in which they were written.
    package func derivations() throws(StoreError) -> DerivationRows {
        try translated { () throws(SQLiteError) in try DerivationTables.read(connection) }
    }

    /// Ids of the segments, newest first, with the latest time at which one of their spans was received.
    package func segmentsNewestFirst() throws(StoreError) -> [(id: Int64, spanCount: Int, receivedMaximumUnixNano: Int64)] {
        try translated { () throws(SQLiteError) in
            let statement = try connection.prepare("SELECT id, span_count, received_max FROM segment ORDER BY id DESC")
            var segments: [(Int64, Int, Int64)] = []
            while try statement.step() {
                segments.append((statement.integer(0), Int(statement.integer(1)), statement.integer(2)))
            }
            return segments
        }
    }

    /// The spans of a stored segment that a restoration of the derivations reads again, in the order of arrival: all that were
    /// received after `watermark`, and of those before it the latest attempts.
    ///
    /// - Parameter attemptsMax: how many attempts before the watermark are wanted.
    package func batch(
        ofSegment id: Int64, receivedAfter horizon: Int64, watermark: Int64, attemptsMax: Int
    ) throws(StoreError) -> StoredBatch {
        do {
            var attemptsLeft = attemptsMax
            let segment = try open(id)
            guard let received = try segment.column(.fixed, FixedColumn.received) else {
                throw SegmentError.damaged("no receipts")
            }
            let outcome = try segment.column(.derived, "outcome")
            var rows: [Int] = []
            for row in try StoredBatch.rowsByArrival(segment).reversed() {
                let time = received.integer(row) ?? 0
                guard time > horizon else { continue }
                if time <= watermark {
                    guard attemptsLeft > 0, let outcome, outcome.position(row) >= 0 else { continue }
                    attemptsLeft -= 1
                }
                rows.append(row)
            }
            return try StoredBatch(segment, rows: rows.reversed())
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// How many spans of a segment are attempts.
    package func attemptCount(ofSegment id: Int64) throws(StoreError) -> Int {
        do {
            return try open(id).directory.column(.derived, "outcome")?.valueCount ?? 0
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    private func open(_ id: Int64) throws -> SegmentReader {
        guard let segment = try SegmentCatalog(connection).open(id) else {
            throw SegmentError.damaged("segment \(id) is missing")
        }
        return segment
    }

    /// How many segments, and spans in them, ended at or before a time as a whole, and were received up to another: what
    /// `SegmentRetention.dropSegments` would delete.
    package func segments(
        endingAtOrBefore bound: Int64, receivedAtOrBefore received: Int64
    ) throws(StoreError) -> (segments: Int64, spans: Int64) {
        try translated { () throws(SQLiteError) in
            let statement = try connection.prepare(
                "SELECT count(*), total(span_count) FROM segment WHERE end_max <= ?1 AND received_max <= ?2")
            try statement.bind(1, bound)
            try statement.bind(2, received)
            guard try statement.step() else { return (0, 0) }
            return (statement.integer(0), statement.integer(1))
        }
    }

    /// The spans of a stored segment as a batch again, with the time at which each was received.
    package func batch(ofSegment id: Int64) throws(StoreError) -> StoredBatch {
        guard let batch = try batchIfStored(ofSegment: id) else { throw .segment(.damaged("segment \(id) is missing")) }
        return batch
    }

    /// The same; `nil` when there is no such segment.
    package func batchIfStored(ofSegment id: Int64) throws(StoreError) -> StoredBatch? {
        do {
            let segment = try SegmentCatalog(connection).open(id)
            return try segment.map { try StoredBatch($0, rows: StoredBatch.rowsByArrival($0)) }
        } catch {
            throw SpanStore.storeError(error)
        }
    }
}
