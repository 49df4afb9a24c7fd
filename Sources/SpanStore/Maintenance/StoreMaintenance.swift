import SQLite
import SegmentFormat

/// The connection on which segments are merged and deleted, beside the writer and in turns with it. Used by one thread.
package final class StoreMaintenance {
    let connection: Connection
    package let ledger: SegmentLedger
    package let logs: LogLedger
    package let folder: StoreFolder
    let gate: CommitGate
    /// The longest that commits had to wait for a transaction of this connection.
    private(set) var longestHold: Duration = .zero

    private let setMeta: Statement
    private let insertLeftover: Statement
    private let deleteLeftover: Statement
    private let deleteStreams: Statement

    package init(folder: StoreFolder, gate: CommitGate, ledger: SegmentLedger, logs: LogLedger) throws(StoreError) {
        self.folder = folder
        self.gate = gate
        self.ledger = ledger
        self.logs = logs
        do {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
            try StoreSettings.prepareMaintenance(connection)
            setMeta = try connection.prepare(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                persistent: true)
            insertLeftover = try connection.prepare("INSERT INTO segment_leftover (stream_set) VALUES (?1)", persistent: true)
            deleteLeftover = try connection.prepare("DELETE FROM segment_leftover WHERE stream_set = ?1", persistent: true)
            deleteStreams = try connection.prepare("DELETE FROM segment_stream WHERE id BETWEEN ?1 AND ?2", persistent: true)
        } catch {
            throw .database(error)
        }
    }

    /// A transaction that is on the disk when this returns. `then` runs before the next commit.
    func commit(_ body: () throws(SQLiteError) -> Void, then: () -> Void) throws(SQLiteError) {
        try connection.execute("PRAGMA synchronous = FULL")
        try hold(body, then: then)
    }

    /// A transaction that nothing depends on yet: it need not be on the disk when it is committed.
    func prepare(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
        try connection.execute("PRAGMA synchronous = NORMAL")
        try hold(body, then: {})
    }

    private func hold(_ body: () throws(SQLiteError) -> Void, then: () -> Void) throws(SQLiteError) {
        try gate.whileCheckpointsWait { () throws(SQLiteError) in
            let start = ContinuousClock.now
            defer { longestHold = max(longestHold, ContinuousClock.now - start) }
            try connection.transaction(body)
            then()
        }
    }

    // MARK: Notes

    /// Sets a key of `meta` inside a transaction.
    func set(_ key: String, _ value: String) throws(SQLiteError) {
        try setMeta.bind(1, key)
        try setMeta.bind(2, value)
        try setMeta.run()
    }

    func set(_ key: String, _ value: Int64) throws(SQLiteError) { try set(key, "\(value)") }

    /// Says inside a transaction that spans or log records received until then are gone on purpose (`AcknowledgedMark`).
    func noteDropped(received: Int64) throws(SQLiteError) {
        let known =
            try connection.integer("SELECT CAST(value AS INTEGER) FROM meta WHERE key = '\(AcknowledgedMark.droppedKey)'") ?? 0
        if received > known { try set(AcknowledgedMark.droppedKey, received) }
    }

    /// Moves the retention floor up: spans that ended at or before it are refused from then on.
    func refuse(endedAtOrBefore bound: Int64) throws(SQLiteError) {
        guard bound > ledger.retentionFloorUnixNano ?? .min else { return }
        ledger.setRetentionFloor(bound)
        try commit({ () throws(SQLiteError) in try set(Self.floorKey, bound) }, then: {})
    }

    /// The key in `meta` of the retention floor.
    static let floorKey = "retention_floor_unix_nano"

    // MARK: Leftovers

    /// Says inside a transaction that a stream set belongs to no segment.
    func leave(_ set: Int64) throws(SQLiteError) {
        try insertLeftover.run(binding: set)
    }

    /// Says inside a transaction that a segment has the stream set now.
    func keep(_ set: Int64) throws(SQLiteError) {
        try deleteLeftover.run(binding: set)
    }

    /// Deletes streams that no segment has, a few segments' at a time.
    func deleteLeftovers() throws(SQLiteError) {
        while true {
            let select = try connection.prepare(
                "SELECT stream_set FROM segment_leftover LIMIT \(MergeLimits.deletionsPerTransaction)")
            var sets: [Int64] = []
            while try select.step() { sets.append(select.integer(0)) }
            if sets.isEmpty { return }
            try prepare { () throws(SQLiteError) in
                for set in sets {
                    try deleteStreams.bind(1, set &* Int64(SegmentFormat.streamsMax))
                    try deleteStreams.bind(2, set &* Int64(SegmentFormat.streamsMax) &+ Int64(SegmentFormat.streamsMax - 1))
                    try deleteStreams.run()
                    try keep(set)
                }
            }
        }
    }
}

extension Statement {
    /// Runs a statement with one number.
    func run(binding number: Int64) throws(SQLiteError) {
        try bind(1, number)
        try run()
    }
}
