package import SQLite
import SegmentFormat
package import SpanStore
import TelemetryModel

/// Rows of `spans` and `logs` by their ordinals, for whoever writes them out a stretch at a time.
extension SQLReader {
    /// The ordinals of what is stored: from that of the oldest to the one behind the last.
    package func storedOrdinals(of signal: ForwardSignal) throws(StoreError) -> Range<Int64> {
        do {
            try checkOrdinals()
            let table = Self.segments(of: signal).table
            let next = try StoredOrdinals.next(connection)
            let end = signal == .traces ? next.spans : next.logs
            let first = try connection.integer("SELECT min(first_ordinal) FROM main.\(table)") ?? end
            return min(first, end)..<end
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// Calls `body` with each row that has an ordinal of the range, in the order in which they lie: `SELECT rowid, *` of the signal's table. One
    /// state of the file.
    package func forEachRow(
        of signal: ForwardSignal, ordinals: Range<Int64>, _ body: (Statement) throws -> Void
    ) throws {
        try checkOrdinals()
        try connection.execute("BEGIN")
        defer { try? connection.execute("ROLLBACK") }
        let (table, times, rows) = Self.segments(of: signal)
        let count = try StoredOrdinals.count(of: table, connection)
        let segments = try connection.prepare(
            """
            SELECT id, first_ordinal, \(count), \(times)_min, \(times)_max FROM main.\(table)
            WHERE first_ordinal < ?2 AND first_ordinal + \(count) > ?1
            """)
        try segments.bind(1, ordinals.lowerBound)
        try segments.bind(2, ordinals.upperBound)
        // For each segment its rows in the range; `nil` for all.
        var wanted: [Int64: Set<Int>?] = [:]
        var bounds: ClosedRange<Int64>?
        while try segments.step() {
            let own = segments.integer(1)..<segments.integer(1).addingSaturated(segments.integer(2))
            let isWhole = ordinals.lowerBound <= own.lowerBound && own.upperBound <= ordinals.upperBound
            wanted[segments.integer(0)] = .some(
                isWhole ? nil : try places(of: segments.integer(0), signal, first: own.lowerBound, in: ordinals))
            let (start, end) = (segments.integer(3), segments.integer(4))
            bounds = min(start, bounds?.lowerBound ?? start)...max(end, bounds?.upperBound ?? end)
        }
        guard let bounds else { return }
        let time = signal == .traces ? "start_time_unix_nano" : "time_unix_nano"
        let statement = try connection.prepare("SELECT rowid, * FROM \(rows) WHERE \(time) BETWEEN ?1 AND ?2")
        try statement.bind(1, bounds.lowerBound)
        try statement.bind(2, bounds.upperBound)
        while try statement.step() {
            let (segment, row) = LogRows.place(ofRowID: statement.integer(0))
            guard let rows = wanted[segment], rows?.contains(row) ?? true else { continue }
            try body(statement)
        }
    }

    private static func segments(of signal: ForwardSignal) -> (table: String, times: String, rows: String) {
        signal == .traces ? ("segment", "start", "spans") : ("log_segment", "time", "logs")
    }

    private func checkOrdinals() throws {
        guard try connection.integer("PRAGMA user_version") ?? 0 >= StoredOrdinals.version else {
            throw StoreError.setting("the data file is of an older version, without ordinals; start fusebox serve on it once")
        }
    }

    /// The rows of a segment whose ordinals are in a range.
    private func places(of id: Int64, _ signal: ForwardSignal, first: Int64, in ordinals: Range<Int64>) throws -> Set<Int> {
        switch signal {
        case .traces:
            guard let segment = try SegmentLoader(connection).open(id) else { return [] }
            return Set(try StoredBatch.arrivals(segment).filter { ordinals.contains(first &+ Int64($0.place)) }.map(\.row))
        case .logs:
            let rows = try LogTables.facts(of: id, connection).rows
            return Set(rows.indices.filter { ordinals.contains(first &+ rows[$0].place) })
        }
    }
}
