package import SegmentFormat
package import TelemetryModel

/// Says of rows whether they are to be forgotten, when it is known of which traces.
package struct ForgetMatcher {
    /// `nil`: whatever trace.
    let traces: Set<TraceID>?
    private let hashes: Set<UInt32>
    private let bound: Int64?

    package init(traces: Set<TraceID>?, endedAtOrBefore bound: Int64?) {
        self.traces = traces
        self.bound = bound
        hashes = Set((traces ?? []).map(TraceFilter.hash))
    }

    package func isOf(_ trace: TraceID?) -> Bool {
        guard let traces else { return true }
        return trace.map(traces.contains) ?? false
    }

    package func isWithin(_ time: Int64) -> Bool { bound.map { time <= $0 } ?? true }

    /// Whether a segment may hold any of it.
    package func mayMatch(_ filter: TraceFilter) -> Bool { traces == nil || filter.mayContain(oneOf: hashes) }

    /// For each row of a segment whether it is to go; `nil` when none is.
    package func rows(_ segment: SegmentReader) throws -> [Bool]? {
        let wanted = try segment.traceIDs().map(isOf)
        guard wanted.contains(true), let trace = try segment.transientColumn(.fixed, FixedColumn.traceIndex) else { return nil }
        let start = bound == nil ? nil : try segment.transientColumn(.fixed, FixedColumn.start)
        let duration = bound == nil ? nil : try segment.transientColumn(.fixed, FixedColumn.duration)
        let received = bound == nil ? nil : try segment.transientColumn(.fixed, FixedColumn.received)
        var rows = [Bool](repeating: false, count: segment.spanCount)
        var hasAny = false
        for row in rows.indices {
            guard let index = trace.integer(row), wanted.indices.contains(Int(index)) else {
                throw SegmentError.damaged("a span that refers past a table")
            }
            guard wanted[Int(index)] else { continue }
            let began = start?.integer(row) ?? 0
            // A span without an end still runs: it is as old as its start.
            let latest = SpanTimes.latestKnown(
                start: began, end: began &+ (duration?.integer(row) ?? 0), received: received?.integer(row) ?? 0)
            guard isWithin(latest) else { continue }
            rows[row] = true
            hasAny = true
        }
        return hasAny ? rows : nil
    }

    /// The same of log records.
    ///
    /// - Parameter named: those whose own attributes name the session or user that is meant, by their numbers.
    package func rows(_ facts: LogFacts, named: Set<Int>) -> [Bool]? {
        let wanted = facts.traces.map(isOf)
        var hasAny = false
        let rows = facts.rows.enumerated().map { index, row in
            let isWanted = traces == nil || row.trace > 0 && wanted[row.trace - 1] || named.contains(index)
            let goes = isWanted && isWithin(row.shownTimeUnixNano)
            hasAny = hasAny || goes
            return goes
        }
        return hasAny ? rows : nil
    }
}
