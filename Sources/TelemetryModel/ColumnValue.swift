/// One derived column's value for one span, as it goes from the alias table to the store.
package struct ColumnValue: Sendable {
    package enum Kind: UInt8, Sendable {
        case none, text, integer
    }

    package var kind = Kind.none
    /// Inferred from something else than a statement of it.
    package var isGuess = false
    /// The position of the winning source among its column's; lower wins.
    package var rank = UInt16.max
    /// The batch's index of the attribute key whose value this is, unchanged; -1 when it was converted or computed.
    package var sourceKey: Int32 = -1
    /// The slice of a text as in `AttributeRecord`; the bit pattern of an integer.
    package var payload: UInt64 = 0

    @inlinable
    package init() {}

    package static let none = ColumnValue()

    /// The text's slice in the batch's bytes; meaningful for `.text`.
    @inlinable
    package var slice: ByteSlice {
        ByteSlice(offset: UInt32(truncatingIfNeeded: payload >> 32), count: UInt32(truncatingIfNeeded: payload))
    }

    /// The number; meaningful for `.integer`.
    @inlinable
    package var integer: Int64 { Int64(bitPattern: payload) }

    @inlinable
    package static func text(_ slice: ByteSlice) -> ColumnValue {
        var value = ColumnValue()
        value.kind = .text
        value.payload = UInt64(slice.offset) << 32 | UInt64(slice.count)
        return value
    }

    @inlinable
    package static func integer(_ integer: Int64) -> ColumnValue {
        var value = ColumnValue()
        value.kind = .integer
        value.payload = UInt64(bitPattern: integer)
        return value
    }
}
