import SQLite
package import TelemetryModel

/// How many traces match, over time: what stands above their list.
package struct TraceHistogram: Sendable {
    package static let pointsMax = 200

    package var criteria = SpanCriteria()
    package var window = TimeWindow()
    package var points = 80
    /// Only traces that still run.
    package var isRunning = false

    package init() {}

    /// Writes `{"step_ns":…,"from_unix_nano":…,"to_unix_nano":…,"buckets":[{"time_unix_nano":…,"traces":…,"failed":…}]}`: traces by
    /// the start of their first span that matches, and those of which a matching span failed.
    package func write(nowUnixNano: Int64, _ reader: QueryReader, into json: inout JSONWriter) throws {
        guard let found = try StoredTimes.window(window, nowUnixNano: nowUnixNano, reader) else {
            json.raw("{\"step_ns\":0,\"from_unix_nano\":null,\"to_unix_nano\":null,\"buckets\":[]}")
            return
        }
        let step = OverviewCache.step(for: found.nanoseconds, points: points)
        // Without a condition a trace is its root: one row of it is read, not all.
        let condition = criteria.condition ?? SQLCondition(isRunning ? "1" : "parent_span_id IS NULL")
        let running = try isRunning ? RunningTraces.running(from: window.from, last: window.last, reader) : nil
        let sql = """
            SELECT first / ? AS bucket, count(*), sum(failed) FROM (
                SELECT trace_id, min(start_time_unix_nano) AS first, max(status_code = 2) AS failed FROM spans
                WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(condition.sql) GROUP BY trace_id)
            WHERE ? IS NULL OR trace_id IN (SELECT value FROM json_each(?))
            GROUP BY 1 ORDER BY 1
            """
        // Ids are digits: they stand in a list as they are.
        let list = running.map { QueryValue.text("[" + $0.map { "\"\($0)\"" }.joined(separator: ",") + "]") } ?? .null
        json.raw("{\"step_ns\":")
        json.integer(step)
        json.raw(",\"from_unix_nano\":")
        json.string("\(found.from)")
        json.raw(",\"to_unix_nano\":")
        json.string("\(found.to)")
        json.raw(",\"buckets\":[")
        var isFirst = true
        try reader.each(sql, [.integer(step), .integer(window.from), .integer(window.last)] + condition.values + [list, list]) { row in
            if !isFirst { json.raw(",") }
            isFirst = false
            json.raw("{\"time_unix_nano\":")
            json.string("\(row.integer(0).multipliedSaturated(by: step))")
            json.raw(",\"traces\":")
            json.integer(row.integer(1))
            json.raw(",\"failed\":")
            json.integer(row.integer(2))
            json.raw("}")
            return true
        }
        json.raw("]}")
    }
}
