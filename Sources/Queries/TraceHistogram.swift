import SQLite
package import TelemetryModel

/// How many traces match, over time: what stands above their list, and counts those that the list goes through.
package struct TraceHistogram: Sendable {
    package static let pointsMax = 200

    package var criteria = SpanCriteria()
    package var window = TimeWindow()
    package var points = 80
    /// As `TraceSearch` has them.
    package var limits = TraceLimits()

    package init() {}

    /// A trace by its first span that matches.
    private struct Match {
        var id: TraceID
        var startUnixNano: Int64
        /// Whether a span that matches failed; without a condition, whether the root did.
        var hasFailed: Bool
    }

    private struct Bucket {
        var traces: Int64 = 0
        var failed: Int64 = 0
    }

    /// Writes `{"step_ns":…,"from_unix_nano":…,"to_unix_nano":…,"buckets":[{"time_unix_nano":…,"traces":…,"failed":…}]}`: traces by
    /// the start of their first span that matches, and those that failed: of which a matching span did, or without a condition the root.
    package func write(nowUnixNano: Int64, _ reader: QueryReader, into json: inout JSONWriter) throws {
        guard let found = try StoredTimes.window(window, nowUnixNano: nowUnixNano, reader) else {
            json.raw("{\"step_ns\":0,\"from_unix_nano\":null,\"to_unix_nano\":null,\"buckets\":[]}")
            return
        }
        let step = max(1, OverviewCache.step(for: found.nanoseconds, points: points))
        var buckets: [Int64: Bucket] = [:]
        for match in try matches(reader) {
            buckets[match.startUnixNano / step, default: Bucket()].traces += 1
            if match.hasFailed { buckets[match.startUnixNano / step]?.failed += 1 }
        }
        json.raw("{\"step_ns\":")
        json.integer(step)
        json.raw(",\"from_unix_nano\":")
        json.string("\(found.from)")
        json.raw(",\"to_unix_nano\":")
        json.string("\(found.to)")
        json.raw(",\"buckets\":[")
        for (index, (number, bucket)) in buckets.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { json.raw(",") }
            json.raw("{\"time_unix_nano\":")
            json.string("\(number.multipliedSaturated(by: step))")
            json.raw(",\"traces\":")
            json.integer(bucket.traces)
            json.raw(",\"failed\":")
            json.integer(bucket.failed)
            json.raw("}")
        }
        json.raw("]}")
    }

    // MARK: Which traces

    private func matches(_ reader: QueryReader) throws -> [Match] {
        let running = try limits.isRunning ? Set(RunningTraces.running(from: window.from, last: window.last, reader)) : nil
        let found = try criteria.condition.map { try matches($0, reader) } ?? all(reader)
        return running.map { running in found.filter { running.contains($0.id.hexadecimal) } } ?? found
    }

    private func isMeant(_ outline: TraceOutlines.Outline) -> Bool {
        limits.hold(durationNanoseconds: outline.durationNanoseconds, rootStatusCode: outline.rootStatusCode)
    }

    /// Where nothing is asked of spans: the first one matches.
    private func all(_ reader: QueryReader) throws -> [Match] {
        var found: [Match] = []
        try TraceOutlines(window: window, withRoots: true, since: window.from).each(reader) { id, outline in
            guard outline.began(in: window), isMeant(outline) else { return }
            found.append(Match(id: id, startUnixNano: outline.firstSinceUnixNano, hasFailed: outline.rootStatusCode == 2))
        }
        return found
    }

    private func matches(_ condition: SQLCondition, _ reader: QueryReader) throws -> [Match] {
        var found: [Match] = []
        let sql = """
            SELECT unordered_trace_id, min(start_time_unix_nano), max(status_code = 2) FROM spans
            WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(condition.sql) AND \(TraceSummary.isShown)
            GROUP BY unordered_trace_id
            """
        try reader.each(sql, [.integer(window.from), .integer(window.last)] + condition.values) { row in
            guard let id = row.text(0).flatMap(TraceID.init(hexadecimal:)) else { return true }
            found.append(Match(id: id, startUnixNano: row.integer(1), hasFailed: row.integer(2) != 0))
            return true
        }
        guard !found.isEmpty, limits.askOutlines else { return found }
        let asked = Set(found.map(\.id))
        var meant: Set<TraceID> = []
        try TraceOutlines(window: window, withRoots: limits.rootStatus != nil).each(reader) { id, outline in
            if asked.contains(id), isMeant(outline) { meant.insert(id) }
        }
        return found.filter { meant.contains($0.id) }
    }
}
