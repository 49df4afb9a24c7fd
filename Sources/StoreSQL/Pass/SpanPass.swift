package import SQLite
import SegmentFormat
import SpanStore
import TelemetryModel

/// Goes over stored spans segment by segment and column by column, without a row of SQL for each: for sums over millions of spans.
///
/// What it lets through is what `SELECT … FROM spans WHERE` lets through: a user's condition is put to SQLite. One pass sees one
/// state of the file, however long it takes.
package struct SpanPass {
    /// Which spans a pass is about.
    package struct Bounds: Equatable, Sendable {
        package enum Time: Sendable { case start, latestKnown }

        /// The time that must lie in [from, until); `Int64.max` is no end. Spans whose latest known time (`SpanTimes`) lies in it must also
        /// begin before its end.
        package var time: Time
        package var fromUnixNano: Int64
        package var untilUnixNano: Int64
        /// An SQL condition over the columns of `spans`; `nil` for none.
        package var condition: String?

        package init(_ time: Time, from: Int64, until: Int64, condition: String? = nil) {
            (self.time, fromUnixNano, untilUnixNano, self.condition) = (time, from, until, condition)
        }

        /// The last time within.
        var lastUnixNano: Int64 { untilUnixNano == .max ? .max : untilUnixNano.subtractingSaturated(1) }
    }

    let reader: SQLReader
    let loader: SegmentLoader

    package init(_ reader: SQLReader) {
        self.reader = reader
        loader = reader.catalog.loader()
    }

    /// Calls `body` with each segment that has such spans, in the order of arrival.
    package func each(_ bounds: Bounds, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws(SQLiteError) {
        try snapshot { () throws(SQLiteError) in try eachInSnapshot(bounds, body) }
    }

    /// The same with the spans whose tokens count: segments with such, and their rows.
    package func eachTokenCall(_ bounds: Bounds, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws(SQLiteError) {
        try each(bounds) { segment throws(SQLiteError) in
            if let calls = try Self.tokenCalls(of: segment) { try body(calls) }
        }
    }

    /// The rows of a segment whose tokens count; `nil` for none.
    static func tokenCalls(of segment: PassedSegment) throws(SQLiteError) -> PassedSegment? {
        let counted = try PassedSegment.attempt { try segment.segment.tokenRows() }
        guard let counted else { return nil }
        var rows: [Int32] = []
        segment.forEachRow { row in if counted.contains(row) { rows.append(Int32(truncatingIfNeeded: row)) } }
        return rows.isEmpty ? nil : PassedSegment(segment.segment, rows: rows)
    }

    /// Runs `body` so that all it reads is of one state of the file.
    func snapshot(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
        guard !reader.connection.isInTransaction else { return try body() }
        try reader.connection.execute("BEGIN")
        do throws(SQLiteError) {
            try body()
        } catch {
            if reader.connection.isInTransaction { try? reader.connection.execute("ROLLBACK") }
            throw error
        }
        try reader.connection.execute("COMMIT")
    }

    private func eachInSnapshot(
        _ bounds: Bounds, _ body: (PassedSegment) throws(SQLiteError) -> Void
    ) throws(SQLiteError) {
        let chosen = try bounds.condition.map { condition throws(SQLiteError) in try rows(bounds, condition) }
        try reader.catalog.refresh()
        let time = bounds.fromUnixNano < bounds.untilUnixNano ? bounds.fromUnixNano...(bounds.untilUnixNano - 1) : nil
        let isAll = time == Int64.min...(Int64.max - 1)
        let calls = StoredCalls(reader.catalog, loader, time: isAll ? nil : time)
        for entry in reader.catalog.entries where entry.mayHold(bounds) {
            if let chosen {
                guard let rows = chosen[entry.id], let segment = try open(entry.id, calls) else { continue }
                try body(PassedSegment(segment, rows: rows))
                continue
            }
            guard let segment = try open(entry.id, calls) else { continue }
            let rows = try PassedSegment.attempt {
                let shown = try shownRows(segment)
                return try entry.isWithin(bounds) ? shown : Self.rows(segment, bounds, among: shown)
            }
            if rows?.isEmpty == true { continue }
            try body(PassedSegment(segment, rows: rows))
        }
    }

    /// The rows of a segment that the connection shows; `nil` for all.
    func shownRows(_ segment: SegmentRows) throws -> [Int32]? { try reader.scope.flatMap { try segment.rows(of: $0) } }

    func open(_ id: Int64, _ calls: StoredCalls) throws(SQLiteError) -> SegmentRows? {
        try PassedSegment.attempt { try reader.catalog.open(id, loader).map { SegmentRows($0, attributes: [], calls: calls, scope: reader.scope) } }
    }

    private static func rows(_ segment: SegmentRows, _ bounds: Bounds, among rows: [Int32]?) throws -> [Int32]? {
        var rows = rows
        for term in bounds.terms {
            rows = try segment.rows(term, among: rows)
            if rows?.isEmpty == true { break }
        }
        return rows
    }

    /// Rows that meet the bounds and a condition, by segment.
    private func rows(_ bounds: Bounds, _ condition: String) throws(SQLiteError) -> [Int64: [Int32]] {
        let statement = try reader.connection.prepare("SELECT rowid FROM spans WHERE \(bounds.sql) AND (\(condition))")
        var rows: [Int64: [Int32]] = [:]
        var gathered: [Int32] = []
        var segment: Int64?
        while try statement.step() {
            let place = SpansScan.place(ofRowID: statement.integer(0))
            if place.segment != segment {
                if let segment { rows[segment, default: []] += gathered }
                segment = place.segment
                gathered = []
            }
            gathered.append(place.row)
        }
        if let segment { rows[segment, default: []] += gathered }
        return rows
    }
}

extension SpanPass.Bounds {
    /// The bounds as conditions on columns.
    fileprivate var terms: [SegmentRows.Filter] {
        let start = SpansColumn.startTimeIndex
        let column = time == .latestKnown ? SpansColumn.latestKnownIndex : start
        var terms = [
            SegmentRows.Filter(column: column, comparison: .greaterOrEqual, argument: .integer(fromUnixNano)),
            SegmentRows.Filter(column: column, comparison: .lessOrEqual, argument: .integer(lastUnixNano)),
        ]
        if time == .latestKnown { terms.append(.init(column: start, comparison: .lessOrEqual, argument: .integer(lastUnixNano))) }
        return terms
    }

    fileprivate var sql: String {
        switch time {
        case .start: "start_time_unix_nano >= \(fromUnixNano) AND start_time_unix_nano <= \(lastUnixNano)"
        case .latestKnown:
            "latest_known_unix_nano >= \(fromUnixNano) AND latest_known_unix_nano <= \(lastUnixNano) "
                + "AND start_time_unix_nano <= \(lastUnixNano)"
        }
    }
}

extension SegmentCatalog.Entry {
    private func range(_ time: SpanPass.Bounds.Time) -> (minimum: Int64, maximum: Int64) {
        time == .start ? (startMinimum, startMaximum) : (latestKnown.lowerBound, latestKnown.upperBound)
    }

    /// Whether a span of the segment may lie within the bounds.
    func mayHold(_ bounds: SpanPass.Bounds) -> Bool {
        let (minimum, maximum) = range(bounds.time)
        return maximum >= bounds.fromUnixNano && minimum <= bounds.lastUnixNano && startMinimum <= bounds.lastUnixNano
    }

    /// Whether all of them do.
    fileprivate func isWithin(_ bounds: SpanPass.Bounds) -> Bool {
        let (minimum, maximum) = range(bounds.time)
        return minimum >= bounds.fromUnixNano && maximum <= bounds.lastUnixNano && startMaximum <= bounds.lastUnixNano
    }
}
