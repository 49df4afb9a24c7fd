import SQLite
import TelemetryModel

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
/// A trace is in a span of time when a span of it began there and matches; where nothing is asked of spans every one does. So a list with
/// more conditions shows a part of the list with fewer, and what ran into the time is found.
///
/// It goes back through time window by window, so that a list costs what it shows and not what is stored: spans that match in a
/// window name candidate traces, and each candidate is then read whole, which makes its figures exact.
package struct TraceSearch: Sendable {
    private static let windowSpansMax = 2_000_000
    /// Candidates that are read whole at a time.
    private static let batch = 32
    /// The same where traces are looked for by their length: each window reads those behind it once more.
    private static let lengthWindowSpansMax = 64_000_000
    private static let lengthWindowGrowth = 256
    /// A window is left for one of so many times its spans when most of what matches in it had matched before.
    private static let leftWindowGrowth = 8

    package var criteria = SpanCriteria()
    /// Start times of the spans that match, nanoseconds since 1970; the upper bound is outside.
    package var from = Int64.min
    package var to = Int64.max
    package var limits = TraceLimits()
    /// The same as the least duration of `limits`, where something else decides: what is shorter need not be read.
    package var extentMinimum: Int64?
    /// Which of so many candidates are meant, where the criteria say only which may be; they are read whole for it.
    package var acceptance: (@Sendable ([String], QueryReader) throws -> Set<String>)?
    package var after: TraceCursor?
    package var limit = 50
    /// Spans that the first window holds, about; each further one holds twice as many.
    var firstWindowSpans = 20_000
    /// Candidates that were read whole and had matched before their window, after which a larger one is looked at.
    var earlierTracesMax = 128
    /// Spans that are looked at before the search stops and says how far it came; a page goes on from there.
    package var scanSpansMax = 4_000_000

    package init() {}

    /// Milliseconds as nanoseconds, as `TraceLimits` has them; `nil` outside of 0 to 1e12.
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
        var known = KnownTraces()
        // The last time that is still to be looked at.
        var last = TimeWindow(to: to).last
        // Of all pages, so that a span that began behind the cursor is looked at too.
        let running = try limits.isRunning ? RunningTraces.candidates(from: from, last: last, reader) : nil
        if let after { last = min(last, after.matchUnixNano) }
        let density = try density(upTo: last, reader)
        var budget = firstWindowSpans
        var scanned = 0
        while last >= from, let window = density.window(upTo: last, spans: budget) {
            let lower = max(from, window.start)
            let candidates = try candidates(lower, last, running, reader)
            let isLargest = lower == from || budget >= spansMax
            guard try take(candidates, lower, last, mayLeave: !isLargest, reader, &known, &answer) else {
                budget = min(budget * Self.leftWindowGrowth, spansMax)
                continue
            }
            if answer.traces.count > limit { return Self.cut(answer, to: limit) }
            guard lower > from else { break }
            known = KnownTraces()
            last = lower - 1
            scanned += window.spans
            if scanned >= scanSpansMax && lengthMinimum == nil {
                answer.next = TraceCursor(matchUnixNano: last, traceID: "~")
                answer.stoppedEarly = true
                return answer
            }
            budget = min(budget * (lengthMinimum == nil ? 2 : Self.lengthWindowGrowth), spansMax)
        }
        return answer
    }

    /// Spans of the largest window.
    private var spansMax: Int { lengthMinimum == nil ? Self.windowSpansMax : Self.lengthWindowSpansMax }

    private static func cut(_ answer: Answer, to limit: Int) -> Answer {
        guard answer.traces.count > limit else { return answer }
        var answer = answer
        answer.traces.removeSubrange(limit...)
        answer.next = answer.traces.last.map { TraceCursor(matchUnixNano: $0.matchUnixNano, traceID: $0.traceID) }
        return answer
    }

    /// How long a trace must last, when nothing else is asked of spans.
    private var lengthMinimum: Int64? {
        guard criteria.condition == nil, !limits.isRunning, let minimum = [extentMinimum, limits.durationMinimum].compactMap({ $0 }).max(), minimum > 0 else {
            return nil
        }
        return minimum
    }

    /// Whether something is asked of whole traces that one pass over columns can say.
    private var asksOfTraces: Bool { limits.askOutlines || extentMinimum != nil }

    private func mayBeMeant(_ outline: TraceOutlines.Outline) -> Bool {
        if let extentMinimum, outline.extentNanoseconds < extentMinimum { return false }
        return limits.hold(durationNanoseconds: outline.durationNanoseconds, rootStatusCode: outline.rootStatusCode)
    }

    /// Traces with spans in a window that may be meant, by one pass over columns instead of each trace read whole.
    private func outlined(_ lower: Int64, _ last: Int64, _ reader: QueryReader) throws -> [(start: Int64, id: TraceID)] {
        var found: [(start: Int64, id: TraceID)] = []
        let meant = TimeWindow(from: from, to: last.addingSaturated(1))
        let outlines = TraceOutlines(
            window: TimeWindow(from: lower, to: last.addingSaturated(1)), withRoots: limits.rootStatus != nil, since: from)
        try outlines.each(reader) { id, outline in
            if outline.began(in: meant), mayBeMeant(outline) { found.append((outline.firstSinceUnixNano, id)) }
        }
        return found
    }

    /// Of all segments that may hold spans from `from` up to `last`.
    private func density(upTo last: Int64, _ reader: QueryReader) throws -> SegmentDensity {
        let rows = try reader.rows(
            "SELECT start_min, start_max, span_count FROM segment WHERE start_min <= ?1 AND start_max >= ?2", [.integer(last), .integer(from)])
        return SegmentDensity(
            rows.map { .init(first: $0[0].integer ?? 0, last: $0[1].integer ?? 0, spanCount: $0[2].integer ?? 0) })
    }

    /// Traces with a span that matches in a window, by the first of those, newest first; some matched before it.
    private func candidates(_ lower: Int64, _ last: Int64, _ running: Set<String>?, _ reader: QueryReader) throws -> [String] {
        var candidates: [String] = []
        func add(_ id: String, _ match: Int64) {
            if let after, (match, id) >= (after.matchUnixNano, after.traceID) { return }
            if running?.contains(id) ?? true { candidates.append(id) }
        }
        guard let condition = criteria.condition else {
            let begun = try outlined(lower, last, reader).filter { $0.start >= lower }.sorted { ($0.start, $0.id) > ($1.start, $1.id) }
            for trace in begun { add(trace.id.hexadecimal, trace.start) }
            return candidates
        }
        let meant = try asksOfTraces ? Set(outlined(lower, last, reader).map(\.id.hexadecimal)) : nil
        if meant?.isEmpty == true { return [] }
        let sql = """
            SELECT unordered_trace_id, min(start_time_unix_nano) FROM spans
            WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(condition.sql)
            GROUP BY unordered_trace_id ORDER BY 2 DESC, 1 DESC
            """
        try reader.each(sql, [.integer(lower), .integer(last)] + condition.values) { row in
            let id = row.text(0) ?? ""
            if meant?.contains(id) ?? true { add(id, row.integer(1)) }
            return true
        }
        return candidates
    }

    /// What a span must be to put its trace into the list, at its start; `nil` when every span does.
    private var match: SQLCondition? {
        let began = from == .min ? nil : SQLCondition("start_time_unix_nano >= ?", [.integer(from)])
        return SQLCondition.all([began, criteria.condition].compactMap(\.self))
    }

    /// Candidates that were read whole.
    private struct KnownTraces {
        var read: [String: TraceSummary] = [:]
        /// What `acceptance` said of them.
        var accepted: Set<String> = []
    }

    /// Reads candidates whole, until there are enough that are meant.
    ///
    /// - Parameter mayLeave: where traces last longer than the window, nearly all that match in it had matched before. Then it stops, and
    ///   adds nothing.
    /// - Returns: false when it stopped so.
    private func take(
        _ candidates: [String], _ lower: Int64, _ last: Int64, mayLeave: Bool, _ reader: QueryReader, _ known: inout KnownTraces,
        _ answer: inout Answer
    ) throws -> Bool {
        let before = answer.traces.count
        var earlier = 0
        var index = 0
        while index < candidates.count, answer.traces.count <= limit {
            let ids = candidates[index..<min(index + Self.batch, candidates.count)]
            index += ids.count
            let unknown = ids.filter { known.read[$0] == nil }
            known.read.merge(try TraceSummary.read(unknown, matching: match, reader)) { $1 }
            if let acceptance, !unknown.isEmpty { known.accepted.formUnion(try acceptance(unknown, reader)) }
            for id in ids {
                guard let trace = known.read[id] else { continue }
                if trace.matchUnixNano < lower { earlier += 1 }
                guard isIn(trace, lower, last), acceptance == nil || known.accepted.contains(id) else { continue }
                answer.traces.append(trace)
            }
            if mayLeave, earlier >= earlierTracesMax, answer.traces.count <= limit {
                answer.traces.removeSubrange(before...)
                return false
            }
        }
        return true
    }

    /// Whether a trace belongs to the window: one that matched before it is found there.
    private func isIn(_ trace: TraceSummary, _ lower: Int64, _ last: Int64) -> Bool {
        guard trace.matchUnixNano >= lower, trace.matchUnixNano <= last else { return false }
        if limits.isRunning, !trace.isRunning { return false }
        return limits.hold(durationNanoseconds: trace.durationNanoseconds, rootStatusCode: trace.rootStatusCode)
    }
}
