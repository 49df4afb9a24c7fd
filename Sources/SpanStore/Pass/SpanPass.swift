package import SQLite

/// Goes over stored spans segment by segment and column by column, without a row of SQL for each: for sums over millions of spans.
///
/// What it lets through is what `SELECT … FROM spans WHERE` lets through: a user's condition is put to SQLite. One pass sees one
/// state of the file, however long it takes.
package struct SpanPass {
    /// Which spans a pass is about.
    package struct Bounds: Equatable, Sendable {
        package enum Time: Sendable { case start, end }

        /// The time that must lie in [from, until). Spans that end in it must also begin before its end.
        package var time: Time
        package var fromUnixNano: Int64
        package var untilUnixNano: Int64
        /// An SQL condition over the columns of `spans`; `nil` for none.
        package var condition: String?

        package init(_ time: Time, from: Int64, until: Int64, condition: String? = nil) {
            (self.time, fromUnixNano, untilUnixNano, self.condition) = (time, from, until, condition)
        }
    }

    private let reader: SQLReader
    private let loader: SegmentLoader

    package init(_ reader: SQLReader) {
        self.reader = reader
        loader = SegmentLoader(reader.catalog)
    }

    /// Calls `body` with each segment that has such spans, in the order of arrival.
    package func each(_ bounds: Bounds, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws(SQLiteError) {
        try snapshot { () throws(SQLiteError) in try eachInSnapshot(bounds, body) }
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
        for entry in reader.catalog.entries where entry.mayHold(bounds) {
            if let chosen {
                guard let rows = chosen[entry.id], let segment = try open(entry.id) else { continue }
                try body(PassedSegment(segment, rows: rows))
                continue
            }
            guard let segment = try open(entry.id) else { continue }
            let rows = try PassedSegment.attempt { try entry.isWithin(bounds) ? nil : Self.rows(segment, bounds) }
            if rows?.isEmpty == true { continue }
            try body(PassedSegment(segment, rows: rows))
        }
    }

    /// A segment with these rows; `nil` when it is not there. Of use within a `snapshot`.
    func segment(_ id: Int64, rows: [Int32]) throws(SQLiteError) -> PassedSegment? {
        try open(id).map { PassedSegment($0, rows: rows) }
    }

    private func open(_ id: Int64) throws(SQLiteError) -> SegmentRows? {
        try PassedSegment.attempt { try reader.catalog.open(id, loader).map { SegmentRows($0, attributes: []) } }
    }

    private static func rows(_ segment: SegmentRows, _ bounds: Bounds) throws -> [Int32]? {
        var rows: [Int32]?
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
        let column = time == .end ? SpansColumn.endTimeIndex : start
        var terms = [
            SegmentRows.Filter(column: column, comparison: .greaterOrEqual, argument: .integer(fromUnixNano)),
            SegmentRows.Filter(column: column, comparison: .less, argument: .integer(untilUnixNano)),
        ]
        if time == .end { terms.append(.init(column: start, comparison: .less, argument: .integer(untilUnixNano))) }
        return terms
    }

    fileprivate var sql: String {
        switch time {
        case .start: "start_time_unix_nano >= \(fromUnixNano) AND start_time_unix_nano < \(untilUnixNano)"
        case .end:
            "end_time_unix_nano >= \(fromUnixNano) AND end_time_unix_nano < \(untilUnixNano) "
                + "AND start_time_unix_nano < \(untilUnixNano)"
        }
    }
}

extension SegmentCatalog.Entry {
    /// Whether a span of the segment may lie within the bounds.
    fileprivate func mayHold(_ bounds: SpanPass.Bounds) -> Bool {
        let (minimum, maximum) = bounds.time == .end ? (endMinimum, endMaximum) : (startMinimum, startMaximum)
        return maximum >= bounds.fromUnixNano && minimum < bounds.untilUnixNano && startMinimum < bounds.untilUnixNano
    }

    /// Whether all of them do.
    fileprivate func isWithin(_ bounds: SpanPass.Bounds) -> Bool {
        let (minimum, maximum) = bounds.time == .end ? (endMinimum, endMaximum) : (startMinimum, startMaximum)
        return minimum >= bounds.fromUnixNano && maximum < bounds.untilUnixNano && startMaximum < bounds.untilUnixNano
    }
}
