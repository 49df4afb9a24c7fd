package import TelemetryModel

/// The derived columns of one span.
package struct ColumnRow: Sendable {
    /// Values by `Column.rawValue`: the stored columns first.
    package internal(set) var values = [ColumnValue](repeating: .none, count: Column.allCases.count)
    /// Whether the span has any of the facts.
    package private(set) var hasFacts = false

    package init() {}

    package subscript(column: Column) -> ColumnValue { values[column.rawValue] }

    mutating func clear() {
        for index in values.indices { values[index] = .none }
    }

    mutating func noteFacts() {
        hasFacts = false
        for index in (Column.stored.upperBound + 1)..<values.count where values[index].kind != .none { hasFacts = true }
    }
}
