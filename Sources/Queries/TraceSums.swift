import SQLite
import SegmentFormat
import SpanStore
import StoreSQL
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
        var session = Name()
        var user = Name()
        var service = Name()
        /// A span of it has a value in the key's column and began in the window.
        fileprivate var isWanted = false
    }

    /// What a trace is called in one column: the text of the root, else of the span that started first, as `first_of` finds it in SQL.
    struct Name: Sendable {
        private(set) var text: String?
        private var rank: NamingRank?

        fileprivate init() {}

        fileprivate init(_ text: String, _ rank: NamingRank) { (self.text, self.rank) = (text, rank) }

        fileprivate mutating func take(_ other: Name) {
            guard let otherRank = other.rank else { return }
            if let rank, !otherRank.precedes(rank) { return }
            self = other
        }
    }

    /// Traces are meant of which a span has a value in its column and began in the window.
    let key: TraceTotals.Key
    let window: TimeWindow

    /// Calls `body` with each trace that is meant, in no order.
    func each(_ reader: QueryReader, _ body: (Trace) -> Void) throws {
        var scattered: [TraceID: Trace] = [:]
        try reader.passTraces(SpanPass.Bounds(.start, from: window.from, until: window.to)) { part throws(SQLiteError) in
            let sums = try PartSums(part, key, window)
            for number in part.traces.indices {
                if part.isScattered[number] {
                    let id = part.traces[number]
                    if !part.mayBeWithin && scattered[id] == nil { continue }
                    merge(sums.trace(number), into: &scattered[id, default: Trace()])
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
        trace.session.take(part.session)
        trace.user.take(part.user)
        trace.service.take(part.service)
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

        /// Adds a span.
        @inline(__always)
        mutating func add(start: Int64, end: Int64, isError: Bool, isTimeout: Bool, isWanted: Bool) {
            startUnixNano = min(startUnixNano, start)
            endUnixNano = max(endUnixNano, end)
            spanCount += 1
            if isError { errorCount += 1 }
            if isTimeout { timeoutCount += 1 }
            if isWanted { self.isWanted = true }
        }
    }

    private let part: SpanPass.TracePart
    private let start, end, spans: PassedIntegers
    private let isChild: ColumnPresence
    private let sessions, users, services: PassedTexts
    private var sums: [Sum]
    /// By trace the row whose text is the trace's, or -1.
    private var sessionRows: [Int32] = []
    private var userRows: [Int32] = []
    private var serviceRows: [Int32] = []

    init(_ part: SpanPass.TracePart, _ key: TraceTotals.Key, _ window: TimeWindow) throws(SQLiteError) {
        let segment = part.segment
        self.part = part
        (start, end) = (try segment.integers("start_time_unix_nano"), try segment.integers("end_time_unix_nano"))
        isChild = try segment.presence("parent_span_id")
        spans = try segment.spanIDs()
        (sessions, users, services) = (try segment.texts("session_id"), try segment.texts("user_id"), try segment.texts("service_name"))
        sums = Array(repeating: Sum(), count: part.traces.count)
        try add(segment, key == .session ? sessions : users, window)
    }

    private mutating func add(_ segment: PassedSegment, _ keys: PassedTexts, _ window: TimeWindow) throws(SQLiteError) {
        let status = try segment.integers("status_code")
        let outcome = try segment.texts("outcome")
        let isHidden = try TraceOutlines.hiddenRows(of: segment)
        let timeout = outcome.texts.firstIndex(of: "timeout") ?? .max
        let (numbers, start, end) = (part.numbers, start, end)
        segment.forEachRow { row in
            let began = start[row] ?? 0
            let isWanted = keys.number(row) >= 0 && began >= window.from && began <= window.last
            // What log records alone tell of, and spans know better, is no span of the trace: as in the view `traces`.
            if let isHidden, isHidden(row) {
                if isWanted { sums[numbers[row]].isWanted = true }
                return
            }
            sums[numbers[row]].add(
                start: began, end: end[row] ?? 0, isError: status[row] == 2, isTimeout: outcome.number(row) == timeout, isWanted: isWanted)
        }
        sessionRows = namingRows(sessions, isHidden)
        userRows = namingRows(users, isHidden)
        serviceRows = namingRows(services, isHidden)
    }

    /// Of each trace the row whose text in a column is the trace's, or -1.
    private func namingRows(_ column: PassedTexts, _ isHidden: ((Int) -> Bool)?) -> [Int32] {
        let numbers = part.numbers
        var rows = [Int32](repeating: -1, count: part.traces.count)
        if column.texts.isEmpty { return rows }
        part.segment.forEachRow { row in
            if column.number(row) < 0 { return }
            if let isHidden, isHidden(row) { return }
            let named = Int(rows[numbers[row]])
            if named < 0 || rank(row).precedes(rank(named)) { rows[numbers[row]] = Int32(truncatingIfNeeded: row) }
        }
        return rows
    }

    private func rank(_ row: Int) -> NamingRank {
        NamingRank(isChild: isChild[row], start: start[row] ?? 0, end: end[row] ?? 0, span: UInt64(bitPattern: spans[row] ?? 0))
    }

    /// Whether a trace that lies in this segment alone is meant.
    func isShown(_ number: Int) -> Bool { sums[number].isWanted && sums[number].spanCount > 0 }

    func trace(_ number: Int) -> TraceSums.Trace {
        let sum = sums[number]
        var trace = TraceSums.Trace()
        trace.id = part.traces[number]
        (trace.startUnixNano, trace.endUnixNano, trace.spanCount) = (sum.startUnixNano, sum.endUnixNano, sum.spanCount)
        (trace.errorCount, trace.timeoutCount, trace.isWanted) = (sum.errorCount, sum.timeoutCount, sum.isWanted)
        (trace.session, trace.user) = (name(sessions, sessionRows[number]), name(users, userRows[number]))
        trace.service = name(services, serviceRows[number])
        return trace
    }

    private func name(_ column: PassedTexts, _ row: Int32) -> TraceSums.Name {
        row < 0 ? TraceSums.Name() : TraceSums.Name(column.texts[column.number(Int(row))], rank(Int(row)))
    }
}
