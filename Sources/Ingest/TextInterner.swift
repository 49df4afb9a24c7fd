import Synchronization
import TelemetryModel

/// Shared `String`s for texts that come again and again, and numbers for them: label values of the derivations. A look-up costs a hash and a
/// comparison, no allocation. When full it starts anew, so that a flood of one-time texts does not stay in memory.
struct TextInterner {
    private static let entriesMax = 1 << 16
    /// Longer texts are not worth keeping, and have no number.
    private static let bytesMax = 256
    private static let numberings = Atomic<UInt64>(0)

    /// Which numbers these are: no two interners, nor one before and after it started anew, have the same. Never 0.
    private(set) var numbering = Self.nextNumbering()
    private var table = ByteStringTable(slotCount: 1024)
    private var texts: [String] = []
    /// Texts that came last, by their ends: most of a span's texts are those of a span shortly before, and need no hash then.
    ///
    /// Each text has one place, without a seed: whoever sends texts that share one pays for the hash, as for any text that is not here.
    private var recent = [Recent](repeating: Recent(), count: 1 << Self.recentBits)
    private static let recentBits = 6

    private struct Recent {
        var end: UInt64 = 0
        /// Bytes; none for no text.
        var count = -1
        var position = 0
    }

    /// What the first text's number is, less one: numbers go on when the interner starts anew, so that who kept one sees that it is another.
    private var base: UInt32 = 0

    private static func nextNumbering() -> UInt64 { numberings.add(1, ordering: .relaxed).newValue }

    /// The number of the text in `range` of `bytes`, which is valid UTF-8; 0 for one that is too long to be kept. Valid with `numbering` as
    /// it is afterwards.
    @inline(__always)
    mutating func number(_ bytes: RawSpan, _ range: WireRange) -> UInt32 {
        let end = Self.end(bytes, range)
        // By its upper bits, into which all others were multiplied.
        let place = Int(truncatingIfNeeded: ((end ^ UInt64(truncatingIfNeeded: range.count)) &* 0x9E37_79B9_7F4A_7C15) &>> (64 - Self.recentBits))
        let last = recent[place]
        if last.end == end, last.count == range.count, range.count <= 8 || table.holds(range, in: bytes, at: last.position) {
            return number(last.position)
        }
        guard let known = table.find(range, in: bytes) else { return add(bytes, range) }
        recent[place] = Recent(end: end, count: range.count, position: known)
        return number(known)
    }

    /// The last eight bytes of a text as a number, all of a shorter one.
    @inline(__always)
    private static func end(_ bytes: RawSpan, _ range: WireRange) -> UInt64 {
        if range.count >= 8 { return bytes.unsafeLoadUnaligned(fromByteOffset: range.end &- 8, as: UInt64.self) }
        var end: UInt64 = 0
        for place in range.offset..<range.end { end = end << 8 | UInt64(bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self)) }
        return end
    }

    /// The text of a number that was given last.
    func text(_ number: UInt32) -> String { texts[Int(number &- base &- 1)] }

    @inline(__always)
    private func number(_ position: Int) -> UInt32 { base &+ UInt32(truncatingIfNeeded: position) &+ 1 }

    private mutating func add(_ bytes: RawSpan, _ range: WireRange) -> UInt32 {
        guard range.count <= Self.bytesMax else { return 0 }
        if texts.count == Self.entriesMax { startAnew() }
        let text = bytes.extracting(range.offset..<range.end).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        let position = table.insert(range, in: bytes).index
        texts.append(text)
        return number(position)
    }

    private mutating func startAnew() {
        let isLast = base > UInt32.max - 2 * UInt32(Self.entriesMax)
        base = isLast ? 0 : base + UInt32(Self.entriesMax)
        numbering = Self.nextNumbering()
        table = ByteStringTable(slotCount: 1024)
        texts = []
        recent = [Recent](repeating: Recent(), count: 1 << Self.recentBits)
    }
}
