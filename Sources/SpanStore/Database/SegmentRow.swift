import SQLite
import SegmentFormat

/// A segment's row in the table `segment`.
enum SegmentRow {
    static let insertion = """
        INSERT INTO segment (id, span_count, start_min, start_max, end_min, end_max, received_min, received_max,
            stored_bytes, trace_filter, directory, first_ordinal, ordinal_count)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
        """

    /// Inserts the row with a statement that was prepared from `insertion`.
    ///
    /// - Parameters:
    ///   - firstOrdinal: how many spans were committed before its first one.
    ///   - ordinalCount: how many ordinals it stands for; `nil` for as many as it has spans.
    static func insert(
        _ segment: EncodedSegment, id: Int64, firstOrdinal: Int64, ordinalCount: Int64? = nil, with statement: Statement
    ) throws(SQLiteError) {
        let statistics = segment.statistics
        try statement.bind(1, id)
        try statement.bind(2, Int64(segment.spanCount))
        try statement.bind(3, statistics.startMinimum)
        try statement.bind(4, statistics.startMaximum)
        try statement.bind(5, statistics.endMinimum)
        try statement.bind(6, statistics.endMaximum)
        try statement.bind(7, statistics.receivedMinimum)
        try statement.bind(8, statistics.receivedMaximum)
        try statement.bind(9, Int64(segment.storedBytes))
        try statement.bind(10, segment.traceFilter.bytes)
        try statement.bind(11, segment.directory)
        try statement.bind(12, firstOrdinal)
        try statement.bind(13, optional: ordinalCount == Int64(segment.spanCount) ? nil : ordinalCount)
        try statement.run()
    }
}

extension SegmentStatistics {
    /// The columns of `segment` that hold it.
    static let columns = "start_min, start_max, end_min, end_max, received_min, received_max"

    /// What a row says, whose `columns` begin at a place.
    init(_ row: Statement, from place: Int32) {
        self.init()
        startMinimum = row.integer(place)
        startMaximum = row.integer(place + 1)
        endMinimum = row.integer(place + 2)
        endMaximum = row.integer(place + 3)
        receivedMinimum = row.integer(place + 4)
        receivedMaximum = row.integer(place + 5)
    }
}
