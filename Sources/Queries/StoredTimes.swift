import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// The time in which the stored spans began, for a question that names none. Clocks that were never set, or were set wrong, tell of
/// 1970 or of 2262, and one such span would stretch an axis over three centuries: what lies beyond these bounds is found when it is
/// asked for, and when there is nothing else.
package enum StoredTimes {
    /// Nothing that this is told of ran before 2000.
    private static let earliest: Int64 = 946_684_800_000_000_000
    /// A client's clock may be ahead by a day.
    private static let aheadMax: Int64 = 86_400_000_000_000

    /// The asked window with the ends that it leaves open set to the first and the last span in it; `nil` when nothing is stored.
    package static func window(_ asked: TimeWindow, nowUnixNano now: Int64, _ reader: QueryReader) throws -> TimeWindow? {
        if asked.from > .min, asked.to < .max { return asked }
        let latest = now.addingSaturated(aheadMax)
        var likely = asked
        if asked.from == .min, asked.to > earliest { likely.from = earliest }
        if asked.to == .max, asked.from <= latest { likely.to = latest }
        guard let ends = try ends(within: likely, reader) ?? ends(within: asked, reader) else {
            let stored = try reader.first("SELECT min(start_min) FROM segment")?.first?.integer
            let from = asked.from > .min ? asked.from : min(stored ?? 0, asked.last)
            return stored == nil ? nil : TimeWindow(from: from, to: from.addingSaturated(1))
        }
        return TimeWindow(
            from: asked.from == .min ? ends.first : asked.from, to: asked.to == .max ? ends.last.addingSaturated(1) : asked.to)
    }

    /// The first and the last start in a window. Of segments that lie in it whole their statistics tell.
    private static func ends(within window: TimeWindow, _ reader: QueryReader) throws -> (first: Int64, last: Int64)? {
        var ends: (first: Int64, last: Int64)?
        func take(_ first: Int64, _ last: Int64) {
            ends = (min(ends?.first ?? first, first), max(ends?.last ?? last, last))
        }
        let found = try reader.first(
            """
            SELECT min(start_min) FILTER (WHERE start_min >= ?1 AND start_max <= ?2),
                max(start_max) FILTER (WHERE start_min >= ?1 AND start_max <= ?2),
                coalesce(sum(start_min < ?1 OR start_max > ?2), 0)
            FROM segment WHERE start_max >= ?1 AND start_min <= ?2
            """, window.values)
        guard let found else { return nil }
        if let first = found[0].integer, let last = found[1].integer { take(first, last) }
        if found[2].integer == 0 { return ends }
        try reader.pass(SpanPass.Bounds(.start, from: window.from, until: window.to)) { segment throws(SQLiteError) in
            // All rows are meant of a segment that lies in it whole.
            guard let rows = segment.rows else { return }
            let start = try segment.integers("start_time_unix_nano")
            for row in rows { if let time = start[Int(row)] { take(time, time) } }
        }
        return ends
    }
}
