import SQLite
import TelemetryModel

/// What one connection knows of the segments without reading them: enough to skip most.
final class SegmentCatalog {
    struct Entry {
        var id: Int64
        var spanCount: Int
        var startMinimum: Int64
        var startMaximum: Int64
        var filter: TraceFilter
    }

    private(set) var entries: [Entry] = []
    private unowned let connection: Connection
    private var dataVersion: Int64?

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// Learns of segments that were committed or deleted since the last call.
    func refresh() throws(SQLiteError) {
        let version = try connection.integer("PRAGMA data_version")
        if version == dataVersion && dataVersion != nil { return }
        if let first = entries.first, try connection.integer("SELECT min(id) FROM segment") != first.id { entries = [] }
        let statement = try connection.prepare(
            "SELECT id, span_count, start_min, start_max, trace_filter FROM segment WHERE id > ?1 ORDER BY id")
        try statement.bind(1, entries.last?.id ?? 0)
        while try statement.step() {
            entries.append(
                Entry(
                    id: statement.integer(0), spanCount: Int(statement.integer(1)), startMinimum: statement.integer(2),
                    startMaximum: statement.integer(3), filter: TraceFilter(bytes: statement.blob(4))))
        }
        dataVersion = version
    }

    /// Opens a segment; `nil` when it was deleted meanwhile.
    func open(_ id: Int64) throws -> SegmentReader? {
        let statement = try connection.prepare("SELECT directory FROM segment WHERE id = ?1")
        try statement.bind(1, id)
        guard try statement.step() else { return nil }
        let connection = connection
        return try SegmentReader(id: id, directory: statement.blob(0)) { stream in
            let statement = try connection.prepare("SELECT data FROM segment_stream WHERE id = ?1")
            try statement.bind(1, stream)
            guard try statement.step() else { throw SegmentError.damaged("stream \(stream) is missing") }
            return statement.blob(0)
        }
    }
}
