import SQLite
import SegmentFormat
import TelemetryModel

/// A scan of the spans that a plan lets through: segment after segment as they lie, or in the order of one column.
final class SpansScan {
    /// Values of the plan's terms.
    enum Argument {
        case null
        case text([UInt8])
        case integer(Int64)
        case double(Double)
        case list([Argument])
        /// A value that cannot be compared with here; SQLite decides for each row.
        case other
    }

    /// In which order spans come, and what that takes. Nothing in it refers to the scan.
    private enum Mode {
        case atEnd
        /// As they lie: the segments that are still to come, the next one last.
        case stored([SegmentCatalog.Entry], ScanSegments)
        /// By their starts.
        case ordered(OrderedRows)
        /// Those of a group after each other. `isLast` says whether the current rows are the last of their segment.
        case grouped(any RowGroups, isLast: Bool)
    }

    private let catalog: SegmentCatalog
    private let attributes: [AttributeColumn]
    private let report: ScanReport
    private var mode = Mode.atEnd
    /// Whether a segment need not be opened: no column is read, and no condition is to be looked at.
    private var onlyCounts = false

    private(set) var segment: SegmentRows? {
        didSet { place.pointee.columns = segment?.shown.columns }
    }
    /// The segment whose rows are counted unopened.
    private var countedSegment: Int64 = 0
    /// Where the scan stands. Valid as long as the scan.
    let place: UnsafeMutablePointer<ScanPlace>
    private var rowMemory: UnsafeMutablePointer<Int32>?
    private var rowCapacity = 0

    /// - Parameter attributes: calls that are columns behind those of `SpansColumn.all`.
    init(_ catalog: SegmentCatalog, attributes: [AttributeColumn], report: ScanReport) {
        self.catalog = catalog
        self.attributes = attributes
        self.report = report
        place = .allocate(capacity: 1)
        place.initialize(to: ScanPlace())
        report.scanBegan()
    }

    deinit {
        if let segment { report.close(segment.reader) }
        place.deallocate()
        rowMemory?.deallocate()
        report.scanEnded()
    }

    /// Unique within the store: the segment's id and the span's number in it.
    var rowID: Int64 { (segment?.reader.id ?? countedSegment) << 24 | Int64(place.pointee.row) }

    /// What a row's number says.
    static func place(ofRowID id: Int64) -> (segment: Int64, row: Int32) { (id >> 24, Int32(truncatingIfNeeded: id & 0xFF_FFFF)) }

    static func trace(_ text: [UInt8]) -> TraceID? {
        guard let trace = TraceID(hexadecimal: String(decoding: text, as: UTF8.self)),
            trace.hexadecimal.utf8.elementsEqual(text)
        else { return nil }
        return trace
    }

    // MARK: Start

    func start(_ plan: SpansPlan, _ arguments: [Argument]) throws {
        mode = .atEnd
        try catalog.refresh()
        let bounds = ScanBounds(plan, arguments)
        let loader = catalog.loader()
        let segments = ScanSegments(
            catalog: catalog, loader: loader, attributes: attributes, filters: bounds.filters,
            calls: StoredCalls(catalog, loader, traces: bounds.traces, time: bounds.time, report: report), report: report)
        report.begin(segments: catalog.entries.count)
        let candidates = catalog.entries.filter(bounds.mayHold)
        report.skip(candidates.count, of: catalog.entries.count)
        onlyCounts = !plan.readsColumns && bounds.filters.isEmpty && catalog.scope == nil
        place.pointee.isAtEnd = false
        try begin(plan, candidates, segments)
    }

    private func begin(_ plan: SpansPlan, _ candidates: [SegmentCatalog.Entry], _ segments: ScanSegments) throws {
        if let order = plan.orders.first, order.column == SpansColumn.startTimeIndex {
            let ordered = OrderedRows(candidates, order, segments)
            mode = .ordered(ordered)
            try ordered.start()
            show(ordered)
        } else if plan.groupsTraces {
            try advance(TraceGroups(candidates, segments), isLast: false)
        } else if !plan.orders.isEmpty {
            try advance(GroupedRows(candidates, plan.orders, segments), isLast: false)
        } else {
            try advance(candidates.reversed(), segments)
        }
    }

    // MARK: Rows

    /// Goes on to the next row, past those that `place` holds.
    func next() throws {
        place.pointee.position += 1
        switch mode {
        case .atEnd: place.pointee.isAtEnd = true
        case .stored(let entries, let segments):
            if place.pointee.position >= place.pointee.rowCount { try advance(entries, segments) }
        case .ordered(let ordered): try advance(ordered)
        case .grouped(let groups, let isLast):
            if place.pointee.position >= place.pointee.rowCount { try advance(groups, isLast: isLast) }
        }
    }

    private func end() {
        mode = .atEnd
        segment = nil
        place.pointee.isAtEnd = true
    }

    /// Goes on to the next segment with rows, the last of the list first.
    private func advance(_ waiting: [SegmentCatalog.Entry], _ segments: ScanSegments) throws {
        if let segment { report.close(segment.reader) }
        // Until a segment is open no row is there to go on from, should opening one fail.
        mode = .atEnd
        segment = nil
        var waiting = waiting
        while let entry = waiting.popLast() {
            if onlyCounts {
                guard entry.spanCount > 0 else { continue }
                countedSegment = entry.id
                show(nil, count: entry.spanCount)
                report.counted(spans: entry.spanCount)
            } else {
                guard let opened = try segments.open(entry) else { continue }
                let count = opened.rows?.count ?? opened.segment.reader.spanCount
                guard count > 0 else { continue }
                segment = opened.segment
                show(opened.rows, count: count)
            }
            mode = .stored(waiting, segments)
            return
        }
        end()
    }

    private func advance(_ groups: any RowGroups, isLast: Bool) throws {
        if let segment, isLast { report.close(segment.reader) }
        guard let group = try groups.next() else { return end() }
        if segment !== group.segment { segment = group.segment }
        show(group.rows, count: group.rows.count)
        mode = .grouped(groups, isLast: group.isLast)
    }

    private func advance(_ ordered: OrderedRows) throws {
        let before = ordered.current?.segment
        try ordered.next()
        if let before, before !== ordered.current?.segment, ordered.isOut(before) { report.close(before.reader) }
        show(ordered)
    }

    private func show(_ ordered: OrderedRows) {
        guard let current = ordered.current else { return end() }
        if segment !== current.segment { segment = current.segment }
        // Without rows to go on to: the heap says which is next.
        show(nil, count: 0)
        place.pointee.position = current.row
    }

    /// Stands at the first of these rows of the segment, or of all.
    private func show(_ rows: [Int32]?, count: Int) {
        place.pointee.position = 0
        place.pointee.rowCount = count
        place.pointee.rows = nil
        guard let rows else { return }
        if rowCapacity < rows.count || rowMemory == nil {
            rowMemory?.deallocate()
            rowCapacity = max(rows.count, 1024)
            rowMemory = .allocate(capacity: rowCapacity)
        }
        guard let rowMemory else { return }
        rows.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { rowMemory.update(from: start, count: source.count) }
        }
        place.pointee.rows = UnsafePointer(rowMemory)
    }
}
