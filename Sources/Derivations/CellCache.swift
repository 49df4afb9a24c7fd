import TelemetryModel

/// A key of a `CellCache`.
protocol CellKey: Hashable, Sendable {
    /// Cheap, and the same for the same string instances; equal keys may differ in it.
    var quickHash: UInt64 { get }
}

/// A bounded cache from raw strings to what was resolved for them: numbers that are read for every span, and names that are
/// read when something is made. It is emptied when full: nothing that is counted lives here.
///
/// In front of the dictionary stands a small table by the identity of the strings, which a caller shares between spans: so a
/// frequent key is found without its strings being hashed.
struct CellCache<Key: CellKey, Cell: Sendable, Names: Sendable>: Sendable {
    private static var frontCount: Int { 1_024 }

    private var positions: [Key: Int32] = [:]
    private var front: [Int32] = Array(repeating: -1, count: 1_024)
    private var keys: [Key] = []
    var cells: [Cell] = []
    private(set) var names: [Names] = []

    init() {}

    /// The position of the key's cell, until the next insertion.
    @inline(__always)
    mutating func position(_ key: Key) -> Int? {
        let slot = Int(truncatingIfNeeded: key.quickHash) & (Self.frontCount - 1)
        let position = Int(front[slot])
        if position >= 0, keys[position] == key { return position }
        return slowPosition(key, slot)
    }

    private mutating func slowPosition(_ key: Key, _ slot: Int) -> Int? {
        guard let position = positions[key] else { return nil }
        front[slot] = position
        return Int(position)
    }

    /// The new cell's position, until the next insertion. One that is not to be kept lives until the cache is emptied.
    mutating func insert(_ key: Key, _ cell: Cell, _ names: Names, isKept: Bool) -> Int {
        if cells.count >= SpanDerivations.Limits.cellsMax { removeAll() }
        if isKept { positions[key] = Int32(truncatingIfNeeded: cells.count) }
        if isKept || keys.isEmpty { keys.append(key) } else { keys.append(keys[0]) }
        cells.append(cell)
        self.names.append(names)
        return cells.count - 1
    }

    mutating func removeAll() {
        positions.removeAll()
        keys.removeAll()
        cells.removeAll()
        names.removeAll()
        for index in front.indices { front[index] = -1 }
    }
}

/// Mixes the parts of a key.
struct QuickHash {
    private(set) var value: UInt64

    @inline(__always)
    init(_ instance: Int32, _ other: UInt8 = 0) {
        value = UInt64(UInt32(bitPattern: instance)) << 8 | UInt64(other)
    }

    /// The two words of a string: its bytes when it is short, else where its storage is. Used as a number only.
    @inline(__always)
    mutating func add(_ text: String) {
        let words = unsafeBitCast(text, to: (UInt64, UInt64).self)
        value = ByteHash.mix(value ^ words.0 ^ 0x9E37_79B9_7F4A_7C15, words.1 ^ 0xD6E8_FEB8_6659_FD93)
    }

    @inline(__always)
    mutating func add(_ text: String?) {
        if let text { add(text) } else { value = value &* 31 &+ 1 }
    }
}
