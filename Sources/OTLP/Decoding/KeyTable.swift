import TelemetryModel

/// The distinct attribute keys of one request: an open-addressing table from a key's bytes to its index.
///
/// A key is looked up once an attribute, so that all that follows compares integers. The hash is seeded for each process, which
/// keeps a client from choosing keys that collide.
struct KeyTable {
    private static let seed = UInt64.random(in: .min ... .max)
    private static let slotsAtFirst = 64

    private(set) var keys: [ByteSlice] = []
    private var hashes: [UInt64] = []
    /// Index plus one of the key in each slot; 0 for an empty slot. A power of two of slots, at most half of them taken.
    private var slots = [UInt32](repeating: 0, count: slotsAtFirst)

    /// The index of the key at `range`, which is added when new. Keys are compared by the bytes that came, malformed ones too.
    @inline(__always)
    mutating func index(of range: WireRange, in bytes: RawSpan) -> (index: UInt32, isNew: Bool) {
        let hash = ByteHash.hash(bytes, range, seed: Self.seed)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count &- 1)
        while slots[slot] != 0 {
            let candidate = Int(slots[slot] &- 1)
            if hashes[candidate] == hash && Self.equal(bytes, keys[candidate].range, range) {
                return (UInt32(truncatingIfNeeded: candidate), false)
            }
            slot = (slot &+ 1) & (slots.count &- 1)
        }
        return (insert(ByteSlice(range), hash: hash, slot: slot), true)
    }

    private mutating func insert(_ slice: ByteSlice, hash: UInt64, slot: Int) -> UInt32 {
        let index = UInt32(truncatingIfNeeded: keys.count)
        keys.append(slice)
        hashes.append(hash)
        slots[slot] = index &+ 1
        if keys.count * 2 > slots.count { grow() }
        return index
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for (index, hash) in hashes.enumerated() {
            var slot = Int(truncatingIfNeeded: hash) & (slots.count &- 1)
            while slots[slot] != 0 { slot = (slot &+ 1) & (slots.count &- 1) }
            slots[slot] = UInt32(truncatingIfNeeded: index) &+ 1
        }
    }

    @inline(__always)
    private static func equal(_ bytes: RawSpan, _ left: WireRange, _ right: WireRange) -> Bool {
        guard left.count == right.count else { return false }
        var index = 0
        while left.count &- index >= 8 {
            let first = bytes.unsafeLoadUnaligned(fromByteOffset: left.offset &+ index, as: UInt64.self)
            let second = bytes.unsafeLoadUnaligned(fromByteOffset: right.offset &+ index, as: UInt64.self)
            if first != second { return false }
            index &+= 8
        }
        while index < left.count {
            let first = bytes.unsafeLoad(fromByteOffset: left.offset &+ index, as: UInt8.self)
            let second = bytes.unsafeLoad(fromByteOffset: right.offset &+ index, as: UInt8.self)
            if first != second { return false }
            index &+= 1
        }
        return true
    }
}
