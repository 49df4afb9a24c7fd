import SQLite
import TelemetryModel

/// In which part of a window the server ran, by its heartbeats: a minute without one was not watched.
struct Uptime {
    /// Hours of the window that were watched.
    let hours: Double
    /// Times without heartbeats in the window, from the store's first one on.
    let gaps: [IntervalSweep.Interval]
    /// Spans that were refused, and those that could not be stored, in the window's minutes.
    let rejected: Int64
    let dropped: Int64
    let query: ReportQuery

    private static let minuteNanoseconds: Int64 = 60_000_000_000

    init(_ reader: ReportReader, _ window: ReportWindow) throws(ReportReader.Failure) {
        let minute = Self.minuteNanoseconds
        let from = window.fromUnixNano / minute
        let until = window.untilUnixNano.addingSaturated(minute - 1) / minute
        let sql = """
            SELECT sum(min((minute + 1) * \(minute), \(window.untilUnixNano)) - max(minute * \(minute), \(window.fromUnixNano))) / 3.6e12
                AS hours, sum(rejected) AS rejected, sum(dropped) AS dropped
            FROM heartbeat WHERE minute >= \(from) AND minute < \(until)
            """
        query = ReportQuery("hours that were watched, refused and lost spans", sql)
        let sums = try reader.row(sql) { ($0.double(0), $0.integer(1), $0.integer(2)) }
        hours = sums?.0 ?? 0
        rejected = sums?.1 ?? 0
        dropped = sums?.2 ?? 0
        let first = try reader.row("SELECT min(minute) FROM heartbeat") { $0.isNull(0) ? nil : $0.integer(0).multipliedSaturated(by: minute) }
        let beats = try reader.rows("SELECT minute FROM heartbeat WHERE minute >= \(from) AND minute < \(until)") {
            let start = $0.integer(0).multipliedSaturated(by: minute)
            return IntervalSweep.Interval(start, start.addingSaturated(minute))
        }
        let start = max(window.fromUnixNano, (first ?? nil) ?? window.untilUnixNano)
        gaps = IntervalSweep.holes(beats, from: min(start, window.untilUnixNano), until: window.untilUnixNano)
    }

    /// The longest gap, in nanoseconds.
    var longestGap: Int64 { gaps.map { $0.end.subtractingSaturated($0.start) }.max() ?? 0 }
}
