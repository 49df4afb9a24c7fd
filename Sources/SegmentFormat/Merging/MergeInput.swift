/// A segment of which another one is made, with the rows that go into it.
package struct MergeInput {
    package let segment: SegmentReader
    /// The ordinal of its first span (`StoredOrdinals`).
    package let firstOrdinal: Int64
    let rows: TakenRows

    package init(_ segment: SegmentReader, firstOrdinal: Int64) {
        self.segment = segment
        self.firstOrdinal = firstOrdinal
        rows = TakenRows(all: segment.spanCount)
    }

    /// - Parameter isLeftOut: for each row whether it is left out.
    package init(_ segment: SegmentReader, firstOrdinal: Int64, without isLeftOut: [Bool]) {
        self.segment = segment
        self.firstOrdinal = firstOrdinal
        rows = TakenRows(without: isLeftOut)
    }

    /// How many rows are taken.
    package var count: Int { rows.count }
    var takesAll: Bool { rows.takesAll }

    /// The number of a row among those that are taken; `nil` for one that is left out.
    @inline(__always)
    func number(_ row: Int) -> Int? { rows.number(row) }
}

/// Which rows of a segment go into another one.
struct TakenRows {
    /// All of the segment.
    let rowCount: Int
    /// How many are taken.
    let count: Int
    /// For each row its number among those that are taken, -1 for one that is left out; `nil` when all are taken.
    private let numbers: [Int32]?

    init(all rowCount: Int) {
        self.rowCount = rowCount
        count = rowCount
        numbers = nil
    }

    init(without isLeftOut: [Bool]) {
        var next: Int32 = 0
        numbers = isLeftOut.map { isLeftOut in
            if isLeftOut { return -1 }
            defer { next += 1 }
            return next
        }
        rowCount = isLeftOut.count
        count = Int(next)
    }

    var takesAll: Bool { numbers == nil }

    @inline(__always)
    func number(_ row: Int) -> Int? {
        guard let numbers else { return row }
        return numbers[row] < 0 ? nil : Int(numbers[row])
    }
}
