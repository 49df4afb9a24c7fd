import CSQLite
import SQLite
import SegmentFormat
import SpanStore
import TelemetryModel

/// What one connection knows of the segments without reading them: enough to skip most.
final class SegmentCatalog {
    struct Entry {
        var id: Int64
        var spanCount: Int
        var storedBytes: Int64
        var startMinimum: Int64
        var startMaximum: Int64
        var endMinimum: Int64
        var endMaximum: Int64
        var filter: TraceFilter

        /// Within which the latest known times of its spans lie (`SpanTimes`): their ends, where all have one.
        var latestKnown: ClosedRange<Int64> {
            endMinimum > 0 && endMinimum <= endMaximum ? endMinimum...endMaximum : .min ... .max
        }

        /// What tells a segment from those before it: a merged one has the id of one that it was made of, but never its size.
        struct Identity: Hashable, Sendable {
            var id: Int64
            var spanCount: Int
            var storedBytes: Int64
        }

        var identity: Identity { Identity(id: id, spanCount: spanCount, storedBytes: storedBytes) }
    }

    /// Directories that stay decoded, of about 5 KiB each.
    private static let directoriesMax = 1024

    /// The only spans that are shown; `nil` for all.
    var scope: ProjectScope?
    /// Tables of the file, by their names.
    var tables: Set<String> = []
    /// In the order of ids.
    private(set) var entries: [Entry] = []
    private var directories: [Int64: SegmentDirectory] = [:]
    /// What counts of calls, when all were looked at. Forgotten when the file changes.
    var calls: StoredCalls.Found?
    private var scatteredTracesFound: [Int64: Set<UInt32>]?
    let callsOfSegments: CallsOfSegments
    private unowned let connection: Connection
    private var dataVersion: Int64?

    init(_ connection: Connection, _ callsOfSegments: CallsOfSegments = CallsOfSegments()) {
        self.connection = connection
        self.callsOfSegments = callsOfSegments
    }

    /// Learns of segments that were committed, merged or deleted since the last call.
    func refresh() throws(SQLiteError) {
        let version = try connection.integer("PRAGMA data_version")
        if version == dataVersion && dataVersion != nil { return }
        let known = Dictionary(entries.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var current: [Entry] = []
        var gone = Set(entries.map(\.identity))
        let statement = try connection.prepare(
            "SELECT id, span_count, stored_bytes, start_min, start_max, end_min, end_max FROM segment ORDER BY id")
        let filter = try connection.prepare("SELECT trace_filter FROM segment WHERE id = ?1")
        while try statement.step() {
            let id = statement.integer(0)
            let identity = Entry.Identity(id: id, spanCount: Int(statement.integer(1)), storedBytes: statement.integer(2))
            if let entry = known[id], entry.identity == identity {
                gone.remove(identity)
                current.append(entry)
                continue
            }
            directories[id] = nil
            try filter.bind(1, id)
            guard try filter.step() else {
                throw SQLiteError(
                    extendedCode: SQLITE_CORRUPT, message: "segment \(id) is listed and cannot be found",
                    operation: "list the segments")
            }
            current.append(
                Entry(
                    id: id, spanCount: identity.spanCount, storedBytes: identity.storedBytes,
                    startMinimum: statement.integer(3), startMaximum: statement.integer(4), endMinimum: statement.integer(5),
                    endMaximum: statement.integer(6), filter: TraceFilter(bytes: filter.blob(0))))
            filter.reset()
        }
        callsOfSegments.forget(gone)
        entries = current
        scatteredTracesFound = nil
        calls = nil
        dataVersion = version
    }

    /// By segment the hashes of its traces that lie in others too. Found out once for a list of segments, since it sorts the hashes of all.
    func scatteredTraces() -> [Int64: Set<UInt32>] {
        if let scatteredTracesFound { return scatteredTracesFound }
        var traces = ScatteredTraces(entries)
        let found = traces.find()
        scatteredTracesFound = found
        return found
    }

    /// A loader of the same connection, for one scan.
    func loader() -> SegmentLoader { SegmentLoader(connection) }

    /// Opens a segment; `nil` when it is not there.
    ///
    /// - Parameters:
    ///   - loader: that of the scan, for whoever opens many.
    ///   - onRead: is told the stored bytes of each read.
    func open(_ id: Int64, _ loader: SegmentLoader? = nil, onRead: ((_ bytes: Int) -> Void)? = nil) throws -> SegmentReader? {
        let known = directories[id]
        let reader = try (loader ?? self.loader()).open(id, directory: known, onRead: onRead)
        // Only of segments that are in the list: when that changes, so does this.
        if let reader, known == nil, dataVersion != nil {
            if directories.count >= Self.directoriesMax { directories.removeAll() }
            directories[id] = reader.directory
        }
        return reader
    }
}
