import SQLite

/// Where a list goes on: behind the trace that stood last. As text, `<nanoseconds>-<trace id>`.
package struct TraceCursor: Equatable, Sendable {
    /// Start of the trace's first matching span.
    package var matchUnixNano: Int64
    package var traceID: String

    package init(matchUnixNano: Int64, traceID: String) {
        self.matchUnixNano = matchUnixNano
        self.traceID = traceID
    }

    package var text: String { "\(matchUnixNano)-\(traceID)" }

    package init?(text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let time = Int64(parts[0]) else { return nil }
        self.init(matchUnixNano: time, traceID: String(parts[1]))
    }
}

/// Finds traces by their spans, newest first by the first span that matches.
///
/// It goes back through time window by window, so that a list costs what it shows and not what is stored: spans that match in a
/// window name candidate traces, and each candidate is then read whole, which makes its figures exact.
package struct TraceSearch: Sendable {
    private static let windowSpansMax = 2_000_000
    /// Candidates that are read whole at a time.
    private static let batch = 32
    /// The same where traces are looked for by their length: each window reads those behind it once more.
    private static let lengthWindowSpansMax = 64_000_000
    private static let lengthWindowGrowth = 16

    package var criteria = SpanCriteria()
    /// Start times, nanoseconds since 1970; the upper bound is outside.
    package var from = Int64.min
    package var to = Int64.max
    /// Of the whole trace, nanoseconds.
    package var durationMinimum: Int64?
    package var durationMaximum: Int64?
    /// The same as `durationMinimum`, where something else decides: what is shorter need not be read.
    package var extentMinimum: Int64?
    /// Only traces whose root failed, or did not.
    package var rootStatus: SpanCriteria.Status?
    /// Only traces that still run.
    package var isRunning = false
    /// Which of so many candidates are meant, where the criteria say only which may be; they are read whole for it.
    package var acceptance: (@Sendable ([String], QueryReader) throws -> Set<String>)?
    package var after: TraceCursor?
    package var limit = 50
    /// Spans that the first window holds, about; each further one holds twice as many.
    var firstWindowSpans = 20_000
    /// Spans that are looked at before the search stops and says how far it came; a page goes on from there.
    package var scanSpansMax = 4_000_000

    package init() {}

    /// Milliseconds as nanoseconds, as `durationMinimum` and `durationMaximum` take them; `nil` outside of 0 to 1e12.
    package static func nanoseconds(milliseconds: Double) -> Int64? {
        (0...1e12).contains(milliseconds) ? Int64(milliseconds * 1e6) : nil
    }

    package struct Answer: Sendable {
        package var traces: [TraceSummary] = []
        /// Where the next page begins; `nil` at the end.
        package var next: TraceCursor?
        /// True when the search stopped to be asked again, not because it found enough.
        package var stoppedEarly = false
    }

    package func run(_ reader: QueryReader) throws -> Answer {
        var answer = Answer()
        // The last time that is still to be looked at.
        var last = TimeWindow(to: to).last
        // Of all pages, so that a span that began behind the cursor is looked at too.
        let running = try isRunning ? RunningTraces.candidates(from: from, last: last, reader) : nil
        if let after { last = min(last, after.matchUnixNano) }
        var budget = firstWindowSpans
        var scanned = 0
        while last >= from, let window = try window(upTo: last, spans: budget, reader) {
            let lower = max(from, window.start)
            try collect(lower, last, running, reader, &answer)
            if answer.traces.count > limit { return Self.cut(answer, to: limit) }
            guard lower > from else { break }
            last = lower - 1
            scanned += window.spans
            if scanned >= scanSpansMax && lengthMinimum == nil {
                answer.next = TraceCursor(matchUnixNano: last, traceID: "~")
                answer.stoppedEarly = true
                return answer
            }
            budget =
                lengthMinimum == nil
                ? min(budget * 2, Self.windowSpansMax) : min(budget * Self.lengthWindowGrowth, Self.lengthWindowSpansMax)
        }
        return answer
    }

    private static func cut(_ answer: Answer, to limit: Int) -> Answer {
        guard answer.traces.count > limit else { return answer }
        var answer = answer
        answer.traces.removeSubrange(limit...)
        answer.next = answer.traces.last.map { TraceCursor(matchUnixNano: $0.matchUnixNano, traceID: $0.traceID) }
        return answer
    }

    /// How long a trace must last, when nothing else is asked of spans.
    private var lengthMinimum: Int64? {
        guard criteria.condition == nil, !isRunning, let minimum = [extentMinimum, durationMinimum].compactMap({ $0 }).max(), minimum > 0 else {
            return nil
        }
        return minimum
    }

    /// Traces that began in a window and are long enough, newest first: one pass over columns instead of each trace read whole. A trace that
    /// has not ended lasts up to its latest start.
    private func longTraces(_ lower: Int64, _ last: Int64, _ minimum: Int64, _ reader: QueryReader) throws -> [String] {
        let extents = TraceExtents(from: lower, minimumNanoseconds: minimum)
        return try extents.find(reader).filter { trace in
            trace.start <= last && (after.map { (trace.start, trace.id) < ($0.matchUnixNano, $0.traceID) } ?? true)
        }.sorted { ($0.start, $0.id) > ($1.start, $1.id) }.map(\.id)
    }

    /// The start of a window that ends with `last` and holds about that many spans; `nil` when nothing is older.
    private func window(upTo last: Int64, spans: Int, _ reader: QueryReader) throws -> (start: Int64, spans: Int)? {
        var total = 0
        var start: Int64?
        try reader.each(
            "SELECT start_min, span_count FROM segment WHERE start_min <= ?1 AND start_max >= ?2 ORDER BY start_min DESC",
            [.integer(last), .integer(from)]
        ) { row in
            start = row.integer(0)
            total += Int(row.integer(1))
            return total < spans
        }
        return start.map { ($0, total) }
    }

    private func collect(
        _ lower: Int64, _ last: Int64, _ running: Set<String>?, _ reader: QueryReader, _ answer: inout Answer
    ) throws {
        if let minimum = lengthMinimum { return try take(try longTraces(lower, last, minimum, reader), lower, last, reader, &answer) }
        let condition = criteria.condition
        var sql =
            "SELECT unordered_trace_id, min(start_time_unix_nano) FROM spans WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ?"
        if let condition { sql += " AND " + condition.sql }
        sql += " GROUP BY unordered_trace_id ORDER BY 2 DESC, 1 DESC"
        var candidates: [String] = []
        try reader.each(sql, [.integer(lower), .integer(last)] + (condition?.values ?? [])) { row in
            let match = row.integer(1)
            let id = row.text(0) ?? ""
            if let after, (match, id) >= (after.matchUnixNano, after.traceID) { return true }
            if running?.contains(id) ?? true { candidates.append(id) }
            return true
        }
        try take(candidates, lower, last, reader, &answer)
    }

    /// Reads candidates whole, until there are enough that are meant.
    private func take(_ candidates: [String], _ lower: Int64, _ last: Int64, _ reader: QueryReader, _ answer: inout Answer) throws {
        let condition = criteria.condition
        var index = 0
        while index < candidates.count, answer.traces.count <= limit {
            let ids = Array(candidates[index..<min(index + Self.batch, candidates.count)])
            index += ids.count
            let found = try TraceSummary.read(ids, matching: condition, reader)
            let accepted = try acceptance?(ids, reader)
            for id in ids {
                guard let trace = found[id], isIn(trace, lower, last), accepted?.contains(id) ?? true else { continue }
                answer.traces.append(trace)
            }
        }
    }

    /// Whether a trace belongs to the window: one that matched before it is found there.
    private func isIn(_ trace: TraceSummary, _ lower: Int64, _ last: Int64) -> Bool {
        guard trace.matchUnixNano >= lower, trace.matchUnixNano <= last else { return false }
        if isRunning, !trace.isRunning { return false }
        if let durationMinimum, trace.durationNanoseconds < durationMinimum { return false }
        if let rootStatus, (trace.rootStatusCode == 2) != (rootStatus == .error) { return false }
        if let durationMaximum, trace.durationNanoseconds > durationMaximum { return false }
        return true
    }
}
