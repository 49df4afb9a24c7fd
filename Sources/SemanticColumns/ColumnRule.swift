/// Where a column's value may come from: one line of `columns.txt`.
struct ColumnRule: Sendable {
    enum Source: Equatable, Sendable {
        case attribute(key: String)
        case json(key: String, member: String)
        case pair(first: String, second: String)
        case jsonPair(key: String, first: String, second: String)
        case path(first: String, second: String)
        case numbered(prefix: String)
        case elements(key: String)
        case positive(key: String)
        case prefixed(text: String, key: String)
        case map(key: String, texts: [String: String])
        case breakerError(key: String)
        case atLeast(limit: Int64, key: String)
        case nameWhole
        case nameAfter(text: String)
        case nameUntil(text: String)
        case nameHead(text: String)
        case nameTail(text: String)
        case event(name: String, key: String)
        case eventElements(name: String, key: String)
        case eventValue(name: String, value: String)
        case eventOffset(name: String)
        case sum(first: Column, second: Column)
        case status(code: Int32, value: String)
        case present(key: String)
    }

    enum Condition: Equatable, Sendable {
        case root
        case scope(prefix: String)
        case attribute(key: String, value: String)
        case attributeSuffix(key: String, suffix: String)
        case column(Column, value: String)
    }

    var column: Column
    var type: ColumnType
    var rank: UInt16
    var source: Source
    var conditions: [Condition]

    /// The attribute keys that must be there for the rule to have any chance; empty when it needs none.
    var neededKey: String? {
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
