package import SQLite
package import SegmentFormat
import TelemetryModel

/// What was committed, read back to rebuild the derivations: by the writer at its start, and by commands beside it.
package struct SpanHistory {
    private let connection: Connection

    package init(_ connection: Connection) {
        self.connection = connection
    }

    /// The history in a data file that is not in a folder of its own, such as a backup.
    package static func reading(path: String) throws(StoreError) -> SpanHistory {
        do {
            let connection = try Connection.reading(path)
            try StoreSettings.checkOwnership(connection)
            try StoreSettings.checkVersion(connection)
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

    /// Ids of the segments, newest first, with how many ordinals each stands for (that of its spans, and of spans that were forgotten) and
    /// the latest time at which one of its spans was received.
    package func segmentsNewestFirst() throws(StoreError) -> [(id: Int64, ordinalCount: Int64, receivedMaximumUnixNano: Int64)] {
        try translated { () throws(SQLiteError) in
            let count = try StoredOrdinals.count(of: "segment", connection)
            let statement = try connection.prepare("SELECT id, \(count), received_max FROM segment ORDER BY id DESC")
            var segments: [(Int64, Int64, Int64)] = []
            while try statement.step() { segments.append((statement.integer(0), statement.integer(1), statement.integer(2))) }
            return segments
        }
    }

    /// The spans of a stored segment that a restoration of the derivations reads again, in the order of arrival, each with its
    /// place in that order: all from a place on, and of those before it the latest attempts, and what may tell of a call
    /// (docs/metrics.md 2.12).
    ///
    /// - Parameters:
    ///   - first: the place of the first attempt that is wanted.
    ///   - unsettled: the place from which on all are wanted.
    ///   - attemptsMax: how many attempts before that are wanted.
    package func batch(
        ofSegment id: Int64, from first: Int, unsettledFrom unsettled: Int, attemptsMax: Int
    ) throws(StoreError) -> (batch: StoredBatch, places: [Int]) {
        do {
            var attemptsLeft = attemptsMax
            let segment = try open(id)
            let outcome = try segment.column(.derived, "outcome")
            let telling = try Self.tellingColumns.compactMap { try segment.column(.derived, $0) }
            let workflow = try segment.column(.derived, "workflow_name")
            let parent = try segment.column(.fixed, FixedColumn.parentSpanID)
            let arrivals = try StoredBatch.arrivals(segment)
            var wanted: [(row: Int, place: Int)] = []
            for (row, place) in arrivals.reversed() {
                if place < first { break }
                if place < unsettled {
                    if attemptsLeft > 0, let outcome, outcome.position(row) >= 0 {
                        attemptsLeft -= 1
                    } else if !telling.contains(where: { $0.position(row) >= 0 }) {
                        // Roots tell the workflow of their traces.
                        guard let workflow, workflow.position(row) >= 0, parent?.integer(row) == nil else { continue }
                    }
                }
                wanted.append((row, place))
            }
            wanted.reverse()
            return (try StoredBatch(segment, rows: wanted.map(\.row)), wanted.map(\.place))
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// The spans of a stored segment that were received after a time, in the order of arrival.
    package func batch(ofSegment id: Int64, receivedAfter time: Int64) throws(StoreError) -> StoredBatch {
        do {
            let segment = try open(id)
            guard let received = try segment.column(.fixed, FixedColumn.received) else {
                throw SegmentError.damaged("no receipts")
            }
            let rows = try StoredBatch.rowsByArrival(segment).filter { received.integer($0) ?? 0 > time }
            return try StoredBatch(segment, rows: rows)
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// Columns whose values make a span tell of a call, though it be no attempt.
    private static let tellingColumns = ["tokens", "cache_hit", "protocol_method", "tells_parent", "may_be_told", "told_by_log"]

    /// How many spans of a segment are attempts.
    package func attemptCount(ofSegment id: Int64) throws(StoreError) -> Int {
        do {
            return try open(id).directory.column(.derived, "outcome")?.valueCount ?? 0
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    private func open(_ id: Int64) throws -> SegmentReader {
        guard let segment = try SegmentLoader(connection).open(id) else {
            throw SegmentError.damaged("segment \(id) is missing")
        }
        return segment
    }

    /// How many log records are stored.
    package func logRecords() throws(StoreError) -> Int {
        try translated { () throws(SQLiteError) in
            guard try LogTables.exist(connection) else { return 0 }
            return Int(try connection.integer("SELECT coalesce(sum(record_count), 0) FROM log_segment") ?? 0)
        }
    }

    /// How many segments, and spans in them, ended at or before a time as a whole, without those of the last spans that are not
    /// settled: what `SegmentRetention.dropSegments` would delete.
    package func segments(
        endingAtOrBefore bound: Int64, unsettledSpans: Int64
    ) throws(StoreError) -> (segments: Int64, spans: Int64) {
        try translated { () throws(SQLiteError) in
            let ordinals = try StoredOrdinals.count(of: "segment", connection)
            let statement = try connection.prepare("SELECT span_count, \(ordinals), \(SegmentStatistics.columns) FROM segment ORDER BY id DESC")
            var later: Int64 = 0
            var found: (segments: Int64, spans: Int64) = (0, 0)
            while try statement.step() {
                if later >= unsettledSpans && SegmentStatistics(statement, from: 2).latestMaximum <= bound {
                    found.segments += 1
                    found.spans += statement.integer(0)
                }
                later += statement.integer(1)
            }
            return found
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
            let segment = try SegmentLoader(connection).open(id)
            return try segment.map { try StoredBatch($0, rows: StoredBatch.rowsByArrival($0)) }
        } catch {
            throw SpanStore.storeError(error)
        }
    }
}
