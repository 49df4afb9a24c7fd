import SQLite

extension SpanStore {
    /// What `dropSegments` did.
    package struct Dropped: Sendable {
        package var segments = 0
        package var spans: Int64 = 0
        package var bytes: Int64 = 0
    }

    /// Deletes the segments all of whose spans ended at or before `bound`, in one transaction, and gives their pages back to the file
    /// system. Spans that ended by then are refused from then on: nobody could tell any more whether they are new. Counters stay.
    ///
    /// - Parameter bound: nanoseconds since 1970.
    package func dropSegments(endingAtOrBefore bound: Int64) throws(StoreError) -> Dropped {
        var dropped = Dropped()
        var ids: Set<Int64> = []
        do {
            try gate.whileCheckpointsWait { () throws(SQLiteError) in
                try connection.transaction { () throws(SQLiteError) in
                    var receivedMaximum: Int64 = 0
                    let statement = try connection.prepare(
                        "SELECT id, span_count, stored_bytes, received_max FROM segment WHERE end_max <= ?1")
                    try statement.bind(1, bound)
                    while try statement.step() {
                        ids.insert(statement.integer(0))
                        dropped.spans += statement.integer(1)
                        dropped.bytes += statement.integer(2)
                        receivedMaximum = max(receivedMaximum, statement.integer(3))
                    }
                    dropped.segments = ids.count
                    guard !ids.isEmpty else { return }
                    try delete(ids)
                    try raise("retention_floor_unix_nano", to: bound)
                    try raise(AcknowledgedMark.droppedKey, to: receivedMaximum)
                }
            }
            guard !ids.isEmpty else { return dropped }
            let vacuum = try connection.prepare("PRAGMA incremental_vacuum")
            try vacuum.run()
        } catch {
            throw Self.storeError(error)
        }
        identities.remove(ids)
        storedSpans -= dropped.spans
        retentionFloorUnixNano = max(retentionFloorUnixNano ?? bound, bound)
        return dropped
    }

    private func delete(_ ids: Set<Int64>) throws(SQLiteError) {
        let deleteSegment = try connection.prepare("DELETE FROM segment WHERE id = ?1")
        let deleteStreams = try connection.prepare("DELETE FROM segment_stream WHERE id >= ?1 AND id < ?2")
        for id in ids.sorted() {
            try deleteSegment.bind(1, id)
            try deleteSegment.run()
            try deleteStreams.bind(1, id * Int64(SegmentFormat.streamsMax))
            try deleteStreams.bind(2, (id + 1) * Int64(SegmentFormat.streamsMax))
            try deleteStreams.run()
        }
    }

    /// Sets a number in `meta` that never falls.
    private func raise(_ key: String, to value: Int64) throws(SQLiteError) {
        let statement = try connection.prepare(
            """
            INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE
            SET value = CAST(max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER)) AS TEXT)
            """)
        try statement.bind(1, key)
        try statement.bind(2, "\(value)")
        try statement.run()
    }
}
