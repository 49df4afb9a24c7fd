import SQLite
import SpanStore
import TelemetryModel

/// Whole traces of a span of time with what lists of conversations sum up, over columns and not by rows of SQL: a list looks at millions of spans.
///
/// Memory: some hundred bytes for each trace that lies in several segments, and those of one segment at a time.
struct TraceSums {
    struct Trace: Sendable {
        var id = TraceID(high: 0, low: 0)
        var startUnixNano = Int64.max
        var endUnixNano = Int64.min
        var spanCount: Int64 = 0
        var errorCount: Int64 = 0
        var timeoutCount: Int64 = 0
        /// Of each of `names` the text of the root, else of the span that started first, as `first_of` finds it in SQL.
        var texts: [String?]

        fileprivate var ranks: [NamingRank?]
        fileprivate var isWanted = false

        fileprivate init(names: Int) {
            texts = Array(repeating: nil, count: names)
            ranks = Array(repeating: nil, count: names)
        }

        fileprivate mutating func note(_ text: String, at place: Int, _ rank: NamingRank) {
            if let known = ranks[place], !rank.precedes(known) { return }
            (texts[place], ranks[place]) = (text, rank)
        }
    }

    /// Columns of texts.
    let names: [String]
    /// One of `names`: traces are meant of which a span has a value in it and began in the window.
    let key: String
    let window: TimeWindow

    /// Calls `body` with each trace that is meant, in no order.
    func each(_ reader: QueryReader, _ body: (Trace) -> Void) throws {
        var scattered: [TraceID: Trace] = [:]
        try reader.passTraces(SpanPass.Bounds(.start, from: window.from, until: window.to)) { part throws(SQLiteError) in
            for (number, trace) in try sums(part).enumerated() {
                if part.isScattered[number] {
                    if !part.mayBeWithin && scattered[trace.id] == nil { continue }
                    merge(trace, into: &scattered[trace.id, default: Trace(names: names.count)])
                } else if trace.isWanted && trace.spanCount > 0 {
                    body(trace)
                }
            }
        }
        for trace in scattered.values where trace.isWanted && trace.spanCount > 0 { body(trace) }
    }

    private func merge(_ part: Trace, into trace: inout Trace) {
        trace.id = part.id
        trace.startUnixNano = min(trace.startUnixNano, part.startUnixNano)
        trace.endUnixNano = max(trace.endUnixNano, part.endUnixNano)
        trace.spanCount += part.spanCount
        trace.errorCount += part.errorCount
        trace.timeoutCount += part.timeoutCount
        trace.isWanted = trace.isWanted || part.isWanted
        for (place, text) in part.texts.enumerated() {
            if let text, let rank = part.ranks[place] { trace.note(text, at: place, rank) }
        }
    }

    /// The traces of a segment as far as they lie in it.
    private func sums(_ part: SpanPass.TracePart) throws(SQLiteError) -> [Trace] {
        let segment = part.segment
        let (start, end) = (try segment.integers("start_time_unix_nano"), try segment.integers("end_time_unix_nano"))
        let status = try segment.integers("status_code")
        let outcome = try segment.texts("outcome")
        let isChild = try segment.presence("parent_span_id")
        let toldByLog = try segment.integers("told_by_log")
        let countsTokens = toldByLog.isEmpty ? { _ in false } : try segment.countsTokens()
        let spans = try segment.identities().spans
        var columns: [PassedTexts] = []
        for name in names { columns.append(try segment.texts(name)) }
        let keys = columns[names.firstIndex(of: key) ?? 0]
        let timeout = outcome.texts.firstIndex(of: "timeout") ?? .max
        var traces = part.traces.map { id in
            var trace = Trace(names: names.count)
            trace.id = id
            return trace
        }
        segment.forEachRow { row in
            let number = part.numbers[row]
            let began = start[row] ?? 0
            if keys.number(row) >= 0 && began >= window.from && began <= window.last { traces[number].isWanted = true }
            // What log records alone tell of, and spans know better, is no span of the trace: as in the view `traces`.
            if toldByLog[row] != nil && outcome.number(row) < 0 && !countsTokens(row) { return }
            traces[number].spanCount += 1
            traces[number].startUnixNano = min(traces[number].startUnixNano, began)
            traces[number].endUnixNano = max(traces[number].endUnixNano, end[row] ?? 0)
            if status[row] == 2 { traces[number].errorCount += 1 }
            if outcome.number(row) == timeout { traces[number].timeoutCount += 1 }
            for (place, column) in columns.enumerated() {
                let text = column.number(row)
                guard text >= 0 else { continue }
                let rank = NamingRank(
                    isChild: isChild[row], start: began, end: end[row] ?? 0, span: UInt64(bitPattern: spans[row] ?? 0))
                traces[number].note(column.texts[text], at: place, rank)
            }
        }
        return traces
    }
}
