import SQLite
import SegmentFormat

/// Chooses log segments to merge: neighbours of about one size, so that a record is written again a few times and no more.
enum LogMergePlan {
    /// Segments below this many bytes of contents are merged, and none grows past it.
    static let targetBytes: Int64 = 16 << 20
    /// Records of a merged segment.
    static let recordsMax: Int64 = 1 << 17
    /// Fewer neighbours are left as they are.
    static let runMin = 8
    /// Segments that one merge takes, and one transaction deletes.
    static let runMax = 128
    /// Sizes up to which segments are taken for each other's likes, the smallest first.
    private static let steps: [Int64] = [targetBytes >> 10, targetBytes >> 7, targetBytes >> 5, targetBytes >> 3]

    /// The segments that should become one, in order; empty when there are none.
    static func next(_ entries: [LogLedger.Entry]) -> ArraySlice<LogLedger.Entry> {
        guard entries.count >= runMin else { return [] }
        for (step, limit) in steps.enumerated() {
            // What a run of likes comes to must be larger than each of them, or the same bytes would be written over and over.
            let sumMin = step == 0 ? 0 : limit * 2
            if let run = run(entries, limit: limit, sumMin: sumMin) { return entries[run] }
        }
        return []
    }

    private static func run(_ entries: [LogLedger.Entry], limit: Int64, sumMin: Int64) -> Range<Int>? {
        var start = 0
        while start < entries.count {
            var end = start
            var bytes: Int64 = 0
            var records: Int64 = 0
            var ordinals: Int64 = 0
            while end < entries.count, end - start < runMax, entries[end].contentBytes <= limit,
                bytes + entries[end].contentBytes <= targetBytes, records + entries[end].recordCount <= recordsMax,
                end == start || entries[end].firstOrdinal == entries[start].firstOrdinal &+ ordinals
            {
                bytes += entries[end].contentBytes
                records += entries[end].recordCount
                ordinals += entries[end].ordinalCount
                end += 1
            }
            if end - start >= runMin && bytes >= sumMin { return start..<end }
            start = max(end, start + 1)
        }
        return nil
    }
}

/// Merges small log segments into larger ones, in one transaction each.
package final class LogMerger {
    private let maintenance: StoreMaintenance
    private let tables: LogTables
    private var compressor: ZstandardCompressor?
    /// With as many segments nothing was found to merge.
    private var idleCount = 0

    package init(_ maintenance: StoreMaintenance) {
        self.maintenance = maintenance
        tables = LogTables(maintenance.connection)
    }

    /// Merges once; `false` when there is nothing to merge.
    package func runOnce() throws(StoreError) -> Bool {
        let entries = maintenance.logs.entries
        guard entries.count >= LogMergePlan.runMin, entries.count != idleCount else { return false }
        let run = LogMergePlan.next(entries)
        guard let first = run.first else {
            idleCount = entries.count
            return false
        }
        do {
            let segment = try merged(run)
            let ids = Set(run.map(\.id))
            let ordinals = run.reduce(0) { $0 + $1.ordinalCount }
            try maintenance.commit(
                { () throws(SQLiteError) in
                    for id in ids { try tables.delete(id) }
                    try tables.insert(segment, id: first.id, firstOrdinal: first.firstOrdinal, ordinalCount: ordinals)
                },
                then: {
                    maintenance.logs.replace(
                        ids,
                        with: LogLedger.Entry(segment, id: first.id, firstOrdinal: first.firstOrdinal, ordinalCount: ordinals))
                })
            return true
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    private func merged(_ run: ArraySlice<LogLedger.Entry>) throws -> EncodedLogSegment {
        var builder = LogSegmentBuilder()
        for entry in run {
            let facts = try LogTables.facts(of: entry.id, maintenance.connection)
            try builder.append(
                facts, contents: LogTables.contents(of: entry.id, maintenance.connection),
                firstPlace: entry.firstOrdinal - (run.first?.firstOrdinal ?? 0))
        }
        let compressor = compressor ?? ZstandardCompressor(level: 3)
        self.compressor = compressor
        return try builder.encoded(compressor.compress)
    }
}
