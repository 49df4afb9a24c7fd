/// Distinct byte strings, numbered from 0 in the order in which they first came: an open-addressing table that owns copies of its
/// strings, so that it may outlive the request that they came in. A look-up allocates nothing.
public struct ByteStringTable: Sendable {
    /// All strings, one after the other.
    public private(set) var bytes: [UInt8] = []
    /// Where each string lies in `bytes`.
    public private(set) var ranges: [ByteSlice] = []
    @usableFromInline var hashes: [UInt64] = []
    /// Number plus one of the string in each slot; 0 for an empty slot. A power of two of slots, at most half of them taken.
    @usableFromInline var slots: [UInt32]

    /// - Parameter slotCount: a power of two.
    public init(slotCount: Int = 16) {
        precondition(slotCount > 0 && slotCount & (slotCount - 1) == 0)
        slots = [UInt32](repeating: 0, count: slotCount)
    }

    public var count: Int { ranges.count }

    /// The number of a string; `nil` when it is not there. `hash` must be of the same function and seed for all calls.
    @inline(__always)
    public func find(_ range: WireRange, in source: RawSpan, hash: UInt64) -> Int? {
        let mask = slots.count &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let candidate = Int(truncatingIfNeeded: slots[slot] &- 1)
            if hashes[candidate] == hash && equals(candidate, source, range) { return candidate }
            slot = (slot &+ 1) & mask
        }
        return nil
    }

    /// The number of a string, which is added when new.
    @inline(__always)
    public mutating func insert(_ range: WireRange, in source: RawSpan, hash: UInt64) -> (index: Int, isNew: Bool) {
        if let known = find(range, in: source, hash: hash) { return (known, false) }
        return (add(range, source, hash), true)
    }

    public mutating func insert(_ text: String) -> Int {
        let utf8 = Array(text.utf8)
        let range = WireRange(offset: 0, count: utf8.count)
        return insert(range, in: utf8.span.bytes, hash: ByteHash.hash(utf8.span.bytes, range)).index
    }

    private mutating func add(_ range: WireRange, _ source: RawSpan, _ hash: UInt64) -> Int {
        let index = ranges.count
        ranges.append(ByteSlice(WireRange(offset: bytes.count, count: range.count)))
        hashes.append(hash)
        source.extracting(range.offset..<range.end).withUnsafeBytes { bytes.append(contentsOf: $0) }
        if ranges.count * 2 > slots.count { grow() } else { place(index) }
        return index
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for index in hashes.indices { place(index) }
    }

    private mutating func place(_ index: Int) {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hashes[index]) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = UInt32(truncatingIfNeeded: index) + 1
    }

    @inline(__always)
    private func equals(_ index: Int, _ source: RawSpan, _ range: WireRange) -> Bool {
        let entry = ranges[index].range
        return entry.count == range.count && RawSpanComparison.areEqual(bytes.span.bytes, entry, source, range)
    }

    /// Forgets all strings and keeps the storage.
    public mutating func removeAll() {
        guard count > 0 else { return }
        bytes.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
        hashes.removeAll(keepingCapacity: true)
        for slot in slots.indices { slots[slot] = 0 }
    }
}

/// Compares stretches of bytes, eight at a time.
public enum RawSpanComparison {
    /// Whether two ranges of one length, each inside its bytes, hold the same.
    @inlinable
    @inline(__always)
    public static func areEqual(_ left: RawSpan, _ leftRange: WireRange, _ right: RawSpan, _ rightRange: WireRange) -> Bool {
        precondition(leftRange.end <= left.byteCount && rightRange.end <= right.byteCount)
        var offset = 0
        let count = leftRange.count
        while count &- offset >= 8 {
            let first = left.unsafeLoadUnaligned(fromUncheckedByteOffset: leftRange.offset &+ offset, as: UInt64.self)
            let second = right.unsafeLoadUnaligned(fromUncheckedByteOffset: rightRange.offset &+ offset, as: UInt64.self)
            if first != second { return false }
            offset &+= 8
        }
        while offset < count {
            let first = left.unsafeLoad(fromUncheckedByteOffset: leftRange.offset &+ offset, as: UInt8.self)
            let second = right.unsafeLoad(fromUncheckedByteOffset: rightRange.offset &+ offset, as: UInt8.self)
            if first != second { return false }
            offset &+= 1
        }
        return true
    }
}
