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
    /// What the first text's number is, less one: numbers go on when the interner starts anew, so that who kept one sees that it is another.
    private var base: UInt32 = 0

    private static func nextNumbering() -> UInt64 { numberings.add(1, ordering: .relaxed).newValue }

    /// The number of the text in `range` of `bytes`, which is valid UTF-8; 0 for one that is too long to be kept. Valid with `numbering` as
    /// it is afterwards.
    @inline(__always)
    mutating func number(_ bytes: RawSpan, _ range: WireRange) -> UInt32 {
        if let known = table.find(range, in: bytes) { return number(known) }
        return add(bytes, range)
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
    }
}
