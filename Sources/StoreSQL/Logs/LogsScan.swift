import SQLite
import SegmentFormat

/// A scan of the log records that a plan lets through: segment after segment in the order of arrival, or by time.
final class LogsScan {
    /// In which order records come, and what that takes. Nothing in it refers to the scan.
    private enum Mode {
        case atEnd
        /// As they lie: the current segment, `nil` when its records are only counted, and those that are still to come, the next one last.
        case stored(LogRows?, [Int32], waiting: [LogCatalog.Entry])
        case ordered(LogsByTime)
    }

    private let catalog: LogCatalog
    private var segments: LogScanSegments
    private var readsColumns = true
    private var mode = Mode.atEnd
    private var position = 0
    private var rowCount = 0
    /// The segment whose records are counted unopened.
    private var countedSegment: Int64 = 0

    init(_ catalog: LogCatalog) {
        self.catalog = catalog
        segments = LogScanSegments(catalog, LogsConditions([], []))
        catalog.scanBegan()
    }

    deinit { catalog.scanEnded() }

    var isAtEnd: Bool {
        if case .atEnd = mode { true } else { false }
    }

    /// Segments that the last scan looked into: for tests of skipping.
    var openedCount: Int { segments.openedCount }

    func start(_ plan: LogsPlan, _ arguments: [LogsConditions.Argument]) throws {
        mode = .atEnd
        try catalog.refresh()
        let conditions = LogsConditions(plan.terms, arguments)
        let candidates = try catalog.candidates(conditions)
        segments = LogScanSegments(catalog, conditions)
        readsColumns = plan.readsColumns || !plan.terms.isEmpty || catalog.scope != nil
        if let order = plan.order {
            let ordered = LogsByTime(candidates, isDescending: order == .descending, segments)
            try ordered.start()
            stand(in: ordered)
        } else {
            try advance(candidates.reversed())
        }
    }

    func next() throws {
        switch mode {
        case .atEnd: break
        case .ordered(let ordered):
            try ordered.next()
            stand(in: ordered)
        case .stored(_, _, let waiting):
            position += 1
            if position >= rowCount { try advance(waiting) }
        }
    }

    private func stand(in ordered: LogsByTime) {
        mode = ordered.current == nil ? .atEnd : .ordered(ordered)
    }

    /// Goes on to the next segment with records, the last of the list first.
    private func advance(_ waiting: [LogCatalog.Entry]) throws {
        mode = .atEnd
        position = 0
        var waiting = waiting
        while let entry = waiting.popLast() {
            if readsColumns {
                let (opened, matching) = try segments.open(entry)
                guard !matching.isEmpty else { continue }
                rowCount = matching.count
                mode = .stored(opened, matching, waiting: waiting)
            } else {
                guard entry.recordCount > 0 else { continue }
                countedSegment = entry.id
                rowCount = Int(entry.recordCount)
                mode = .stored(nil, [], waiting: waiting)
            }
            return
        }
    }

    private var current: (segment: LogRows, row: Int)? {
        switch mode {
        case .atEnd: nil
        case .ordered(let ordered): ordered.current
        case .stored(let segment, let rows, _):
            segment.flatMap { position < rows.count ? ($0, Int(rows[position])) : nil }
        }
    }

    /// Unique within one state of the store: the segment's id and the record's number in it.
    var rowID: Int64 {
        if let current { return current.segment.id << 24 | Int64(current.row) }
        return countedSegment << 24 | Int64(position)
    }

    func value(_ column: Int) throws -> LogRows.Value {
        guard let current, let column = LogsColumn(rawValue: column) else { return .null }
        return try current.segment.value(current.row, column)
    }
}

/// Opens segments for one scan of `logs`, and finds the rows that its conditions let through. It knows nothing of the scan, so that what
/// lives in a scan may hold it.
final class LogScanSegments {
    private let catalog: LogCatalog
    private let conditions: LogsConditions
    private(set) var openedCount = 0

    init(_ catalog: LogCatalog, _ conditions: LogsConditions) {
        self.catalog = catalog
        self.conditions = conditions
    }

    func open(_ entry: LogCatalog.Entry) throws -> (LogRows, [Int32]) {
        openedCount += 1
        let segment = try catalog.open(entry.id)
        let rows = segment.rows(conditions)
        return (segment, catalog.scope.map { segment.rows(rows, of: $0) } ?? rows)
    }
}

/// Log records of several segments by time, those of one time in the order of arrival. A segment is opened when its first record may be
/// next, so that a query with a LIMIT opens few.
final class LogsByTime {
    private struct Head {
        var segment: LogRows
        var rows: [Int32]
        var position = 0

        var row: Int { Int(rows[position]) }
        /// Orders records of all segments.
        var key: (time: Int64, segment: Int64, row: Int) { (segment.facts.rows[row].shownTimeUnixNano, segment.id, row) }
    }

    /// The one to open next comes last.
    private var waiting: [LogCatalog.Entry]
    private let isDescending: Bool
    private let segments: LogScanSegments
    private var heads: [Head] = []
    /// The head that is next.
    private var best: Int?

    init(_ entries: [LogCatalog.Entry], isDescending: Bool, _ segments: LogScanSegments) {
        self.isDescending = isDescending
        self.segments = segments
        waiting =
            isDescending
            ? entries.sorted { $0.timeMaximum < $1.timeMaximum } : entries.sorted { $0.timeMinimum > $1.timeMinimum }
    }

    var current: (segment: LogRows, row: Int)? { best.map { (heads[$0].segment, heads[$0].row) } }

    func start() throws { try choose() }

    func next() throws {
        if let best {
            heads[best].position += 1
            if heads[best].position == heads[best].rows.count { heads.remove(at: best) }
        }
        try choose()
    }

    private func comes(_ left: Head, before right: Head) -> Bool { isDescending ? left.key > right.key : left.key < right.key }

    private func chooseHead() {
        best = heads.indices.min { comes(heads[$0], before: heads[$1]) }
    }

    private func choose() throws {
        chooseHead()
        // Of segments that may hold an earlier record, or one of the same time.
        while let entry = waiting.last {
            if let best {
                let time = heads[best].key.time
                if isDescending ? entry.timeMaximum < time : entry.timeMinimum > time { return }
            }
            waiting.removeLast()
            let (segment, rows) = try segments.open(entry)
            guard !rows.isEmpty else { continue }
            let keyed = rows.map { (segment.facts.rows[Int($0)].shownTimeUnixNano, $0) }
            let sorted = isDescending ? keyed.sorted { $0 > $1 } : keyed.sorted { $0 < $1 }
            heads.append(Head(segment: segment, rows: sorted.map { $0.1 }))
            chooseHead()
        }
    }
}
