/// A bounded cache from raw strings to what was resolved for them. It is emptied when full: nothing that is counted lives here.
struct CellCache<Key: Hashable & Sendable, Cell: Sendable>: Sendable {
    private var positions: [Key: Int32] = [:]
    private(set) var cells: [Cell] = []
    private var lastKey: Key?
    private var lastPosition = 0

    init() {}

    @inline(__always)
    mutating func position(_ key: Key) -> Int? {
        if let lastKey, lastKey == key { return lastPosition }
        guard let position = positions[key] else { return nil }
        lastKey = key
        lastPosition = Int(position)
        return lastPosition
    }

    /// The cell's position until the next insertion. One that is not to be kept stays until then only.
    mutating func insert(_ key: Key, _ cell: Cell, isKept: Bool) -> Int {
        if cells.count >= SpanDerivations.Limits.cellsMax { removeAll() }
        if isKept { positions[key] = Int32(truncatingIfNeeded: cells.count) }
        cells.append(cell)
        return cells.count - 1
    }

    subscript(position: Int) -> Cell {
        _read { yield cells[position] }
        _modify { yield &cells[position] }
    }

    mutating func removeAll() {
        positions.removeAll()
        cells.removeAll()
        lastKey = nil
    }
}
