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
    /// What a text is in memory: its bytes, or where they are and how many. The same one is the same text.
    @usableFromInline
    struct Representation: Equatable {
        @usableFromInline let words: (UInt, UInt)

        @inlinable
        @inline(__always)
        static func == (left: Representation, right: Representation) -> Bool { left.words == right.words }
    }

    /// Whether two texts have the same bytes. Inlined, since directories are searched with it: most texts are told apart by their length.
    @inlinable
    public func isExactly(_ other: String) -> Bool {
        // The same text at the same place, as names of one process come again and again: its bytes need not be read.
        if unsafeBitCast(self, to: Representation.self) == unsafeBitCast(other, to: Representation.self) { return true }
        guard utf8.count == other.utf8.count else { return false }
        let range = WireRange(offset: 0, count: utf8.count)
        return RawSpanComparison.areEqual(utf8.span.bytes, range, other.utf8.span.bytes, range)
    }
}

/// A text, or none, of a key that is compared by its bytes: `@ByBytes var service: String`. What Swift writes for `Hashable` then tells apart what SQL does.
@propertyWrapper
public struct ByBytes<Value: ComparedByBytes>: Hashable, Sendable {
    public var wrappedValue: Value

    @inlinable
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }

    @inlinable
    public static func == (left: ByBytes, right: ByBytes) -> Bool { left.wrappedValue.hasBytes(of: right.wrappedValue) }

    public func hash(into hasher: inout Hasher) { wrappedValue.hashBytes(into: &hasher) }
}

/// What `ByBytes` takes.
public protocol ComparedByBytes: Sendable {
    func hasBytes(of other: Self) -> Bool
    func hashBytes(into hasher: inout Hasher)
}

extension String: ComparedByBytes {
    @inlinable
    public func hasBytes(of other: String) -> Bool { isExactly(other) }

    public func hashBytes(into hasher: inout Hasher) { ExactText(self).hash(into: &hasher) }
}

extension Optional: ComparedByBytes where Wrapped == String {
    @inlinable
    public func hasBytes(of other: String?) -> Bool {
        switch (self, other) {
        case (let one?, let other?): one.isExactly(other)
        case (nil, nil): true
        default: false
        }
    }

    public func hashBytes(into hasher: inout Hasher) {
        hasher.combine(self == nil)
        self?.hashBytes(into: &hasher)
    }
}
