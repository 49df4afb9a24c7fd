import TelemetryModel

/// Spans of several segments in the order of one column.
///
/// By start time a segment is opened when its first span may be next, so that a query with a LIMIT opens few; the heads of the open
/// ones lie in a heap. By a text, all segments are opened and their rows put into groups of one text each, which needs no
/// comparison of rows.
final class OrderedRows {
    /// Spans that are given in the order of a text; with more, SQLite sorts.
    static let groupedSpansMax = 4_000_000

    struct Current {
        var segment: SegmentRows
        var row: Int
    }

    private struct Head {
        var segment: SegmentRows
        var rows: [Int32]
        var starts: [Int64]
        var position: Int
        var start: Int64 { starts[position] }
    }

    private struct Group {
        var segment: SegmentRows
        var rows: [Int32]
        var rank: Int
    }

    private var waiting: [SegmentCatalog.Entry]
    private let order: SpansPlan.Order
    private let open: (SegmentCatalog.Entry) throws -> (segment: SegmentRows, rows: [Int32]?)?
    private let isByStart: Bool

    /// A heap: the head that is next comes first.
    private var heads: [Head] = []
    private var groups: [Group] = []
    private var nextGroup = 0
    private var position = 0
    private(set) var current: Current?

    init(
        _ entries: [SegmentCatalog.Entry], _ order: SpansPlan.Order,
        open: @escaping (SegmentCatalog.Entry) throws -> (segment: SegmentRows, rows: [Int32]?)?
    ) {
        self.order = order
        self.open = open
        isByStart = order.column == SpansColumn.startTimeIndex
        // The one to open next comes last.
        waiting =
            order.isDescending
            ? entries.sorted { $0.startMaximum < $1.startMaximum } : entries.sorted { $0.startMinimum > $1.startMinimum }
    }

    func start() throws {
        if isByStart {
            try openDue()
            showHead()
        } else {
            try gather()
            showGroup()
        }
    }

    func next() throws {
        if isByStart {
            advanceHead()
            try openDue()
            showHead()
        } else {
            position += 1
            showGroup()
        }
    }

    /// Whether no more rows of the segment come.
    func isOut(_ segment: SegmentRows) -> Bool {
        isByStart ? !heads.contains { $0.segment === segment } : !groups[min(nextGroup, groups.count)...].contains { $0.segment === segment }
    }

    // MARK: By start

    private func comes(_ left: Int64, before right: Int64) -> Bool { order.isDescending ? left > right : left < right }

    /// Opens the segments that may hold a span before the first head.
    private func openDue() throws {
        while let entry = waiting.last {
            let earliest = order.isDescending ? entry.startMaximum : entry.startMinimum
            if let head = heads.first, comes(head.start, before: earliest) { return }
            waiting.removeLast()
            guard let opened = try open(entry) else { continue }
            var (rows, starts) = try opened.segment.rowsByStart(opened.rows)
            if order.isDescending {
                rows.reverse()
                starts.reverse()
            }
            guard !rows.isEmpty else { continue }
            heads.append(Head(segment: opened.segment, rows: rows, starts: starts, position: 0))
            rise(heads.count - 1)
        }
    }

    private func showHead() {
        current = heads.first.map { Current(segment: $0.segment, row: Int($0.rows[$0.position])) }
    }

    private func advanceHead() {
        guard !heads.isEmpty else { return }
        heads[0].position += 1
        if heads[0].position == heads[0].rows.count {
            heads.swapAt(0, heads.count - 1)
            heads.removeLast()
        }
        sink()
    }

    private func rise(_ index: Int) {
        var index = index
        while index > 0, comes(heads[index].start, before: heads[(index - 1) / 2].start) {
            heads.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private func sink() {
        var index = 0
        while 2 * index + 1 < heads.count {
            var child = 2 * index + 1
            if child + 1 < heads.count, comes(heads[child + 1].start, before: heads[child].start) { child += 1 }
            guard comes(heads[child].start, before: heads[index].start) else { return }
            heads.swapAt(child, index)
            index = child
        }
    }

    // MARK: By text

    private func gather() throws {
        var gathered: [(text: [UInt8]?, group: Group)] = []
        while let entry = waiting.popLast() {
            guard let opened = try open(entry) else { continue }
            for (text, rows) in try opened.segment.groups(column: order.column, opened.rows) {
                gathered.append((text, Group(segment: opened.segment, rows: rows, rank: 0)))
            }
        }
        let texts = Set(gathered.compactMap(\.text)).sorted { $0.lexicographicallyPrecedes($1) }
        var ranks: [[UInt8]: Int] = [:]
        for (rank, text) in texts.enumerated() { ranks[text] = rank + 1 }
        // NULL comes before any text.
        groups = gathered.map { text, group in
            var group = group
            group.rank = text.flatMap { ranks[$0] } ?? 0
            return group
        }
        let isDescending = order.isDescending
        groups.sort { isDescending ? $0.rank > $1.rank : $0.rank < $1.rank }
    }

    private func showGroup() {
        while nextGroup < groups.count, position >= groups[nextGroup].rows.count {
            groups[nextGroup].rows = []
            nextGroup += 1
            position = 0
        }
        guard nextGroup < groups.count else {
            current = nil
            return
        }
        current = Current(segment: groups[nextGroup].segment, row: Int(groups[nextGroup].rows[position]))
    }
}
