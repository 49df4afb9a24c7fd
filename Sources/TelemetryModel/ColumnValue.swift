/// One derived column's value for one span, as it goes from the alias table to the store.
public struct ColumnValue: Sendable {
    public enum Kind: UInt8, Sendable {
        case none, text, integer
    }

    public var kind = Kind.none
    /// Inferred from something else than a statement of it.
    public var isGuess = false
    /// The position of the winning source among its column's; lower wins.
    public var rank = UInt16.max
    /// The batch's index of the attribute key whose value this is, unchanged; -1 when it was converted or computed.
    public var sourceKey: Int32 = -1
    /// The slice of a text as in `AttributeRecord`; the bit pattern of an integer.
    public var payload: UInt64 = 0

    @inlinable
    public init() {}

    public static let none = ColumnValue()

    /// The text's slice in the batch's bytes; meaningful for `.text`.
    @inlinable
    public var slice: ByteSlice {
        ByteSlice(offset: UInt32(truncatingIfNeeded: payload >> 32), count: UInt32(truncatingIfNeeded: payload))
    }

    /// The number; meaningful for `.integer`.
    @inlinable
    public var integer: Int64 { Int64(bitPattern: payload) }

    @inlinable
    public static func text(_ slice: ByteSlice) -> ColumnValue {
        var value = ColumnValue()
        value.kind = .text
        value.payload = UInt64(slice.offset) << 32 | UInt64(slice.count)
        return value
    }

    @inlinable
    public static func integer(_ integer: Int64) -> ColumnValue {
        var value = ColumnValue()
        value.kind = .integer
        value.payload = UInt64(bitPattern: integer)
        return value
    }
}
