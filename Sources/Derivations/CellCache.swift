import TelemetryModel

/// A key of a `CellCache`.
protocol CellKey: Hashable, Sendable {
    /// Cheap, and the same for equal keys.
    var quickHash: UInt64 { get }
}

/// A bounded cache from raw strings to what was resolved for them: numbers that are read for every span, and names that are
/// read when something is made. It is emptied when full: nothing that is counted lives here.
///
/// In front of the dictionary stands a small table by a hash of a few bytes of the strings: so a frequent key is found by comparing it
/// with one other. Keys that fall on one place of it take turns, each found in the dictionary, whose hash is seeded.
struct CellCache<Key: CellKey, Cell: Sendable, Names: Sendable>: Sendable {
    private static var frontCount: Int { 1_024 }

    private var positions: [Key: Int32] = [:]
    private var front: [Int32] = Array(repeating: -1, count: 1_024)
    private var keys: [Key] = []
    var cells: [Cell] = []
    private(set) var names: [Names] = []
    /// How often it was emptied: positions of before mean nothing.
    private(set) var generation = 0

    init() {}

    /// The position of the key's cell, until the next insertion.
    @inline(__always)
    mutating func position(_ key: Key) -> Int? {
        // The upper half is the better mixed one.
        let slot = Int(truncatingIfNeeded: key.quickHash &>> 32) & (Self.frontCount - 1)
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
        generation &+= 1
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

    /// Takes the length, and the first and the last eight bytes; of longer texts eight from the middle too.
    @inline(__always)
    mutating func add(_ text: String) {
        let bytes = text.utf8.span.bytes
        let count = bytes.byteCount
        var words: (first: UInt64, last: UInt64) = (0, 0)
        if count >= 8 {
            words.first = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: 0, as: UInt64.self)
            words.last = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: count &- 8, as: UInt64.self)
            if count > 16 {
                let middle = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: count &>> 1 &- 4, as: UInt64.self)
                words.first ^= middle &* 0x9FB2_1C65_1E98_DF25
            }
        } else if count >= 4 {
            words.first = UInt64(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: 0, as: UInt32.self))
            words.last = UInt64(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: count &- 4, as: UInt32.self))
        } else if count > 0 {
            words.first = UInt64(bytes.unsafeLoad(fromUncheckedByteOffset: 0, as: UInt8.self))
            words.last = UInt64(bytes.unsafeLoad(fromUncheckedByteOffset: count &- 1, as: UInt8.self))
        }
        value = ByteHash.mix(
            value ^ words.first ^ 0x9E37_79B9_7F4A_7C15, words.last ^ UInt64(truncatingIfNeeded: count) ^ 0xD6E8_FEB8_6659_FD93)
    }

    @inline(__always)
    mutating func add(_ text: String?) {
        if let text { add(text) } else { value = ~value }
    }
}
