import SQLite

/// The connection on which segments are merged and deleted, beside the writer and in turns with it. Used by one thread.
package final class StoreMaintenance {
    let connection: Connection
    package let ledger: SegmentLedger
    package let logs: LogLedger
    private let gate: CommitGate
    /// The longest that commits had to wait for a transaction of this connection.
    private(set) var longestHold: Duration = .zero

    private let insertLeftover: Statement
    private let deleteLeftover: Statement
    private let deleteStreams: Statement

    package init(folder: StoreFolder, gate: CommitGate, ledger: SegmentLedger, logs: LogLedger) throws(StoreError) {
        self.gate = gate
        self.ledger = ledger
        self.logs = logs
        do {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
            try StoreSettings.prepareMaintenance(connection)
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
