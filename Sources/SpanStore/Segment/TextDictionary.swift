import TelemetryModel

/// The distinct texts of one column of one segment, numbered by first appearance. Owns copies of the texts, since it outlives the
/// request that they came in.
struct TextDictionary {
    private(set) var entries: [UInt8] = []
    /// Where each entry's bytes lie in `entries`.
    private(set) var ranges: [ByteSlice] = []
    private var hashes: [UInt64] = []
    private var slots: [UInt32] = []

    var count: Int { ranges.count }

    /// The number of a text, which is added when new.
    @inline(__always)
    mutating func index(of range: WireRange, in bytes: RawSpan, hash: UInt64) -> UInt32 {
        if slots.isEmpty { slots = [UInt32](repeating: 0, count: 16) }
        let mask = slots.count &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let candidate = slots[slot] &- 1
            if hashes[Int(candidate)] == hash && equals(candidate, bytes, range) { return candidate }
            slot = (slot &+ 1) & mask
        }
        return insert(range, bytes, hash, slot)
    }

    private mutating func insert(_ range: WireRange, _ bytes: RawSpan, _ hash: UInt64, _ slot: Int) -> UInt32 {
        let index = UInt32(truncatingIfNeeded: ranges.count)
        ranges.append(ByteSlice(WireRange(offset: entries.count, count: range.count)))
        hashes.append(hash)
        bytes.extracting(range.offset..<range.end).withUnsafeBytes { entries.append(contentsOf: $0) }
        slots[slot] = index &+ 1
        if ranges.count * 2 > slots.count { grow() }
        return index
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for (index, hash) in hashes.enumerated() {
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(truncatingIfNeeded: index) + 1
        }
    }

    @inline(__always)
    private func equals(_ index: UInt32, _ bytes: RawSpan, _ range: WireRange) -> Bool {
        let entry = ranges[Int(index)]
        guard Int(entry.count) == range.count else { return false }
        let text = entries.span.bytes
        var offset = 0
        while range.count &- offset >= 8 {
            let left = text.unsafeLoadUnaligned(fromByteOffset: Int(entry.offset) &+ offset, as: UInt64.self)
            let right = bytes.unsafeLoadUnaligned(fromByteOffset: range.offset &+ offset, as: UInt64.self)
            if left != right { return false }
            offset &+= 8
        }
        while offset < range.count {
            let left = text.unsafeLoad(fromByteOffset: Int(entry.offset) &+ offset, as: UInt8.self)
            if left != bytes.unsafeLoad(fromByteOffset: range.offset &+ offset, as: UInt8.self) { return false }
            offset &+= 1
        }
        return true
    }

    mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
        hashes.removeAll(keepingCapacity: true)
        for slot in slots.indices { slots[slot] = 0 }
    }
}
