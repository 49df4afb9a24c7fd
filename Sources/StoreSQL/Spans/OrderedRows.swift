import TelemetryModel

/// Spans of several segments in the order of their starts. A segment is opened when its first span may be next, so that a query with
/// a LIMIT opens few; the heads of the open ones lie in a heap.
final class OrderedRows {
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

    private var waiting: [SegmentCatalog.Entry]
    private let order: SpansPlan.Order
    private let segments: ScanSegments

    /// A heap: the head that is next comes first.
    private var heads: [Head] = []
    private(set) var current: Current?

    init(_ entries: [SegmentCatalog.Entry], _ order: SpansPlan.Order, _ segments: ScanSegments) {
        self.order = order
        self.segments = segments
        // The one to open next comes last.
        waiting =
            order.isDescending
            ? entries.sorted { $0.startMaximum < $1.startMaximum } : entries.sorted { $0.startMinimum > $1.startMinimum }
    }

    func start() throws {
        try openDue()
        showHead()
    }

    func next() throws {
        advanceHead()
        try openDue()
        showHead()
    }

    /// Whether no more rows of the segment come.
    func isOut(_ segment: SegmentRows) -> Bool {
        !heads.contains { $0.segment === segment }
    }

    private func comes(_ left: Int64, before right: Int64) -> Bool { order.isDescending ? left > right : left < right }

    /// Opens the segments that may hold a span before the first head.
    private func openDue() throws {
        while let entry = waiting.last {
            let earliest = order.isDescending ? entry.startMaximum : entry.startMinimum
            if let head = heads.first, comes(head.start, before: earliest) { return }
            waiting.removeLast()
            guard let opened = try segments.open(entry) else { continue }
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
}
