import SQLite
import SegmentFormat
import SpanStore
import StoreSQL
import TelemetryModel

/// What a list asks of each trace before it reads some of them whole, by one loop over columns: no row and no group of SQL for each.
///
/// Memory: a hundred bytes for each trace that lies in several segments, and as much for those of one segment at a time.
struct TraceOutlines {
    /// Over the spans of a trace that lists count, as `TraceSummary.isShown` has it.
    struct Outline: Sendable {
        var spanCount = 0
        var startUnixNano = Int64.max
        /// The first start at `since` or behind it; the largest number without one.
        var firstSinceUnixNano = Int64.max
        /// The latest end; 0 when no span has ended.
        var endUnixNano: Int64 = 0
        var latestStartUnixNano = Int64.min
        /// Of the spans without a parent the largest; `nil` without one, and where roots were not asked for.
        var rootStatusCode: Int64?
        /// Whether a span has not ended or, where roots were asked for, was announced and may have ended since.
        var mayBeOpen = false

        /// As lists show it.
        var durationNanoseconds: Int64 { max(0, endUnixNano.subtractingSaturated(startUnixNano)) }
        /// Whether a span of it began in a window that begins at `since`.
        func began(in window: TimeWindow) -> Bool { latestStartUnixNano >= window.from && firstSinceUnixNano <= window.last }
        /// At least as long as whatever is called its duration: one that has not ended lasts up to its latest start.
        var extentNanoseconds: Int64 { max(endUnixNano, latestStartUnixNano).subtractingSaturated(startUnixNano) }
        /// Whether it may still run, where roots were asked for: `TraceSummary.isRunning` decides.
        var mayRun: Bool { mayBeOpen || rootStatusCode == nil }

        /// Adds a span.
        @inline(__always)
        fileprivate mutating func add(start: Int64, end: Int64, since: Int64) {
            spanCount += 1
            startUnixNano = min(startUnixNano, start)
            if start >= since { firstSinceUnixNano = min(firstSinceUnixNano, start) }
            endUnixNano = max(endUnixNano, end)
            latestStartUnixNano = max(latestStartUnixNano, start)
            if end == 0 { mayBeOpen = true }
        }

        fileprivate mutating func add(_ other: Outline) {
            spanCount += other.spanCount
            startUnixNano = min(startUnixNano, other.startUnixNano)
            firstSinceUnixNano = min(firstSinceUnixNano, other.firstSinceUnixNano)
            endUnixNano = max(endUnixNano, other.endUnixNano)
            latestStartUnixNano = max(latestStartUnixNano, other.latestStartUnixNano)
            if let status = other.rootStatusCode { rootStatusCode = max(rootStatusCode ?? .min, status) }
            mayBeOpen = mayBeOpen || other.mayBeOpen
        }
    }

    /// Every trace with a span that began in it is told, and perhaps some others.
    let window: TimeWindow
    /// Whether roots and what may be open are asked for.
    let withRoots: Bool
    /// Where the time begins that is asked about, of which `window` may be a part.
    var since = Int64.min

    /// Calls `body` with each trace, in no order.
    func each(_ reader: QueryReader, _ body: (TraceID, Outline) -> Void) throws {
        var scattered: [TraceID: Outline] = [:]
        try reader.passTraces(SpanPass.Bounds(.start, from: window.from, until: window.to)) { part throws(SQLiteError) in
            for (number, outline) in try outlines(of: part).enumerated() where outline.spanCount > 0 {
                let id = part.traces[number]
                if !part.isScattered[number] {
                    body(id, outline)
                } else if part.mayBeWithin || scattered[id] != nil {
                    scattered[id, default: Outline()].add(outline)
                }
            }
        }
        for (id, outline) in scattered { body(id, outline) }
    }

    /// Of each trace of a segment, as far as it lies in it.
    private func outlines(of part: SpanPass.TracePart) throws(SQLiteError) -> [Outline] {
        let segment = part.segment
        let (starts, ends) = (try segment.integers("start_time_unix_nano"), try segment.integers("end_time_unix_nano"))
        let isHidden = try Self.hiddenRows(of: segment)
        var outlines = [Outline](repeating: Outline(), count: part.traces.count)
        let (numbers, since) = (part.numbers, since)
        segment.forEachRow { row in
            if let isHidden, isHidden(row) { return }
            outlines[numbers[row]].add(start: starts[row] ?? 0, end: ends[row] ?? 0, since: since)
        }
        guard withRoots else { return outlines }
        let isChild = try segment.presence("parent_span_id")
        let status = try segment.integers("status_code")
        let kinds = try segment.texts("logfire_span_type")
        let pending = kinds.texts.firstIndex(of: "pending_span")
        segment.forEachRow { row in
            if let isHidden, isHidden(row) { return }
            let number = numbers[row]
            if !isChild[row] { outlines[number].rootStatusCode = max(outlines[number].rootStatusCode ?? .min, status[row] ?? 0) }
            if let pending, kinds.number(row) == pending { outlines[number].mayBeOpen = true }
        }
        return outlines
    }

    /// Which rows no list counts, as `TraceSummary.isShown` has it; `nil` for none.
    static func hiddenRows(of segment: PassedSegment) throws(SQLiteError) -> ((Int) -> Bool)? {
        let toldByLog = try segment.integers("told_by_log")
        if toldByLog.isEmpty { return nil }
        let (outcome, countsTokens) = (try segment.texts("outcome"), try segment.countsTokens())
        return { toldByLog[$0] != nil && outcome.number($0) < 0 && !countsTokens($0) }
    }
}
