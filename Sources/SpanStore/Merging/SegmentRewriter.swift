import SQLite
import SegmentFormat
import TelemetryModel

/// Puts a new segment in the place of those that it is made of, on the maintenance connection and its thread.
///
/// The new streams are written beside the old ones in several small transactions, named in `segment_leftover`; then one short transaction
/// replaces the rows of `segment`, and the old streams become the leftovers. A crash at any point leaves the one or the other.
final class SegmentRewriter {
    private let maintenance: StoreMaintenance
    private let compressor = ZstandardCompressor(level: 3)

    private let insertStream: Statement
    private let insertSegment: Statement
    private let deleteSegments: Statement

    init(_ maintenance: StoreMaintenance) throws(StoreError) {
        self.maintenance = maintenance
        do {
            insertStream = try maintenance.connection.prepare(
                "INSERT INTO segment_stream (id, data) VALUES (?1, ?2)", persistent: true)
            insertSegment = try maintenance.connection.prepare(SegmentRow.insertion, persistent: true)
            deleteSegments = try maintenance.connection.prepare(
                "DELETE FROM segment WHERE id BETWEEN ?1 AND ?2", persistent: true)
        } catch {
            throw .database(error)
        }
    }

    /// Nothing was replaced, because somebody wants to stop. What was written is a leftover.
    struct GivenUp: Error {}

    /// The segment that came out.
    struct Replacement {
        var spanCount: Int
        var storedBytes: Int
    }

    /// Replaces segments that follow each other, by one of the rows of them that are taken. It keeps the id of the last, and stands for the
    /// ordinals of all.
    ///
    /// - Parameters:
    ///   - sources: the segments as the ledger lists them.
    ///   - inputs: the same, with the rows that are taken: one at least.
    ///   - isStopping: asked at each column.
    ///   - also: what else is to be written in the transaction that replaces them.
    func replace(
        _ sources: ArraySlice<SegmentLedger.Entry>, by inputs: [MergeInput], _ isStopping: () -> Bool,
        also: () throws(SQLiteError) -> Void = {}
    ) throws -> Replacement {
        let set = maintenance.ledger.takeNumber()
        try maintenance.prepare { () throws(SQLiteError) in try maintenance.leave(set) }
        let (encoded, storedBytes) = try write(inputs, set, isStopping)
        try replace(sources, by: encoded, storedBytes, set, also)
        return Replacement(spanCount: encoded.spanCount, storedBytes: storedBytes)
    }

    private func write(_ inputs: [MergeInput], _ set: Int64, _ isStopping: () -> Bool) throws -> (
        EncodedSegment, storedBytes: Int
    ) {
        var waiting: [(number: Int, frame: [UInt8])] = []
        var waitingBytes = 0
        var total = 0
        var merge = SegmentMerge(inputs, streamSet: set, compressor: compressor)
        var encoded = try merge.encode { number, frame in
            if isStopping() { throw GivenUp() }
            waiting.append((number, frame))
            waitingBytes += frame.count
            total += frame.count
            guard waitingBytes >= MergeLimits.transactionBytes else { return }
            try insert(waiting, set)
            waiting.removeAll(keepingCapacity: true)
            waitingBytes = 0
        }
        try insert(waiting, set)
        let storedBytes = total + encoded.storedBytes
        encoded.builtBytes = total
        return (encoded, storedBytes)
    }

    private func insert(_ streams: [(number: Int, frame: [UInt8])], _ set: Int64) throws {
        try maintenance.prepare { () throws(SQLiteError) in
            for (number, frame) in streams {
                try insertStream.bind(1, set &* Int64(SegmentFormat.streamsMax) &+ Int64(number))
                try insertStream.bind(2, frame)
                try insertStream.run()
            }
        }
    }

    private func replace(
        _ sources: ArraySlice<SegmentLedger.Entry>, by encoded: EncodedSegment, _ storedBytes: Int, _ set: Int64,
        _ also: () throws(SQLiteError) -> Void
    ) throws {
        guard let first = sources.first, let last = sources.last else { return }
        let ids = first.id...last.id
        let ordinalCount = last.endOrdinal &- first.firstOrdinal
        let entry = SegmentLedger.Entry(
            id: last.id, streamSet: set, firstOrdinal: first.firstOrdinal, ordinalCount: ordinalCount,
            spanCount: encoded.spanCount,
            storedBytes: storedBytes, latestMaximum: encoded.statistics.latestMaximum,
            receivedMaximum: encoded.statistics.receivedMaximum,
            filter: encoded.traceFilter)
        try maintenance.commit(
            { () throws(SQLiteError) in
                try deleteSegments.bind(1, ids.lowerBound)
                try deleteSegments.bind(2, ids.upperBound)
                try deleteSegments.run()
                guard maintenance.connection.changes == sources.count else {
                    throw SQLiteError(
                        extendedCode: 4, message: "segments changed while they were written again", operation: "replace")
                }
                try SegmentRow.insert(
                    encoded, id: last.id, firstOrdinal: first.firstOrdinal, ordinalCount: ordinalCount, with: insertSegment)
                try maintenance.keep(set)
                for source in sources { try maintenance.leave(source.streamSet) }
                try also()
            }, then: { maintenance.ledger.replace(ids, with: entry) })
    }
}
