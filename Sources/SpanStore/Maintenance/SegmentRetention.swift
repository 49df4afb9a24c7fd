import SQLite
import TelemetryModel

/// Lets old segments go, and gives the space back to the file system.
///
/// A deletion moves the retention floor in the same transaction: spans that ended at or before it are refused from then on, so that
/// one that was deleted cannot come again and be counted twice. Counters do not change.
package final class SegmentRetention {
    package struct Removed: Equatable, Sendable {
        package var segments = 0
        package var spans: Int64 = 0
        package var logRecords: Int64 = 0
        package var bytes: Int64 = 0
    }

    /// Segments that one transaction deletes.
    private static let segmentsPerTransaction = 64
    /// Log segments that one transaction deletes: their pages are walked one by one.
    private static let logSegmentsPerTransaction = 8
    /// Pages that one transaction gives back: 1 MiB.
    private static let pagesPerTransaction = 64
    /// Free pages that stay in the file for what comes next: 32 MiB, or a tenth of it.
    private static let freePagesKept: Int64 = 2_048
    /// Deleting for want of room makes this share of the limit free, so that it is not done for every commit.
    private static let bytesShare: Int64 = 20
    /// Edges, and openings, of breakers that are kept.
    private static let breakerRowsMax = 1_000_000
    private static let breakerRowsPerTransaction = 1_000
    /// The clock is saved when it has moved by this much.
    private static let clockSaveNanoseconds: Int64 = 3_600 * 1_000_000_000

    /// Keys in `meta` of the sightings of `BelievedReceipts`.
    private static let receiptsKey = "retention_receipts"
    private static let logReceiptsKey = "retention_log_receipts"

    private let maintenance: StoreMaintenance
    private var clock: RetentionClock?
    private var receipts: BelievedReceipts
    private var logReceipts: BelievedReceipts
    private var savedClock: Int64?
    private let logTables: LogTables
    private let deleteSegment: Statement
    package private(set) var removed = Removed()
    /// The targets of forwarding that hold what should have gone for want of room; none when enough could go.
    package private(set) var holdingTargets: [String] = []

    package init(_ maintenance: StoreMaintenance) throws(StoreError) {
        self.maintenance = maintenance
        logTables = LogTables(maintenance.connection)
        do {
            deleteSegment = try maintenance.connection.prepare("DELETE FROM segment WHERE id = ?1", persistent: true)
            let connection = maintenance.connection
            savedClock = try connection.integer("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'retention_clock_unix_nano'")
                .flatMap { $0 >= BelievedReceipts.earliestUnixNano ? $0 : nil }
            func receipts(_ key: String) throws(SQLiteError) -> BelievedReceipts {
                BelievedReceipts(text: try connection.text("SELECT value FROM meta WHERE key = '\(key)'") ?? "")
            }
            self.receipts = try receipts(Self.receiptsKey)
            logReceipts = try receipts(Self.logReceiptsKey)
        } catch {
            throw .database(error)
        }
    }

    /// One pass over the limits; to be called once a minute.
    package func run(_ limits: RetentionLimits, nowUnixNano: Int64) throws(StoreError) {
        do throws(SQLiteError) {
            // While the clock is not set, nothing has an age.
            if nowUnixNano >= BelievedReceipts.earliestUnixNano {
                let clock = try advance(to: nowUnixNano)
                try believe(nowUnixNano)
                let (cut, overflow) = clock.subtractingReportingOverflow(limits.age ?? .max)
                if limits.age != nil && !overflow {
                    try drop(RetentionPlan.aged(free(entries(nowUnixNano)), cut: cut))
                    try drop(LogRetentionPlan.aged(free(logEntries(nowUnixNano)), cut: cut))
                    try dropBreakerRows(endedBefore: cut)
                }
            }
            if let bytes = limits.bytes {
                let excess = try usedBytes() - bytes
                holdingTargets = []
                if excess > 0 {
                    let spans = try free(entries(nowUnixNano))
                    let share = LogRetentionPlan.oldest(
                        try free(logEntries(nowUnixNano)), beside: spans, bytes: excess + bytes / Self.bytesShare)
                    try drop(share.logs)
                    try drop(RetentionPlan.oldest(spans, bytes: share.spanBytes))
                    if try usedBytes() > bytes { holdingTargets = try ForwardTables.holdingTargets(maintenance.connection) }
                }
            }
            try giveBack()
        } catch {
            throw .database(error)
        }
    }

    /// Deletes the segments all of whose spans ended at or before a time, and refuses such spans from then on.
    package func dropSegments(endedAtOrBefore cut: Int64, nowUnixNano: Int64) throws(StoreError) -> Removed {
        do throws(SQLiteError) {
            let before = removed
            try drop(RetentionPlan.ended(entries(nowUnixNano), cut: cut))
            try drop(LogRetentionPlan.ended(maintenance.logs.entries, cut: cut))
            try giveBack()
            return Removed(
                segments: removed.segments - before.segments, spans: removed.spans - before.spans,
                logRecords: removed.logRecords - before.logRecords, bytes: removed.bytes - before.bytes)
        } catch {
            throw .database(error)
        }
    }

    /// The segments that may go, with the receipts that are believed.
    private func entries(_ nowUnixNano: Int64) -> [SegmentLedger.Entry] {
        var entries = maintenance.ledger.settledEntries
        receipts.correct(&entries, nowUnixNano: nowUnixNano, id: \.id, received: \.receivedMaximum)
        return entries
    }

    /// Those of the segments that no target of forwarding holds. An operator's `prune` does not ask.
    private func free(_ entries: [SegmentLedger.Entry]) throws(SQLiteError) -> [SegmentLedger.Entry] {
        guard let held = try ForwardTables.held(.traces, maintenance.connection) else { return entries }
        return entries.filter { $0.endOrdinal <= held }
    }

    private func free(_ entries: [LogLedger.Entry]) throws(SQLiteError) -> [LogLedger.Entry] {
        guard let held = try ForwardTables.held(.logs, maintenance.connection) else { return entries }
        return entries.filter { $0.endOrdinal <= held }
    }

    private func logEntries(_ nowUnixNano: Int64) -> [LogLedger.Entry] {
        var entries = maintenance.logs.entries
        logReceipts.correct(&entries, nowUnixNano: nowUnixNano, id: \.id, received: \.receivedMaximum)
        return entries
    }

    /// Takes note of receipts that cannot be right, for good.
    private func believe(_ nowUnixNano: Int64) throws(SQLiteError) {
        let before = (receipts, logReceipts)
        _ = entries(nowUnixNano)
        _ = logEntries(nowUnixNano)
        guard receipts != before.0 || logReceipts != before.1 else { return }
        try maintenance.prepare { () throws(SQLiteError) in
            try maintenance.set(Self.receiptsKey, receipts.text)
            try maintenance.set(Self.logReceiptsKey, logReceipts.text)
        }
    }

    private func advance(to nowUnixNano: Int64) throws(SQLiteError) -> Int64 {
        var current = clock ?? RetentionClock(unixNano: savedClock ?? nowUnixNano)
        current.advance(to: nowUnixNano)
        clock = current
        if savedClock.map({ abs($0 - current.unixNano) >= Self.clockSaveNanoseconds }) ?? true {
            try maintenance.prepare { () throws(SQLiteError) in try maintenance.set("retention_clock_unix_nano", current.unixNano)
            }
            savedClock = current.unixNano
        }
        return current.unixNano
    }

    private func drop(_ choice: RetentionPlan.Choice) throws(SQLiteError) {
        guard !choice.ids.isEmpty else { return }
        let ledger = maintenance.ledger
        let floor = max(choice.floorUnixNano, ledger.retentionFloorUnixNano ?? .min)
        let wanted = Set(choice.ids)
        let doomed = ledger.entries.filter { wanted.contains($0.id) }
        // Refused before the first is gone, so that none can come in between.
        ledger.setRetentionFloor(floor)
        for start in stride(from: 0, to: doomed.count, by: Self.segmentsPerTransaction) {
            let batch = doomed[start..<min(start + Self.segmentsPerTransaction, doomed.count)]
            try maintenance.commit(
                { () throws(SQLiteError) in
                    try maintenance.set(StoreMaintenance.floorKey, floor)
                    try maintenance.set(StoredOrdinals.spansKey, ledger.nextOrdinal)
                    try maintenance.noteDropped(received: batch.reduce(.min) { max($0, $1.receivedMaximum) })
                    for entry in batch {
                        try deleteSegment.run(binding: entry.id)
                        try maintenance.leave(entry.streamSet)
                    }
                }, then: { ledger.remove(Set(batch.map(\.id))) })
            removed.segments += batch.count
            removed.spans += batch.reduce(0) { $0 + Int64($1.spanCount) }
            removed.bytes += batch.reduce(0) { $0 + Int64($1.storedBytes) }
        }
        try maintenance.deleteLeftovers()
    }

    /// Lets log segments go; they have no floor.
    private func drop(_ doomed: [LogLedger.Entry]) throws(SQLiteError) {
        for start in stride(from: 0, to: doomed.count, by: Self.logSegmentsPerTransaction) {
            let batch = doomed[start..<min(start + Self.logSegmentsPerTransaction, doomed.count)]
            try maintenance.commit(
                { () throws(SQLiteError) in
                    try maintenance.noteDropped(received: batch.reduce(.min) { max($0, $1.receivedMaximum) })
                    try maintenance.set(StoredOrdinals.logsKey, maintenance.logs.nextOrdinal)
                    for entry in batch { try logTables.delete(entry.id) }
                }, then: { maintenance.logs.remove(Set(batch.map(\.id))) })
            removed.segments += batch.count
            removed.logRecords += batch.reduce(0) { $0 + $1.recordCount }
            removed.bytes += batch.reduce(0) { $0 + $1.storedBytes }
        }
    }

    /// Lets the edges and openings of breakers go with the spans that they came from.
    private func dropBreakerRows(endedBefore cut: Int64) throws(SQLiteError) {
        for (table, time) in [("breaker_transition", "time_unix_nano"), ("breaker_opening", "until_unix_nano")] {
            let oldest = "(SELECT max(id) FROM \(table)) - \(Self.breakerRowsMax)"
            let doomed = """
                SELECT id FROM \(table) WHERE id <= \(oldest) OR \(time) < \(cut) LIMIT \(Self.breakerRowsPerTransaction)
                """
            while try maintenance.connection.integer("SELECT count(*) FROM (\(doomed))") ?? 0 > 0 {
                try maintenance.prepare { () throws(SQLiteError) in
                    try maintenance.connection.execute("DELETE FROM \(table) WHERE id IN (\(doomed))")
                }
            }
        }
    }

    // MARK: Space

    private func pragma(_ name: String) throws(SQLiteError) -> Int64 {
        try maintenance.connection.integer("PRAGMA \(name)") ?? 0
    }

    private func usedBytes() throws(SQLiteError) -> Int64 {
        (try pragma("page_count") - pragma("freelist_count")) * (try pragma("page_size"))
    }

    /// Makes the file shorter, a little at a time, when much of it is free.
    private func giveBack() throws(SQLiteError) {
        while true {
            let free = try pragma("freelist_count")
            guard free > max(Self.freePagesKept, try pragma("page_count") / 10) else { return }
            try maintenance.prepare { () throws(SQLiteError) in
                try maintenance.connection.execute("PRAGMA incremental_vacuum(\(Self.pagesPerTransaction))")
            }
            guard try pragma("freelist_count") < free else { return }
        }
    }
}
