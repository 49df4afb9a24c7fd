import SQLite

/// Merges small segments into large ones, on the maintenance connection and its thread.
///
/// A merge reads its inputs, writes the new streams beside them in several small transactions, and then, in one short one, replaces
/// the inputs' rows of `segment` by the new one. Until then nobody sees the new streams, and from then on nobody the old ones; the
/// table `segment_leftover` names those streams in both cases, and they are deleted in small transactions afterwards, or at the next
/// start. So a crash at any point loses and doubles nothing. Readers that began before go on in their snapshot.
///
/// Only the replacement is fsynced: it takes the log with all that was written before it to the disk.
package final class SegmentMerger {
    /// What merging has done since the start.
    package struct Progress: Sendable, Equatable {
        package var merges = 0
        package var segments = 0
        package var spans: Int64 = 0
        /// Bytes of the segments that went in.
        package var bytesRead: Int64 = 0
        /// Bytes of the segments that came out.
        package var bytesWritten: Int64 = 0
        /// The longest that commits had to wait for merging.
        package var longestHold: Duration = .zero
    }

    private let maintenance: StoreMaintenance
    private let ledger: SegmentLedger
    private let compressor = ZstandardCompressor(level: 3)
    /// Ids of segments that inflate to more than a merge may hold.
    private var oversize: Set<Int64> = []
    private var hasCleaned = false
    package private(set) var progress = Progress()

    private let insertStream: Statement
    private let insertSegment: Statement
    private let deleteSegments: Statement

    package init(_ maintenance: StoreMaintenance) throws(StoreError) {
        self.maintenance = maintenance
        ledger = maintenance.ledger
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

    /// A merge was given up because somebody wants to stop.
    private struct GivenUp: Error {}

    /// Merges once, or deletes what an unfinished merge left; `false` when there is nothing to do, or it was given up. Blocks on the
    /// disk.
    ///
    /// - Parameter isStopping: asked at each column; a merge is given up then, and what it wrote is deleted at the next start.
    package func runOnce(isStopping: () -> Bool = { false }) throws(StoreError) -> Bool {
        do {
            if !hasCleaned {
                try maintenance.deleteLeftovers()
                hasCleaned = true
            }
            guard let chosen = choice() else { return false }
            return try merge(chosen, isStopping)
        } catch is GivenUp {
            hasCleaned = false
            return false
        } catch {
            // What was begun is a leftover now.
            hasCleaned = false
            throw SpanStore.storeError(error)
        }
    }

    private func choice() -> [SegmentLedger.Entry]? {
        let entries = ledger.entries
        let candidates = entries.map {
            MergePlan.Candidate(
                id: $0.id, firstOrdinal: $0.firstOrdinal, spanCount: $0.spanCount, storedBytes: $0.storedBytes, isOversize: oversize.contains($0.id))
        }
        return MergePlan.choose(candidates).map { Array(entries[$0]) }
    }

    /// Merges the chosen segments, or as many of them as fit into memory.
    private func merge(_ chosen: [SegmentLedger.Entry], _ isStopping: () -> Bool) throws -> Bool {
        var inputs: [SegmentReader] = []
        var inflated = 0
        let catalog = SegmentCatalog(maintenance.connection)
        let loader = SegmentLoader(catalog)
        for entry in chosen {
            guard let input = try catalog.open(entry.id, loader) else { throw SegmentError.damaged("segment \(entry.id) is missing") }
            let bytes = input.directory.streamCounts.reduce(0, +)
            if inflated + bytes > MergeLimits.inflatedBytesMax {
                if inputs.count < 2 { oversize.insert(bytes > inflated ? entry.id : chosen[0].id) }
                break
            }
            inflated += bytes
            inputs.append(input)
        }
        guard inputs.count > 1, let first = inputs.first, let last = inputs.last else { return true }
        // As large as it may become: what comes later is merged without it.
        if inflated > MergeLimits.inflatedBytesMax / 2 { oversize.insert(last.id) }
        let sources = chosen.prefix(inputs.count)
        let set = ledger.takeNumber()
        try maintenance.prepare { () throws(SQLiteError) in try maintenance.leave(set) }
        let segment = try write(inputs, set, isStopping)
        try replace(first.id...last.id, by: segment, set, sources)
        progress.merges += 1
        progress.longestHold = maintenance.longestHold
        progress.segments += inputs.count
        progress.spans += Int64(segment.encoded.spanCount)
        progress.bytesRead += sources.reduce(0) { $0 + Int64($1.storedBytes) }
        progress.bytesWritten += Int64(segment.storedBytes)
        try maintenance.deleteLeftovers()
        return true
    }

    // MARK: Building

    private struct Built {
        var encoded: EncodedSegment
        var storedBytes: Int
    }

    private func write(_ inputs: [SegmentReader], _ set: Int64, _ isStopping: () -> Bool) throws -> Built {
        var waiting: [(number: Int, frame: [UInt8])] = []
        var waitingBytes = 0
        var total = 0
        var merge = SegmentMerge(inputs, streamSet: set, compressor: compressor)
        let encoded = try merge.encode { number, frame in
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
        return Built(encoded: encoded, storedBytes: total + encoded.storedBytes)
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

    // MARK: Replacing

    private func replace(
        _ ids: ClosedRange<Int64>, by segment: Built, _ set: Int64, _ sources: ArraySlice<SegmentLedger.Entry>
    ) throws {
        var encoded = segment.encoded
        let firstOrdinal = sources.first?.firstOrdinal ?? 0
        encoded.builtBytes = segment.storedBytes - encoded.storedBytes
        let entry = SegmentLedger.Entry(
            id: ids.upperBound, streamSet: set, firstOrdinal: firstOrdinal, spanCount: encoded.spanCount, storedBytes: segment.storedBytes,
            endMaximum: encoded.statistics.endMaximum, receivedMaximum: encoded.statistics.receivedMaximum,
            filter: encoded.traceFilter)
        try maintenance.commit(
            { () throws(SQLiteError) in
                try deleteSegments.bind(1, ids.lowerBound)
                try deleteSegments.bind(2, ids.upperBound)
                try deleteSegments.run()
                guard maintenance.connection.changes == sources.count else {
                    throw SQLiteError(extendedCode: 4, message: "segments changed while they were merged", operation: "merge")
                }
                try SegmentRow.insert(encoded, id: ids.upperBound, firstOrdinal: firstOrdinal, with: insertSegment)
                try maintenance.keep(set)
                for source in sources { try maintenance.leave(source.streamSet) }
            }, then: { ledger.replace(ids, with: entry) })
    }
}
