import TelemetryModel

/// Shared `String`s for texts that come again and again: label values of the derivations. A look-up costs a hash and a comparison,
/// no allocation. When full it starts anew, so that a flood of one-time texts does not stay in memory.
struct TextInterner {
    private static let entriesMax = 1 << 16
    private static let seed = UInt64.random(in: .min ... .max)

    private var slots = [Int32](repeating: 0, count: 1024)
    private var hashes: [UInt64] = []
    private var texts: [String] = []

    /// The text in `range` of `bytes`, which is valid UTF-8.
    @inline(__always)
    mutating func text(_ bytes: RawSpan, _ range: WireRange) -> String {
        let hash = ByteHash.hash(bytes, range, seed: Self.seed)
        let mask = slots.count &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let candidate = Int(slots[slot] &- 1)
            if hashes[candidate] == hash && Self.equals(texts[candidate], bytes, range) { return texts[candidate] }
            slot = (slot &+ 1) & mask
        }
        return insert(bytes, range, hash)
    }

    private static func equals(_ text: String, _ bytes: RawSpan, _ range: WireRange) -> Bool {
        guard text.utf8.count == range.count else { return false }
        return bytes.extracting(range.offset..<range.end).withUnsafeBytes { text.utf8.elementsEqual($0) }
    }

    private mutating func insert(_ bytes: RawSpan, _ range: WireRange, _ hash: UInt64) -> String {
        if texts.count == Self.entriesMax { self = TextInterner() }
        if texts.count * 2 >= slots.count { grow() }
        let text = bytes.extracting(range.offset..<range.end).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        texts.append(text)
        hashes.append(hash)
        place(texts.count)
        return text
    }

    private mutating func grow() {
        slots = [Int32](repeating: 0, count: slots.count * 2)
        for number in 1...max(1, texts.count) where number <= texts.count { place(number) }
    }

    private mutating func place(_ number: Int) {
        var slot = Int(truncatingIfNeeded: hashes[number - 1]) & (slots.count - 1)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(truncatingIfNeeded: number)
    }
}
