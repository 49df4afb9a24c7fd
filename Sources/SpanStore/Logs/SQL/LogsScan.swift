import SQLite

/// A scan of the log records that a plan lets through: segment after segment in the order of arrival, or by time.
final class LogsScan {
    private let catalog: LogCatalog
    private var conditions = LogsConditions([], [])
    private var candidates: [LogCatalog.Entry] = []
    private var nextCandidate = 0
    private var readsColumns = true
    private var ordered: LogsByTime?

    private var segment: LogRows?
    private var rows: [Int32] = []
    private var position = 0
    private var rowCount = 0
    private(set) var isAtEnd = true
    /// Segments that the last scan looked into: for tests of skipping.
    private(set) var openedCount = 0

    init(_ catalog: LogCatalog) {
        self.catalog = catalog
    }

    func start(_ plan: LogsPlan, _ arguments: [LogsConditions.Argument]) throws {
        try catalog.refresh()
        conditions = LogsConditions(plan.terms, arguments)
        candidates = try catalog.candidates(conditions)
        nextCandidate = 0
        readsColumns = plan.readsColumns || !plan.terms.isEmpty
        openedCount = 0
        isAtEnd = false
        segment = nil
        ordered = nil
        if let order = plan.order {
            let ordered = LogsByTime(candidates, isDescending: order == .descending) { [unowned self] in try open($0) }
            self.ordered = ordered
            try ordered.start()
            isAtEnd = ordered.current == nil
        } else {
            try advanceSegment()
        }
    }

    func next() throws {
        if let ordered {
            try ordered.next()
            isAtEnd = ordered.current == nil
            return
        }
        position += 1
        if position >= rowCount { try advanceSegment() }
    }

    private func advanceSegment() throws {
        segment = nil
        position = 0
        while nextCandidate < candidates.count {
            let entry = candidates[nextCandidate]
            nextCandidate += 1
            if readsColumns {
                let (opened, matching) = try open(entry)
                (segment, rows, rowCount) = (opened, matching, matching.count)
            } else {
                rowCount = Int(entry.recordCount)
            }
            if rowCount > 0 { return }
        }
        isAtEnd = true
    }

    private func open(_ entry: LogCatalog.Entry) throws -> (LogRows, [Int32]) {
        openedCount += 1
        let segment = try catalog.open(entry.id)
        return (segment, segment.rows(conditions))
    }

    private var current: (segment: LogRows, row: Int)? {
        if let ordered { return ordered.current }
        guard let segment, position < rows.count else { return nil }
        return (segment, Int(rows[position]))
    }

    /// Unique within one state of the store: the segment's id and the record's number in it.
    var rowID: Int64 {
        if let current { return current.segment.id << 24 | Int64(current.row) }
        return (nextCandidate > 0 ? candidates[nextCandidate - 1].id : 0) << 24 | Int64(position)
    }

    func value(_ column: Int) throws -> LogRows.Value {
        guard let current, let column = LogsColumn(rawValue: column) else { return .null }
        return try current.segment.value(current.row, column)
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
    private let open: (LogCatalog.Entry) throws -> (LogRows, [Int32])
    private var heads: [Head] = []
    /// The head that is next.
    private var best: Int?

    init(
        _ entries: [LogCatalog.Entry], isDescending: Bool, open: @escaping (LogCatalog.Entry) throws -> (LogRows, [Int32])
    ) {
        self.isDescending = isDescending
        self.open = open
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
            let (segment, rows) = try open(entry)
            guard !rows.isEmpty else { continue }
            let keyed = rows.map { (segment.facts.rows[Int($0)].shownTimeUnixNano, $0) }
            let sorted = isDescending ? keyed.sorted { $0 > $1 } : keyed.sorted { $0 < $1 }
            heads.append(Head(segment: segment, rows: sorted.map { $0.1 }))
            chooseHead()
        }
    }
}
