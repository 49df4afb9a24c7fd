import TelemetryModel

/// One value on its way into a column.
struct ColumnCell {
    /// As in `AttributeRecord`.
    var payload: UInt64
    var row: UInt32
    /// The part of the group in whose batch's bytes a slice lies.
    var part: UInt32
    /// The attribute column whose value this is, unchanged; -1 when there is none. Of derived columns only.
    var source: Int32
    var kind: AttributeKind

    var slice: ByteSlice {
        ByteSlice(offset: UInt32(truncatingIfNeeded: payload >> 32), count: UInt32(truncatingIfNeeded: payload))
    }
}

/// The values of a group's columns, column after column, in the order of rows.
///
/// Filled twice over: `count` each value, `place`, then `append` each again: so that all of a column lie together.
struct ColumnCells: ~Copyable {
    private var counts = RecordBuffer<Int32>()
    private var starts = RecordBuffer<Int32>()
    private var cells = RecordBuffer<ColumnCell>()

    /// Forgets all, and makes room for so many columns; more come by `addColumn`.
    mutating func removeAll(columnCount: Int) {
        counts.removeAll()
        counts.resize(to: columnCount, filling: 0)
    }

    mutating func addColumn() -> Int {
        counts.append(0)
        return counts.count - 1
    }

    var columnCount: Int { counts.count }

    @inline(__always)
    mutating func count(_ column: Int) { counts[column] &+= 1 }

    /// Gives each column its place. From here on `append`, as often as `count` was called.
    mutating func place() {
        starts.removeAll()
        var start: Int32 = 0
        for column in counts.indices {
            starts.append(start)
            start += counts[column]
            counts[column] = 0
        }
        cells.removeAll()
        cells.resize(to: Int(start), filling: ColumnCell(payload: 0, row: 0, part: 0, source: -1, kind: .empty))
    }

    /// Appends a value; of two that a row has in one column, the later stays.
    @inline(__always)
    mutating func append(_ cell: ColumnCell, to column: Int) {
        let used = counts[column]
        let next = Int(starts[column] &+ used)
        if used > 0 && cells[next &- 1].row == cell.row {
            cells[next &- 1] = cell
        } else {
            cells[next] = cell
            counts[column] = used &+ 1
        }
    }

    /// Positions of a column's values.
    @inline(__always)
    func indices(_ column: Int) -> Range<Int> {
        Int(starts[column])..<Int(starts[column] &+ counts[column])
    }

    @inline(__always)
    subscript(index: Int) -> ColumnCell { cells[index] }

    /// Where, from a position in a column's range on, the values of its part end.
    func endOfPart(_ position: Int, in range: Range<Int>) -> Int {
        var end = position + 1
        while end < range.upperBound && cells[end].part == cells[position].part { end += 1 }
        return end
    }

    /// The kind that all values of a column have; `nil` when they differ.
    func commonKind(_ column: Int) -> AttributeKind? {
        let range = indices(column)
        guard let first = range.first else { return nil }
        let kind = cells[first].kind
        for index in range where cells[index].kind != kind { return nil }
        return kind
    }

    /// Whether two columns hold the same values in the same rows, slice for slice.
    func areSame(_ left: Int, _ right: Int) -> Bool {
        let (first, second) = (indices(left), indices(right))
        guard first.count == second.count else { return false }
        for offset in 0..<first.count {
            let (one, other) = (cells[first.lowerBound + offset], cells[second.lowerBound + offset])
            guard one.payload == other.payload, one.row == other.row, one.kind == other.kind, one.part == other.part else {
                return false
            }
        }
        return true
    }
}
