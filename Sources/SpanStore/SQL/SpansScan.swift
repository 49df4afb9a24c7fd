import SQLite
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

    /// With fewer than one row in so many, a scan does not put whole columns together.
    private static let sparseRows = 16

    private let catalog: SegmentCatalog
    private let attributes: [String]
    private let report: ScanReport
    private var candidates: [SegmentCatalog.Entry] = []
    private var readsColumns = true
    private var traces: Set<TraceID>?
    private var filters: [SegmentRows.Filter] = []
    private var start = Int64.min...Int64.max
    private var end = Int64.min...Int64.max

    private var nextCandidate = 0
    private(set) var segment: SegmentRows? {
        didSet { place.pointee.columns = segment?.shown.columns }
    }
    /// Where the scan stands. Valid as long as the scan.
    let place: UnsafeMutablePointer<ScanPlace>
    private var rowMemory: UnsafeMutablePointer<Int32>?
    private var rowCapacity = 0
    private lazy var loader = SegmentLoader(catalog)
    private var tokenCalls: TokenCallRows?
    private var ordered: OrderedRows?
    private var grouped: (any RowGroups)?
    private var isLastGroup = false

    /// - Parameter attributes: keys of the attributes that are columns behind those of `SpansColumn.all`.
    init(_ catalog: SegmentCatalog, attributes: [String], report: ScanReport) {
        self.catalog = catalog
        self.attributes = attributes
        self.report = report
        place = .allocate(capacity: 1)
        place.initialize(to: ScanPlace())
    }

    deinit {
        if let segment { report.close(segment.reader) }
        place.deallocate()
        rowMemory?.deallocate()
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

    /// Unique within the store: the segment's id and the span's number in it.
    var rowID: Int64 {
        let id = segment?.reader.id ?? (nextCandidate > 0 ? candidates[nextCandidate - 1].id : 0)
        return id << 24 | Int64(place.pointee.row)
    }

    /// What a row's number says.
    static func place(ofRowID id: Int64) -> (segment: Int64, row: Int32) { (id >> 24, Int32(truncatingIfNeeded: id & 0xFF_FFFF)) }

    static func trace(_ text: [UInt8]) -> TraceID? {
        guard let trace = TraceID(hexadecimal: String(decoding: text, as: UTF8.self)),
            trace.hexadecimal.utf8.elementsEqual(text)
        else { return nil }
        return trace
    }

    func start(_ plan: SpansPlan, _ arguments: [Argument]) throws {
        try catalog.refresh()
        readsColumns = plan.readsColumns
        traces = nil
        filters = []
        (start, end) = (.min ... .max, .min ... .max)
        var isImpossible = false
        for (term, argument) in zip(plan.terms, arguments) {
            filters.append(.init(column: term.column, comparison: term.comparison, argument: argument))
            if !narrow(term, argument) { isImpossible = true }
        }
        tokenCalls = TokenCallRows(catalog, loader, traces: traces, report: report)
        report.begin(segments: catalog.entries.count)
        candidates = isImpossible ? [] : catalog.entries.filter(mayMatch)
        report.skip(candidates.count, of: catalog.entries.count)
        nextCandidate = 0
        place.pointee.isAtEnd = false
        ordered = nil
        grouped = nil
        if let order = plan.orders.first, order.column == SpansColumn.startTimeIndex {
            try startOrdered(order)
        } else {
            if plan.groupsTraces {
                grouped = try TraceGroups(candidates, open: { [unowned self] in try open($0) }, reopen: { [unowned self] in try reopen($0) })
            } else if !plan.orders.isEmpty {
                grouped = try GroupedRows(candidates, plan.orders, open: open)
            }
            try advanceSegment()
        }
    }

    /// Narrows what whole segments are asked; `false` when no span can fulfil the term.
    private func narrow(_ term: SpansPlan.Term, _ argument: Argument) -> Bool {
        guard term.column < SpansColumn.all.count else { return true }
        switch SpansColumn.all[term.column].source {
        case .traceID:
            guard case .texts(let texts)? = ColumnCondition.texts(term.comparison, argument) else { return true }
            let wanted = Set(texts.compactMap(Self.trace))
            traces = traces.map { $0.intersection(wanted) } ?? wanted
            return traces?.isEmpty == false
        case .startTime: return Self.narrow(&start, term, argument)
        case .endTime: return Self.narrow(&end, term, argument)
        default: return true
        }
    }

    private static func narrow(_ range: inout ClosedRange<Int64>, _ term: SpansPlan.Term, _ argument: Argument) -> Bool {
        switch ColumnCondition.integers(term.comparison, argument) {
        case .nothing: return false
        case .integers(let wanted):
            guard range.overlaps(wanted) else { return false }
            range = range.clamped(to: wanted)
        default: break
        }
        return true
    }

    private func mayMatch(_ entry: SegmentCatalog.Entry) -> Bool {
        guard entry.startMaximum >= start.lowerBound, entry.startMinimum <= start.upperBound,
            entry.endMaximum >= end.lowerBound, entry.endMinimum <= end.upperBound
        else { return false }
        guard let traces else { return true }
        return traces.contains { entry.filter.mayContain(hash: TraceFilter.hash($0)) }
    }

    func next() throws {
        if let ordered {
            try advance(ordered)
            return
        }
        place.pointee.position += 1
        if place.pointee.position >= place.pointee.rowCount { try advanceSegment() }
    }

    private func advanceSegment() throws {
        if let grouped { return try advance(grouped) }
        if let segment { report.close(segment.reader) }
        while nextCandidate < candidates.count {
            let entry = candidates[nextCandidate]
            nextCandidate += 1
            if !readsColumns && filters.isEmpty {
                segment = nil
                show(nil, count: entry.spanCount)
                report.counted(spans: entry.spanCount)
                if entry.spanCount > 0 { return }
                continue
            }
            guard let opened = try open(entry) else { continue }
            segment = opened.segment
            let count = opened.rows?.count ?? opened.segment.reader.spanCount
            show(opened.rows, count: count)
            if count > 0 { return }
        }
        segment = nil
        place.pointee.isAtEnd = true
    }

    /// Opens a segment and finds the rows that may match; `nil` when there are none.
    private func open(_ entry: SegmentCatalog.Entry) throws -> (segment: SegmentRows, rows: [Int32]?)? {
        guard let segment = try reopen(entry) else { return nil }
        let reader = segment.reader
        var rows: [Int32]?
        for filter in filters {
            rows = try segment.rows(filter, among: rows)
            if rows?.isEmpty == true {
                report.skipByValues()
                report.close(reader)
                return nil
            }
        }
        let count = rows?.count ?? reader.spanCount
        report.passed(spans: count)
        segment.isSparse = count * Self.sparseRows < reader.spanCount
        return (segment, rows)
    }

    /// Opens a segment without looking for rows.
    private func reopen(_ entry: SegmentCatalog.Entry) throws -> SegmentRows? {
        let report = report
        return try catalog.open(entry.id, loader, onRead: { report.read(bytes: $1) }).map {
            SegmentRows($0, attributes: attributes, tokenCalls: tokenCalls)
        }
    }

    // MARK: In order

    private func startOrdered(_ order: SpansPlan.Order) throws {
        let ordered = OrderedRows(candidates, order) { [self] entry in try open(entry) }
        self.ordered = ordered
        try ordered.start()
        show(ordered)
    }

    private func advance(_ grouped: any RowGroups) throws {
        if let segment, isLastGroup { report.close(segment.reader) }
        let group = try grouped.next()
        segment = group?.segment
        show(group?.rows ?? [], count: group?.rows.count ?? 0)
        isLastGroup = group?.isLast ?? false
        place.pointee.isAtEnd = group == nil
    }

    private func advance(_ ordered: OrderedRows) throws {
        let before = ordered.current?.segment
        try ordered.next()
        if let before, before !== ordered.current?.segment, ordered.isOut(before) { report.close(before.reader) }
        show(ordered)
    }

    private func show(_ ordered: OrderedRows) {
        guard let current = ordered.current else {
            segment = nil
            place.pointee.isAtEnd = true
            return
        }
        if segment !== current.segment { segment = current.segment }
        // Without rows to go on to: the heap says which is next.
        show(nil, count: 0)
        place.pointee.position = current.row
    }
}
