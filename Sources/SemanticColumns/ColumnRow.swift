public import TelemetryModel

/// The derived columns of one span.
public struct ColumnRow: Sendable {
    /// Values by `Column.rawValue`; only those whose bit is set count.
    @usableFromInline var values = [ColumnValue](repeating: .none, count: Column.allCases.count)
    /// Bits by `Column.rawValue` of the columns that have a value.
    public private(set) var presence: UInt64 = 0

    public init() {}

    @inlinable
    public subscript(column: Column) -> ColumnValue {
        @inline(__always) get { self[column.rawValue] }
    }

    /// The value by the column's raw value.
    @inlinable
    public subscript(number: Int) -> ColumnValue {
        @inline(__always) get { presence & 1 &<< UInt64(truncatingIfNeeded: number) == 0 ? .none : values[number] }
    }

    /// Whether the span has any of the facts.
    @inlinable
    public var hasFacts: Bool { presence >> UInt64(Column.shownCount) != 0 }

    /// Calls `body` with the number and the value of each stored column that has one.
    @inlinable
    @inline(__always)
    public func forEachStored(_ body: (Int, ColumnValue) -> Void) {
        var bits = presence & (1 << UInt64(Column.storedCount) - 1)
        while bits != 0 {
            let column = bits.trailingZeroBitCount
            body(column, values[column])
            bits &= bits &- 1
        }
    }

    @inline(__always)
    func has(_ column: UInt8) -> Bool { presence & 1 << UInt64(column) != 0 }

    /// Whether the span has one of some columns, a bit each.
    @inline(__always)
    func hasOne(of columns: UInt64) -> Bool { presence & columns != 0 }

    /// The rank of the column's value; the largest when it has none.
    @inline(__always)
    func rank(_ column: UInt8) -> UInt16 { has(column) ? values[Int(column)].rank : .max }

    @inline(__always)
    mutating func set(_ column: UInt8, _ value: ColumnValue) {
        values[Int(column)] = value
        presence |= 1 << UInt64(column)
    }

    @inline(__always)
    mutating func removeAll() { presence = 0 }
}
