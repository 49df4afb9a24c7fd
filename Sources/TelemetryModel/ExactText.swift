/// A text that equals another one when their bytes do, as in SQL and on the wire.
///
/// Swift's texts are equal, and hash alike, when they show alike: "é" is one letter or an e with an accent behind it. A client that sends both
/// as keys of attributes means two attributes, so what looks things up by clients' texts uses this.
public struct ExactText: Hashable, Comparable, Sendable {
    public let text: String

    public init(_ text: String) {
        self.text = text
    }

    public static func == (left: ExactText, right: ExactText) -> Bool { left.text.isExactly(right.text) }

    /// By their bytes, as SQLite orders texts.
    public static func < (left: ExactText, right: ExactText) -> Bool { left.text.utf8.lexicographicallyPrecedes(right.text.utf8) }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(text.utf8.count)
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension String {
    /// Whether two texts have the same bytes. Inlined, since directories are searched with it: most texts are told apart by their length.
    @inlinable
    public func isExactly(_ other: String) -> Bool {
        guard utf8.count == other.utf8.count else { return false }
        let range = WireRange(offset: 0, count: utf8.count)
        return RawSpanComparison.areEqual(utf8.span.bytes, range, other.utf8.span.bytes, range)
    }
}
