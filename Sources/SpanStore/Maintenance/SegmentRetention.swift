import SQLite

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
    /// The clock is saved when it has moved by this much.
    private static let clockSaveNanoseconds: Int64 = 3_600 * 1_000_000_000

    private let maintenance: StoreMaintenance
    private var clock: RetentionClock?
    private var savedClock: Int64?
    /// The latest receipt among the spans that were ever deleted: that they are gone is no loss (`AcknowledgedMark`).
    private var droppedReceived: Int64
    private let logTables: LogTables
    private let deleteSegment: Statement
    private let setMeta: Statement
    package private(set) var removed = Removed()

    package init(_ maintenance: StoreMaintenance) throws(StoreError) {
        self.maintenance = maintenance
        logTables = LogTables(maintenance.connection)
        do {
            deleteSegment = try maintenance.connection.prepare("DELETE FROM segment WHERE id = ?1", persistent: true)
            setMeta = try maintenance.connection.prepare(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                persistent: true)
            savedClock = try maintenance.connection.integer(
                "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'retention_clock_unix_nano'")
            droppedReceived =
                try maintenance.connection.integer(
                    "SELECT CAST(value AS INTEGER) FROM meta WHERE key = '\(AcknowledgedMark.droppedKey)'") ?? 0
        } catch {
            throw .database(error)
        }
    }

    /// One pass over the limits; to be called once a minute.
    ///
    /// - Parameter settleNanoseconds: what was received this late is still needed by the derivations and stays.
    package func run(_ limits: RetentionLimits, nowUnixNano: Int64, settleNanoseconds: Int64) throws(StoreError) {
        do throws(SQLiteError) {
            let clock = try advance(to: nowUnixNano)
            if let age = limits.age {
                let (cut, overflow) = clock.subtractingReportingOverflow(age)
                if !overflow {
                    try drop(RetentionPlan.aged(entries, cut: cut, settledUnixNano: settled(nowUnixNano, settleNanoseconds)))
                    try drop(LogRetentionPlan.aged(maintenance.logs.entries, cut: cut))
                }
            }
            if let bytes = limits.bytes {
                let excess = try usedBytes() - bytes
                if excess > 0 {
                    let share = LogRetentionPlan.oldest(
                        maintenance.logs.entries, beside: entries, bytes: excess + bytes / Self.bytesShare)
                    try drop(share.logs)
                    try drop(
                        RetentionPlan.oldest(
                            entries, bytes: share.spanBytes,
                            settledUnixNano: settled(nowUnixNano, settleNanoseconds)))
                }
            }
            try giveBack()
        } catch {
            throw .database(error)
        }
    }

    /// Deletes the segments all of whose spans ended at or before a time, and refuses such spans from then on.
    package func dropSegments(
        endedAtOrBefore cut: Int64, nowUnixNano: Int64, settleNanoseconds: Int64
    ) throws(StoreError) -> Removed {
        do throws(SQLiteError) {
            let before = removed
            try drop(RetentionPlan.ended(entries, cut: cut, settledUnixNano: settled(nowUnixNano, settleNanoseconds)))
            try drop(LogRetentionPlan.ended(maintenance.logs.entries, cut: cut))
            try giveBack()
            return Removed(
                segments: removed.segments - before.segments, spans: removed.spans - before.spans,
                logRecords: removed.logRecords - before.logRecords, bytes: removed.bytes - before.bytes)
        } catch {
            throw .database(error)
        }
    }

    private var entries: [SegmentLedger.Entry] { maintenance.ledger.entries }

    /// Receipts up to here are settled. They may be ahead of a wall clock that was set back.
    private func settled(_ nowUnixNano: Int64, _ settle: Int64) -> Int64 {
        let latest = max(nowUnixNano, maintenance.ledger.entries.last?.receivedMaximum ?? .min)
        let (settled, overflow) = latest.subtractingReportingOverflow(settle)
        return overflow ? .min : settled
    }

    private func advance(to nowUnixNano: Int64) throws(SQLiteError) -> Int64 {
        var current = clock ?? RetentionClock(unixNano: savedClock ?? nowUnixNano)
        current.advance(to: nowUnixNano)
        clock = current
        if savedClock.map({ abs($0 - current.unixNano) >= Self.clockSaveNanoseconds }) ?? true {
            try maintenance.prepare { () throws(SQLiteError) in try set("retention_clock_unix_nano", current.unixNano) }
            savedClock = current.unixNano
        }
        return current.unixNano
    }

    private func set(_ key: String, _ value: Int64) throws(SQLiteError) {
        try setMeta.bind(1, key)
        try setMeta.bind(2, "\(value)")
        try setMeta.run()
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
                    try set("retention_floor_unix_nano", floor)
                    try set(AcknowledgedMark.droppedKey, batch.reduce(droppedReceived) { max($0, $1.receivedMaximum) })
                    for entry in batch {
                        try deleteSegment.run(binding: entry.id)
                        try maintenance.leave(entry.streamSet)
                    }
                }, then: { ledger.remove(Set(batch.map(\.id))) })
            droppedReceived = batch.reduce(droppedReceived) { max($0, $1.receivedMaximum) }
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
            let received = batch.reduce(droppedReceived) { max($0, $1.receivedMaximum) }
            try maintenance.commit(
                { () throws(SQLiteError) in
                    try set(AcknowledgedMark.droppedKey, received)
                    for entry in batch { try logTables.delete(entry.id) }
                }, then: { maintenance.logs.remove(Set(batch.map(\.id))) })
            droppedReceived = received
            removed.segments += batch.count
            removed.logRecords += batch.reduce(0) { $0 + $1.recordCount }
            removed.bytes += batch.reduce(0) { $0 + $1.storedBytes }
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
