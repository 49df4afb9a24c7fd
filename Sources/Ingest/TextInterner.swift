import TelemetryModel

/// Shared `String`s for texts that come again and again: label values of the derivations. A look-up costs a hash and a comparison,
/// no allocation. When full it starts anew, so that a flood of one-time texts does not stay in memory.
struct TextInterner {
    private static let entriesMax = 1 << 16
    /// Longer texts are not worth keeping.
    private static let bytesMax = 256
    private static let seed = UInt64.random(in: .min ... .max)

    private var table = ByteStringTable(slotCount: 1024)
    private var texts: [String] = []

    /// The text in `range` of `bytes`, which is valid UTF-8.
    @inline(__always)
    mutating func text(_ bytes: RawSpan, _ range: WireRange) -> String {
        let hash = ByteHash.hash(bytes, range, seed: Self.seed)
        if let known = table.find(range, in: bytes, hash: hash) { return texts[known] }
        return add(bytes, range, hash)
    }

    private mutating func add(_ bytes: RawSpan, _ range: WireRange, _ hash: UInt64) -> String {
        let text = bytes.extracting(range.offset..<range.end).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        guard range.count <= Self.bytesMax else { return text }
        if texts.count == Self.entriesMax { self = TextInterner() }
        _ = table.insert(range, in: bytes, hash: hash)
        texts.append(text)
        return text
    }
}
