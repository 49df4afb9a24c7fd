/// What still runs: traces with a span that has not ended, or whose root is not stored.
///
/// A span has not ended when it came without an end, or as Logfire's announcement of a span that has not come itself.
enum RunningTraces {
    /// Traces of one look, the newest.
    private static let tracesMax = 5000
    /// Of them that are read whole at a time.
    private static let batch = 200

    /// Whether a row of the expression `here`, which holds traces whole, tells of a span that has not ended.
    static let isOpen = """
        (duration_ns IS NULL OR logfire_span_type = 'pending_span' AND NOT EXISTS (
            SELECT 1 FROM here AS whole WHERE whole.trace_id = here.trace_id AND whole.span_id = here.parent_span_id))
        """

    /// Of which a trace may be that is one: by its spans of a stretch of time, the rest of which is not looked at.
    private static let mayRun = """
        min(parent_span_id IS NOT NULL) = 1 OR max(duration_ns IS NULL) = 1 OR max(coalesce(logfire_span_type = 'pending_span', 0)) = 1
        """

    /// Traces with spans from `from` up to `last` that may still run; more than `tracesMax` are noted.
    static func candidates(from: Int64, last: Int64, _ reader: QueryReader) throws -> Set<String> {
        let rows = try reader.rows(
            """
            SELECT unordered_trace_id FROM spans WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2
            GROUP BY unordered_trace_id HAVING \(mayRun) ORDER BY max(start_time_unix_nano) DESC LIMIT \(tracesMax + 1)
            """, [.integer(from), .integer(last)])
        if rows.count > tracesMax { reader.noteTruncated("traces that may run", after: tracesMax) }
        return Set(rows.prefix(tracesMax).compactMap { $0.first?.text })
    }

    /// Those of them that run, read whole.
    static func running(from: Int64, last: Int64, _ reader: QueryReader) throws -> [String] {
        let ids = try candidates(from: from, last: last, reader).sorted()
        var running: [String] = []
        for start in stride(from: 0, to: ids.count, by: batch) {
            let found = try TraceSummary.read(Array(ids[start..<min(start + batch, ids.count)]), matching: nil, reader)
            running += found.values.filter(\.isRunning).map(\.traceID)
        }
        return running
    }
}
