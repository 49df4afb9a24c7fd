import TelemetryModel

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
        (end_time_unix_nano = 0 OR logfire_span_type = 'pending_span' AND NOT EXISTS (
            SELECT 1 FROM here AS whole WHERE whole.trace_id = here.trace_id AND whole.span_id = here.parent_span_id))
        """

    /// Traces with spans from `from` up to `last` that may still run; more than `tracesMax` are noted.
    static func candidates(from: Int64, last: Int64, _ reader: QueryReader) throws -> Set<String> {
        var found: [(latestStart: Int64, id: TraceID)] = []
        let outlines = TraceOutlines(window: TimeWindow(from: from, to: last.addingSaturated(1)), withRoots: true)
        try outlines.each(reader) { id, outline in
            guard outline.mayRun, outline.startUnixNano <= last, outline.latestStartUnixNano >= from else { return }
            found.append((outline.latestStartUnixNano, id))
        }
        if found.count > tracesMax {
            reader.noteTruncated("traces that may run", after: tracesMax)
            found.sort { ($0.latestStart, $0.id) > ($1.latestStart, $1.id) }
        }
        return Set(found.prefix(tracesMax).map(\.id.hexadecimal))
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
