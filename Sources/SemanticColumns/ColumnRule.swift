/// Where a column's value may come from: one line of `columns.txt`. Keys are numbers in the table's `keys`.
///
/// A class, so that reading one out of the table copies a reference.
final class ColumnRule: Sendable {
    enum Source: Equatable, Sendable {
        case attribute(key: Int)
        case unquoted(key: Int)
        case shown(key: Int)
        case json(key: Int, path: [String])
        case jsonHead(key: Int, member: String)
        case jsonPair(key: Int, first: String, second: String)
        case jsonElements(key: Int, path: [String])
        case jsonSum(key: Int, paths: [[String]])
        case pair(first: Int, second: Int)
        case path(first: Int, second: Int)
        case numbered(prefix: String)
        case elements(key: Int)
        case prefixed(text: String, key: Int)
        case map(key: Int, texts: ColumnTexts)
        case breakerError(key: Int)
        case atLeast(limit: Int64, key: Int)
        case milliseconds(key: Int)
        case timeOffset(key: Int)
        case plus(keys: [Int])
        case value(text: String)
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
        case some(column: Column)
        case status(code: Int32, value: String)
        case present(key: Int)
    }

    enum Condition: Equatable, Sendable {
        case root
        case child
        /// The number of a prefix in the table's `scopePrefixes`, which the scope's name begins with, or does not.
        case scope(prefix: Int, isNegated: Bool)
        /// The attribute is one of these texts; or, negated, it is none of them.
        case attribute(key: Int, values: ColumnTexts, isNegated: Bool)
        /// The attribute is text that ends so; or, negated, it is no such text.
        case attributeSuffix(key: Int, suffix: String, isNegated: Bool)
        /// The column above is one of these texts, or none of them.
        case column(Column, values: ColumnTexts, isNegated: Bool)
        /// The column above has a value, or has none.
        case filled(Column, isNegated: Bool)

        /// Whether it only keeps spans out, and asks for nothing that a span must have.
        var onlyExcludes: Bool {
            switch self {
            case .root, .child: false
            case .scope(_, let isNegated), .attribute(_, _, let isNegated), .attributeSuffix(_, _, let isNegated),
                .column(_, _, let isNegated),
                .filled(_, let isNegated):
                isNegated
            }
        }
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
        case .attribute(let key), .unquoted(let key), .shown(let key), .json(let key, _), .jsonHead(let key, _),
            .jsonPair(let key, _, _), .jsonElements(let key, _), .jsonSum(let key, _), .elements(let key),
            .prefixed(_, let key), .map(let key, _), .breakerError(let key), .atLeast(_, let key), .milliseconds(let key),
            .timeOffset(let key), .present(let key):
            key
        case .pair(let first, _): first
        case .path(_, let second): second
        case .plus(let keys): keys.first
        case .numbered, .value, .nameWhole, .nameAfter, .nameUntil, .nameHead, .nameTail, .event, .eventElements, .eventValue,
            .eventOffset, .sum, .some, .status:
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

    /// Whether the columns above that the rule reads might be filled.
    ///
    /// - Parameter sources: by column, how many steps and rules might fill it.
    func mayHold(withSourcesOfColumns sources: [Int]) -> Bool {
        for condition in conditions {
            switch condition {
            case .column(let column, _, false), .filled(let column, false): if sources[column.rawValue] == 0 { return false }
            default: continue
            }
        }
        return switch source {
        case .sum(let first, let second): sources[first.rawValue] > 0 || sources[second.rawValue] > 0
        case .some(let column): sources[column.rawValue] > 0
        default: true
        }
    }
}

/// The texts of a `map` and what stands for each, or those of a condition, which stand for themselves.
///
/// Most values of most spans are not among them, and are told by their length.
struct ColumnTexts: Equatable, Sendable {
    private struct Entry: Equatable, Sendable {
        var text: String
        var meaning: String
    }

    private var entries: [Entry] = []
    /// A bit for each length that a text has; the last one for all from 63 on.
    private var lengths: UInt64 = 0

    init() {}

    init(_ texts: some Sequence<String>) {
        for text in texts { add(text, meaning: text) }
    }

    mutating func add(_ text: String, meaning: String) {
        entries.append(Entry(text: text, meaning: meaning))
        lengths |= Self.bit(text.utf8.count)
    }

    /// What stands for a text, given its length and a way to compare it.
    @inline(__always)
    func meaning(byteCount: Int, equals: (String) -> Bool) -> String? {
        guard lengths & Self.bit(byteCount) != 0 else { return nil }
        return entries.first { $0.text.utf8.count == byteCount && equals($0.text) }?.meaning
    }

    /// Whether a text is one of them, given its length and a way to compare it.
    @inline(__always)
    func contains(byteCount: Int, equals: (String) -> Bool) -> Bool {
        guard lengths & Self.bit(byteCount) != 0 else { return false }
        return entries.contains { $0.text.utf8.count == byteCount && equals($0.text) }
    }

    @inline(__always)
    private static func bit(_ length: Int) -> UInt64 { 1 << UInt64(min(length, 63)) }
}
