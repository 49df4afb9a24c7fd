import SQLite
package import TelemetryModel

/// Knows which spans are stored. One owner: the thread that lets spans in. It reads on a connection of its own, beside commits.
package final class SpanPresence {
    /// What is known of a span that wants in.
    package enum Answer: Sendable {
        case new
        /// Stored already, with the same content: a client sent it again.
        case identical
        /// Stored already with other content; the first stays.
        case conflict
    }

    private let connection: Connection
    private let catalog: SegmentCatalog
    private var identities = IdentityIndex()
    /// Spans that ended at or before this are refused; set by retention. `nil` before the first deletion.
    package private(set) var retentionFloorUnixNano: Int64?

    /// Learns which spans a store holds. The store must be open: it makes the tables.
    package init(_ store: SpanStore) throws(StoreError) {
        do {
            connection = try Connection(path: store.folder.databasePath, access: .readOnly)
            try StoreSettings.prepareReader(connection)
            catalog = SegmentCatalog(connection)
            let statement = try connection.prepare("SELECT id, trace_filter FROM segment ORDER BY id")
            while try statement.step() {
                let id = statement.integer(0)
                guard let segment = try catalog.open(id) else { throw SegmentError.damaged("segment \(id) is missing") }
                try identities.load(id: id, filter: TraceFilter(bytes: statement.blob(1)), segment: segment)
            }
            retentionFloorUnixNano = try connection.integer(
                "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'retention_floor_unix_nano'")
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// What was committed, for rebuilding the derivations.
    package var history: SpanHistory { SpanHistory(connection) }

    /// Whether the span is certainly new: it was neither stored nor asked for before. From then on it is known, so whoever asks must
    /// store it, or forget all that waits for the commit.
    @inline(__always)
    package func isCertainlyNew(_ span: SpanRecord) -> Bool {
        !identities.insert(span.traceID, span.spanID)
    }

    /// What is known of a span that is not certainly new, exactly, over all that is stored.
    ///
    /// - Parameter pendingHash: the content hash of the span with this identity that waits for its commit, if there is one.
    package func answer(_ span: SpanRecord, pendingHash: UInt32?) throws(StoreError) -> Answer {
        do {
            let stored =
                try pendingHash
                ?? identities.contentHash(span.traceID, span.spanID) { id in
                    guard let segment = try catalog.open(id) else { throw SegmentError.damaged("segment \(id) is missing") }
                    return segment
                }
            guard let stored else { return .new }
            return stored == span.contentHash ? .identical : .conflict
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// Takes a segment that was committed; its spans went through `isCertainlyNew`.
    package func add(_ segment: CommittedSegment) {
        identities.add(id: segment.id, filter: segment.traceFilter)
    }
}
