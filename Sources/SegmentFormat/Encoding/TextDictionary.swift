import TelemetryModel

/// The distinct texts of one column, while it is being written.
struct TextDictionary: ~Copyable {
    /// A dictionary is given up when it has this many entries and they are more than three quarters of the values.
    private static let trialCount = 48
    /// It is given up, too, when a text lies this many slots behind its place: at most three eighths of the slots are taken, and random
    /// texts come to about half of it.
    private static let probesMax = 64

    /// The texts, one after the other.
    private(set) var bytes = RecordBuffer<UInt8>(capacity: 4096)
    private(set) var entries = RecordBuffer<ByteSlice>()
    private var hashes = RecordBuffer<UInt64>()
    /// For each value, its entry.
    private(set) var indices = RecordBuffer<UInt32>()
    /// Number plus one of the entry in each slot; 0 for an empty slot. A power of two.
    private var slots = RecordBuffer<UInt32>()
    private let seed: HashSeed
    /// Whether a text lies so many slots behind its place that further ones would cost too much.
    private var isClogged = false
    /// Slots that were passed over to place texts, since `removeAll`.
    private(set) var probeCount = 0

    /// - Parameter seed: another one than the process's for tests alone.
    init(seed: HashSeed = .process) {
        self.seed = seed
    }

    /// Makes ready for a column of that many values.
    mutating func removeAll(valueCount: Int) {
        bytes.removeAll()
        entries.removeAll()
        hashes.removeAll()
        indices.removeAll()
        slots.removeAll()
        isClogged = false
        probeCount = 0
        var count = 64
        while count < valueCount * 2 { count *= 2 }
        slots.resize(to: count, filling: 0)
    }

    /// Whether so many of the values differ that they are better written out.
    var isUseless: Bool { entries.count >= Self.trialCount && entries.count &* 4 > indices.count &* 3 || isClogged }

    /// Takes the next value, which is the same as the last one.
    @inline(__always)
    mutating func appendSame() { indices.append(indices[indices.count &- 1]) }

    /// Takes the next value; `true` when it is a text that was not there. `removeAll` was told of all that come.
    @inline(__always)
    mutating func append(_ range: WireRange, of source: RawSpan) -> Bool {
        let hash = ByteHash.hash(source, range, seed)
        let mask = slots.count &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let candidate = Int(slots[slot] &- 1)
            if hashes[candidate] == hash, Int(entries[candidate].count) == range.count,
                RawSpanComparison.areEqual(bytes.span.bytes, entries[candidate].range, source, range)
            {
                indices.append(UInt32(truncatingIfNeeded: candidate))
                return false
            }
            slot = (slot &+ 1) & mask
        }
        let probes = (slot &- Int(truncatingIfNeeded: hash)) & mask
        probeCount &+= probes
        if probes > Self.probesMax { isClogged = true }
        slots[slot] = UInt32(truncatingIfNeeded: entries.count &+ 1)
        indices.append(UInt32(truncatingIfNeeded: entries.count))
        entries.append(ByteSlice(WireRange(offset: bytes.count, count: range.count)))
        hashes.append(hash)
        bytes.append(range, of: source)
        return true
    }

    /// Writes the entries and the values, as `SegmentFormat` tells.
    func write(to column: inout RecordBuffer<UInt8>) {
        column.appendVarint(entries.count)
        for index in entries.indices { column.appendPrefixed(entries[index].range, of: bytes.span.bytes) }
        let width = entries.count <= 1 << 8 ? 1 : entries.count <= 1 << 16 ? 2 : 4
        column.append(UInt8(width))
        if width == 1 {
            for index in indices.indices { column.append(UInt8(truncatingIfNeeded: indices[index])) }
        } else {
            for index in indices.indices { column.appendLittleEndian(UInt64(indices[index]), width: width) }
        }
    }
}
