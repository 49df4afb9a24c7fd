/// Where a column's value may come from: one line of `columns.txt`. Keys are numbers in the table's `keys`.
///
/// A class, so that reading one out of the table copies a reference.
final class ColumnRule: Sendable {
    enum Source: Equatable, Sendable {
        case attribute(key: Int)
        case json(key: Int, member: String)
        case pair(first: Int, second: Int)
        case jsonPair(key: Int, first: String, second: String)
        case path(first: Int, second: Int)
        case numbered(prefix: String)
        case elements(key: Int)
        case positive(key: Int)
        case prefixed(text: String, key: Int)
        case map(key: Int, texts: [String: String])
        case breakerError(key: Int)
        case atLeast(limit: Int64, key: Int)
        case nameWhole
        case nameAfter(text: [UInt8])
        case nameUntil(text: [UInt8])
        case nameHead(text: [UInt8])
        case nameTail(text: [UInt8])
        case event(name: String, key: Int)
        case eventElements(name: String, key: Int)
        case eventValue(name: String, value: String)
        case eventOffset(name: String)
        case sum(first: Column, second: Column)
        case status(code: Int32, value: String)
        case present(key: Int)
    }

    enum Condition: Equatable, Sendable {
        case root
        case child
        /// The number of a prefix in the table's `scopePrefixes`.
        case scope(prefix: Int)
        case attribute(key: Int, value: String)
        case attributeSuffix(key: Int, suffix: String)
        case column(Column, value: String)
    }

    let column: Column
    let type: ColumnType
    let rank: UInt16
    let source: Source
    let conditions: [Condition]

    init(column: Column, type: ColumnType, rank: UInt16, source: Source, conditions: [Condition]) {
        self.column = column
        self.type = type
        self.rank = rank
        self.source = source
        self.conditions = conditions
    }

    /// An attribute without conditions: found by its key alone.
    var directKey: Int? {
        guard case .attribute(let key) = source, conditions.isEmpty else { return nil }
        return key
    }

    /// The key that the span must have for the rule to have any chance.
    var neededKey: Int? {
        switch source {
        case .attribute(let key), .json(let key, _), .jsonPair(let key, _, _), .elements(let key), .positive(let key),
            .prefixed(_, let key), .map(let key, _), .breakerError(let key), .atLeast(_, let key), .present(let key):
            key
        case .pair(let first, _): first
        case .path(_, let second): second
        case .numbered, .nameWhole, .nameAfter, .nameUntil, .nameHead, .nameTail, .event, .eventElements, .eventValue,
            .eventOffset, .sum, .status:
            nil
        }
    }

    /// The event that must be there for the rule to have any chance.
    var neededEvent: String? {
        switch source {
        case .event(let name, _), .eventElements(let name, _), .eventValue(let name, _), .eventOffset(let name): name
        default: nil
        }
    }
}
