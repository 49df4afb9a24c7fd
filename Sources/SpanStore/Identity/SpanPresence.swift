import SQLite
package import TelemetryModel

/// Knows which spans are stored, and reads what stands beside them. One owner: the thread that lets spans in. It reads on a connection
/// of its own, beside commits.
package final class SpanPresence {
    /// What is known of a span that wants in.
    package enum Answer: Sendable {
        case new
        /// Stored already, with the same content: a client sent it again.
        case identical
        /// Stored already with other content; the first stays, and the sender is told.
        case conflict
    }

    private let connection: Connection
    private let ledger: SegmentLedger
    private let gate: CommitGate
    private var identities = IdentityIndex()

    /// Learns which spans a store holds.
    package init(_ store: SpanStore) throws(StoreError) {
        ledger = store.ledger
        gate = store.gate
        do {
            connection = try Connection(path: store.folder.databasePath, access: .readOnly)
            try StoreSettings.prepareReader(connection)
            try identities.load(ledger.entries) { [connection] in try SegmentLoader(connection).open($0) }
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// Spans that ended at or before this are refused; set by retention. `nil` before the first deletion.
    package var retentionFloorUnixNano: Int64? { ledger.retentionFloorUnixNano }

    /// Says how many of the last spans the derivations still need, before the first commit says so.
    package func keepUnsettled(_ count: Int64) { ledger.setUnsettledSpans(count) }

    /// What was committed, for rebuilding the derivations.
    package var history: SpanHistory { SpanHistory(connection) }

    /// Whether the span is certainly new: it was neither stored nor asked for before. From then on it is known, so whoever asks must
    /// store it, or forget all that waits for the commit.
    @inline(__always)
    package func isCertainlyNew(_ span: SpanRecord) -> Bool {
        !identities.insert(span.identity)
    }

    /// What is known of a span that is not certainly new, exactly, over all that is stored.
    ///
    /// - Parameter pendingHash: the content hash of the span with this identity that waits for its commit, if there is one.
    package func answer(_ span: SpanRecord, pendingHash: UInt32?) throws(StoreError) -> Answer {
        do {
            let stored = try pendingHash ?? storedHash(span)
            guard let stored else { return .new }
            return stored == span.contentHash ? .identical : .conflict
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    private func storedHash(_ span: SpanRecord) throws -> UInt32? {
        do {
            return try lookUp(span)
        } catch is IdentityIndex.OutdatedSegments {
            // Segments were merged since the list was read. While the gate is held, list and file agree.
            return try gate.whileCheckpointsWait { try lookUp(span) }
        }
    }

    /// One state of the file for a segment's directory and its streams: merging may delete them in between.
    private func lookUp(_ span: SpanRecord) throws -> UInt32? {
        let entries = ledger.entries
        let result: Result<UInt32?, any Error> = try history.snapshot { () throws(StoreError) in
            Result { try identities.contentHash(span.identity, in: entries) { try SegmentLoader(connection).open($0) } }
        }
        return try result.get()
    }

    /// The price table as it stands.
    package func prices() throws(StoreError) -> PriceTable {
        do throws(SQLiteError) {
            return try AnnexReading.prices(connection)
        } catch {
            throw .database(error)
        }
    }

    /// Keeps memory bounded; to be called after a commit.
    package func settle() { identities.settle(ledger) }
}
