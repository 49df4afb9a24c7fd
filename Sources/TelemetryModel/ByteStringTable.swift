/// Distinct byte strings, numbered from 0 in the order in which they first came: an open-addressing table that owns copies of its
/// strings, so that it may outlive the request that they came in. A look-up allocates nothing.
///
/// A string that would lie more than `probesMax` slots behind its place makes the table take another seed: whatever strings come, they cost
/// what random ones do.
public struct ByteStringTable: Sendable {
    /// Slots that a new string may lie behind the one that its hash says. Random strings in a table of millions come to about half of it.
    public static let probesMax = 128

    /// All strings, one after the other.
    public private(set) var bytes: [UInt8] = []
    /// Where each string lies in `bytes`.
    public private(set) var ranges: [ByteSlice] = []
    @usableFromInline var hashes: [UInt64] = []
    /// Number plus one of the string in each slot; 0 for an empty slot. A power of two of slots, at most half of them taken.
    @usableFromInline var slots: [UInt32]
    private var seed: HashSeed
    /// Strings from which on another seed may be taken, so that an unlucky one costs no more than growing does.
    private var reseedingCount = 0
    /// Slots that were passed over to place strings, all in all: what they cost beyond their bytes.
    package private(set) var probeCount = 0

    /// - Parameters:
    ///   - slotCount: a power of two.
    ///   - seed: another one than the process's for tests alone.
    public init(slotCount: Int = 16, seed: HashSeed = .process) {
        precondition(slotCount > 0 && slotCount & (slotCount - 1) == 0)
        slots = [UInt32](repeating: 0, count: slotCount)
        self.seed = seed
    }

    public var count: Int { ranges.count }

    /// The number of a string; `nil` when it is not there.
    @inline(__always)
    public func find(_ range: WireRange, in source: RawSpan) -> Int? {
        find(range, source, ByteHash.hash(source, range, seed))
    }

    @inline(__always)
    private func find(_ range: WireRange, _ source: RawSpan, _ hash: UInt64) -> Int? {
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
    public mutating func insert(_ range: WireRange, in source: RawSpan) -> (index: Int, isNew: Bool) {
        let hash = ByteHash.hash(source, range, seed)
        if let known = find(range, source, hash) { return (known, false) }
        return (add(range, source, hash), true)
    }

    public mutating func insert(_ text: String) -> Int {
        let utf8 = Array(text.utf8)
        let range = WireRange(offset: 0, count: utf8.count)
        return insert(range, in: utf8.span.bytes).index
    }

    private mutating func add(_ range: WireRange, _ source: RawSpan, _ hash: UInt64) -> Int {
        let index = ranges.count
        ranges.append(ByteSlice(WireRange(offset: bytes.count, count: range.count)))
        hashes.append(hash)
        source.extracting(range.offset..<range.end).withUnsafeBytes { bytes.append(contentsOf: $0) }
        let probes = ranges.count * 2 > slots.count ? placeAll(slotCount: slots.count * 2) : place(index)
        if probes > Self.probesMax && ranges.count >= reseedingCount { reseed() }
        return index
    }

    private mutating func reseed() {
        seed = .random()
        for index in hashes.indices { hashes[index] = ByteHash.hash(bytes.span.bytes, ranges[index].range, seed) }
        reseedingCount = ranges.count * 2
        _ = placeAll(slotCount: slots.count)
    }

    /// The longest way to a slot.
    private mutating func placeAll(slotCount: Int) -> Int {
        slots = [UInt32](repeating: 0, count: slotCount)
        var longest = 0
        for index in hashes.indices { longest = max(longest, place(index)) }
        return longest
    }

    /// How many slots were passed over.
    private mutating func place(_ index: Int) -> Int {
        let mask = slots.count - 1
        let first = Int(truncatingIfNeeded: hashes[index]) & mask
        var slot = first
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = UInt32(truncatingIfNeeded: index) + 1
        let probes = (slot - first) & mask
        probeCount += probes
        return probes
    }

    /// Whether the string of a number is the one in `range`.
    @inline(__always)
    public func holds(_ range: WireRange, in source: RawSpan, at index: Int) -> Bool { equals(index, source, range) }

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
        reseedingCount = 0
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
        let count = leftRange.count
        if count >= 8 {
            var offset = 0
            while count &- offset > 8 {
                if isDifferent(left, leftRange, right, rightRange, offset, UInt64.self) { return false }
                offset &+= 8
            }
            // The last eight, of which some may have been compared before.
            return !isDifferent(left, leftRange, right, rightRange, count &- 8, UInt64.self)
        }
        if count >= 4 {
            return !isDifferent(left, leftRange, right, rightRange, 0, UInt32.self)
                && !isDifferent(left, leftRange, right, rightRange, count &- 4, UInt32.self)
        }
        for offset in 0..<count where isDifferent(left, leftRange, right, rightRange, offset, UInt8.self) { return false }
        return true
    }

    /// Whether a number differs that stands at an offset within both ranges.
    @inlinable
    @inline(__always)
    static func isDifferent<Number: FixedWidthInteger & BitwiseCopyable>(
        _ left: RawSpan, _ leftRange: WireRange, _ right: RawSpan, _ rightRange: WireRange, _ offset: Int, _: Number.Type
    ) -> Bool {
        left.unsafeLoadUnaligned(fromUncheckedByteOffset: leftRange.offset &+ offset, as: Number.self)
            != right.unsafeLoadUnaligned(fromUncheckedByteOffset: rightRange.offset &+ offset, as: Number.self)
    }
}
