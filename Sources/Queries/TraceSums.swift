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
        /// A span of it has a value in the key's column and began in the window.
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
            let sums = try PartSums(part, names, key: key, window)
            for number in part.traces.indices {
                if part.isScattered[number] {
                    let id = part.traces[number]
                    if !part.mayBeWithin && scattered[id] == nil { continue }
                    merge(sums.trace(number), into: &scattered[id, default: Trace(names: names.count)])
                } else if sums.isShown(number) {
                    body(sums.trace(number))
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
}

/// The traces of a segment as far as they lie in it.
///
/// Plain numbers row by row; texts are found, and traces put together, for those that are asked for.
private struct PartSums {
    private struct Sum {
        var startUnixNano = Int64.max
        var endUnixNano = Int64.min
        var spanCount: Int64 = 0
        var errorCount: Int64 = 0
        var timeoutCount: Int64 = 0
        var isWanted = false
    }

    private let part: SpanPass.TracePart
    private let start, end, spans: PassedIntegers
    private let isChild: ColumnPresence
    private let columns: [PassedTexts]
    private var sums: [Sum]
    /// By trace and column the row whose text is the trace's, or -1.
    private var naming: [Int32]

    init(_ part: SpanPass.TracePart, _ names: [String], key: String, _ window: TimeWindow) throws(SQLiteError) {
        let segment = part.segment
        self.part = part
        (start, end) = (try segment.integers("start_time_unix_nano"), try segment.integers("end_time_unix_nano"))
        isChild = try segment.presence("parent_span_id")
        spans = try segment.identities().spans
        var columns: [PassedTexts] = []
        for name in names { columns.append(try segment.texts(name)) }
        self.columns = columns
        sums = Array(repeating: Sum(), count: part.traces.count)
        naming = Array(repeating: -1, count: part.traces.count * names.count)
        try add(segment, columns[names.firstIndex(of: key) ?? 0], window)
    }

    private mutating func add(_ segment: PassedSegment, _ keys: PassedTexts, _ window: TimeWindow) throws(SQLiteError) {
        let status = try segment.integers("status_code")
        let outcome = try segment.texts("outcome")
        let isHidden = try TraceOutlines.hiddenRows(of: segment)
        let timeout = outcome.texts.firstIndex(of: "timeout") ?? .max
        segment.forEachRow { row in
            let number = part.numbers[row]
            let began = start[row] ?? 0
            if keys.number(row) >= 0 && began >= window.from && began <= window.last { sums[number].isWanted = true }
            // What log records alone tell of, and spans know better, is no span of the trace: as in the view `traces`.
            if let isHidden, isHidden(row) { return }
            sums[number].spanCount += 1
            sums[number].startUnixNano = min(sums[number].startUnixNano, began)
            sums[number].endUnixNano = max(sums[number].endUnixNano, end[row] ?? 0)
            if status[row] == 2 { sums[number].errorCount += 1 }
            if outcome.number(row) == timeout { sums[number].timeoutCount += 1 }
            for (place, column) in columns.enumerated() where column.number(row) >= 0 {
                let slot = number * columns.count + place
                if naming[slot] < 0 || rank(row).precedes(rank(Int(naming[slot]))) { naming[slot] = Int32(truncatingIfNeeded: row) }
            }
        }
    }

    private func rank(_ row: Int) -> NamingRank {
        NamingRank(isChild: isChild[row], start: start[row] ?? 0, end: end[row] ?? 0, span: UInt64(bitPattern: spans[row] ?? 0))
    }

    /// Whether a trace that lies in this segment alone is meant.
    func isShown(_ number: Int) -> Bool { sums[number].isWanted && sums[number].spanCount > 0 }

    func trace(_ number: Int) -> TraceSums.Trace {
        let sum = sums[number]
        var trace = TraceSums.Trace(names: columns.count)
        trace.id = part.traces[number]
        (trace.startUnixNano, trace.endUnixNano, trace.spanCount) = (sum.startUnixNano, sum.endUnixNano, sum.spanCount)
        (trace.errorCount, trace.timeoutCount, trace.isWanted) = (sum.errorCount, sum.timeoutCount, sum.isWanted)
        for (place, column) in columns.enumerated() {
            let row = Int(naming[number * columns.count + place])
            guard row >= 0 else { continue }
            trace.note(column.texts[column.number(row)], at: place, rank(row))
        }
        return trace
    }
}
