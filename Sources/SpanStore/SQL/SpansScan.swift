import SQLite
import TelemetryModel

/// A scan of the spans that a plan lets through, segment after segment, one span at a time.
final class SpansScan {
    /// Values of the plan's terms.
    enum Argument {
        case text([UInt8])
        case integer(Int64)
        /// A value that no column of the term's type can be compared with here; SQLite decides for each row.
        case other
    }

    private let catalog: SegmentCatalog
    private var candidates: [SegmentCatalog.Entry] = []
    private var readsColumns = true
    private var trace: TraceID?
    private var equalities: [(column: Int, text: [UInt8])] = []
    private var startAtLeast = Int64.min
    private var startAtMost = Int64.max

    private var nextCandidate = 0
    private(set) var segment: SegmentRows?
    /// Rows of the current segment that may match; `nil` for all.
    private var rows: [Int32]?
    private var position = 0
    private var rowCount = 0
    private(set) var isAtEnd = true

    init(_ catalog: SegmentCatalog) {
        self.catalog = catalog
    }

    /// The current span's number in its segment.
    var row: Int { rows.map { Int($0[position]) } ?? position }

    /// Unique within the store: the segment's id and the span's number in it.
    var rowID: Int64 { (nextCandidate > 0 ? candidates[nextCandidate - 1].id : 0) << 24 | Int64(row) }

    func start(_ plan: SpansPlan, _ arguments: [Argument]) throws {
        try catalog.refresh()
        readsColumns = plan.readsColumns
        trace = nil
        equalities = []
        (startAtLeast, startAtMost) = (.min, .max)
        var isImpossible = false
        for (term, argument) in zip(plan.terms, arguments) {
            switch (term, argument) {
            case (.trace, .text(let text)):
                guard let wanted = TraceID(hexadecimal: String(decoding: text, as: UTF8.self)),
                    wanted.hexadecimal.utf8.elementsEqual(text), trace == nil || trace == wanted
                else {
                    isImpossible = true
                    continue
                }
                trace = wanted
            case (.startAbove(let inclusive), .integer(let bound)):
                if !inclusive && bound == .max {
                    isImpossible = true
                } else {
                    startAtLeast = max(startAtLeast, inclusive ? bound : bound + 1)
                }
            case (.startBelow(let inclusive), .integer(let bound)):
                if !inclusive && bound == .min {
                    isImpossible = true
                } else {
                    startAtMost = min(startAtMost, inclusive ? bound : bound - 1)
                }
            case (.equals(let column), .text(let text)): equalities.append((column, text))
            default: break
            }
        }
        candidates = isImpossible ? [] : catalog.entries.filter(mayMatch)
        nextCandidate = 0
        isAtEnd = false
        try advanceSegment()
    }

    private func mayMatch(_ entry: SegmentCatalog.Entry) -> Bool {
        guard entry.startMaximum >= startAtLeast, entry.startMinimum <= startAtMost else { return false }
        guard let trace else { return true }
        return entry.filter.mayContain(hash: TraceFilter.hash(trace))
    }

    func next() throws {
        position += 1
        if position >= rowCount { try advanceSegment() }
    }

    private func advanceSegment() throws {
        while nextCandidate < candidates.count {
            let entry = candidates[nextCandidate]
            nextCandidate += 1
            position = 0
            rows = nil
            if !readsColumns && trace == nil && equalities.isEmpty {
                segment = nil
                rowCount = entry.spanCount
                if rowCount > 0 { return }
                continue
            }
            guard let reader = try catalog.open(entry.id) else { continue }
            let opened = SegmentRows(reader)
            guard try filter(opened) else { continue }
            segment = opened
            rowCount = rows?.count ?? opened.reader.spanCount
            if rowCount > 0 { return }
        }
        segment = nil
        isAtEnd = true
    }

    /// Narrows `rows` by the plan; `false` when no row of the segment is left.
    private func filter(_ segment: SegmentRows) throws -> Bool {
        if let trace {
            rows = try segment.rows(of: trace)
            if rows?.isEmpty == true { return false }
        }
        for (column, text) in equalities {
            guard let matching = try segment.rows(column: column, equalTo: text) else { continue }
            if matching.isEmpty { return false }
            if let known = rows {
                let set = Set(matching)
                rows = known.filter(set.contains)
            } else {
                rows = matching
            }
        }
        return true
    }
}
