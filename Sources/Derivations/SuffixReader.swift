/// Reads a text from its end towards its start, ASCII letters in either case. The patterns that it serves are bounded, so it
/// keeps only the last `Limits.patternBytesMax` bytes.
struct SuffixReader {
    private let bytes: [UInt8]
    private(set) var end: Int

    init(_ text: String) {
        self.init(text.utf8.suffix(SpanDerivations.Limits.patternBytesMax))
    }

    init(_ text: some Sequence<UInt8>) {
        bytes = text.map(Self.lowered)
        end = bytes.count
    }

    @inline(__always)
    static func lowered(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    /// Steps over `word`, which is lower case, if the text ends in it here.
    mutating func take(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard count <= end else { return false }
        let matches = word.withUTF8Buffer { letters in
            for index in 0..<count where letters[index] != bytes[end - count + index] { return false }
            return true
        }
        if matches { end -= count }
        return matches
    }

    /// Steps over one space, underscore or hyphen, if there is one.
    mutating func takeSeparator() {
        guard end > 0 else { return }
        let byte = bytes[end - 1]
        if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") { end -= 1 }
    }
}
