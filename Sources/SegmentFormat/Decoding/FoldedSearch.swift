/// Looks for a text among bytes, ASCII letters in either case, and steps over most of them: by Horspool's table of how far a byte lets it step.
public struct FoldedSearch: Sendable {
    /// ASCII letters in lower case; not empty.
    private let needle: [UInt8]
    /// By byte.
    private let steps: [Int]

    /// `nil` for an empty text, and for one with the replacement character, as which a reader shows bytes that are not it.
    package init?(_ text: some Collection<UInt8>) {
        let needle = text.map(Self.folded)
        let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]
        guard !needle.isEmpty, !needle.indices.contains(where: { needle[$0...].starts(with: replacement) }) else { return nil }
        var steps = [Int](repeating: needle.count, count: 256)
        for (place, byte) in needle.dropLast().enumerated() {
            for own in 0..<256 where Self.folded(UInt8(own)) == byte { steps[own] = needle.count - 1 - place }
        }
        (self.needle, self.steps) = (needle, steps)
    }

    /// The lower case of an ASCII letter; any other byte is itself. Public, since whole columns are compared by it.
    @inlinable
    @inline(__always)
    public static func folded(_ byte: UInt8) -> UInt8 { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte | 0x20 : byte }

    package func isIn(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            needle.withUnsafeBufferPointer { needle in
                steps.withUnsafeBufferPointer { steps in
                    let last = needle.count - 1
                    var end = range.lowerBound + last
                    while end < range.upperBound {
                        var place = last
                        while place >= 0, Self.folded(bytes[end - last + place]) == needle[place] { place -= 1 }
                        if place < 0 { return true }
                        end += steps[Int(bytes[end])]
                    }
                    return false
                }
            }
        }
    }
}
