import TelemetryModel

/// The alias table: which attributes fill which columns, read from `schemas/columns/columns.txt`.
package struct ColumnTable: Sendable {
    /// One unconditional `attribute` rule.
    struct DirectRule: Sendable {
        var column: Int
        var type: ColumnType
        var rank: UInt16
    }

    /// What must be so for a rule of `others` to have any chance, as numbers.
    struct Needs: Sendable {
        var column: UInt8
        var rank: UInt16
        /// Bits of `scopePrefixes`, all of which the scope's name must begin with.
        var scopes: UInt64 = 0
        /// The bit of `eventNames` that the span must have an event of.
        var events: UInt64 = 0
        /// The status code that the span must have; -1 for any.
        var statusCode: Int32 = -1
        var isNumbered = false
    }

    /// Every attribute key that some rule reads.
    private(set) var keys = ByteStringTable(slotCount: 512)
    /// Prefixes of scope names that some rule asks for.
    private(set) var scopePrefixes: [String] = []
    /// Prefixes, with their dot, of keys that are numbered.
    private(set) var numberedPrefixes: [String] = []
    /// By key number, the direct rules of that key.
    private(set) var direct = FlatLists<DirectRule>()
    /// The other rules, in the order of the file: a column's sources follow each other, ranks ascending.
    private(set) var others: [ColumnRule] = []
    /// By key number, positions in `others` of the rules that need that key.
    private(set) var othersOfKey = FlatLists<Int>()
    /// By position in `others`.
    private(set) var needs: [Needs] = []
    /// Names of events that some rule needs; at most 64.
    private(set) var eventNames: [String] = []
    /// Bits of the rules in `others` that need no key.
    private(set) var keylessRules: [UInt64] = []
    /// Columns that a resource's attributes may fill.
    private(set) var resourceColumns: Set<Column> = []
    /// The lists of the two above while the table is being read.
    private var directLists: [[DirectRule]] = []
    private var otherLists: [[Int]] = []

    /// The table that is built into the binary.
    package static let standard: ColumnTable = {
        do {
            return try ColumnTable(text: String(decoding: PackageResources.columns_txt, as: UTF8.self))
        } catch {
            // The file is compiled in and a test reads it whole; without it there are only raw attributes.
            assertionFailure("columns.txt: \(error)")
            return ColumnTable()
        }
    }()

    private init() {}

    /// A line of the table that cannot be understood.
    package struct ParseError: Error, Equatable {
        package var line: Int
        package var message: String
    }

    /// Reads a table in the format that the head of `columns.txt` tells.
    package init(text: String) throws(ParseError) {
        var current: (column: Column, type: ColumnType)?
        var rank: UInt16 = 0
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = Self.words(line)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            if first == "column" || first == "fact" {
                guard words.count >= 3, let column = Column.allCases.first(where: { $0.name == words[1] }),
                    let type = ColumnType(rawValue: words[2])
                else { throw ParseError(line: index + 1, message: "no such column or type") }
                current = (column, type)
                rank = 0
                if words.dropFirst(3).first == "resource" { resourceColumns.insert(column) }
                continue
            }
            guard let current else { throw ParseError(line: index + 1, message: "a source before the first column") }
            let split = words.firstIndex(of: "if") ?? words.endIndex
            guard let source = source(Array(words[..<split])), let conditions = conditions(Array(words[split...].dropFirst()))
            else { throw ParseError(line: index + 1, message: "not a source, or not a condition") }
            try add(ColumnRule(column: current.column, type: current.type, rank: rank, source: source, conditions: conditions),
                line: index + 1)
            rank += 1
        }
        direct = FlatLists(directLists)
        othersOfKey = FlatLists(otherLists)
    }

    private mutating func add(_ rule: ColumnRule, line: Int) throws(ParseError) {
        if let key = rule.directKey {
            directLists[key].append(DirectRule(column: rule.column.rawValue, type: rule.type, rank: rule.rank))
            return
        }
        let index = others.count
        if index & 63 == 0 { keylessRules.append(0) }
        if let key = rule.neededKey { otherLists[key].append(index) } else { keylessRules[index >> 6] |= 1 << (index & 63) }
        needs.append(needs(of: rule))
        others.append(rule)
        // Bits of one word.
        guard scopePrefixes.count <= 64, eventNames.count <= 64 else {
            throw ParseError(line: line, message: "more than 64 scopes or events")
        }
    }

    private mutating func needs(of rule: ColumnRule) -> Needs {
        var needs = Needs(column: UInt8(truncatingIfNeeded: rule.column.rawValue), rank: rule.rank)
        for case .scope(let prefix) in rule.conditions { needs.scopes |= 1 << prefix }
        if let event = rule.neededEvent {
            if !eventNames.contains(event) { eventNames.append(event) }
            needs.events = 1 << (eventNames.firstIndex(of: event) ?? 0)
        }
        if case .status(let code, _) = rule.source { needs.statusCode = code }
        if case .numbered = rule.source { needs.isNumbered = true }
        return needs
    }

    /// The number of a key, which is added when new.
    private mutating func key(_ text: String) -> Int {
        let number = keys.insert(text)
        if number == directLists.count {
            directLists.append([])
            otherLists.append([])
        }
        return number
    }

    /// Words of a line, apart at spaces; a word in double quotes may hold spaces.
    private static func words(_ line: Substring) -> [String] {
        var words: [String] = []
        var word = ""
        var quoted = false
        var started = false
        for character in line {
            if character == "\"" {
                quoted.toggle()
                started = true
            } else if character == " " && !quoted {
                if started { words.append(word) }
                word = ""
                started = false
            } else {
                word.append(character)
                started = true
            }
        }
        if started { words.append(word) }
        return words
    }

    private mutating func source(_ words: [String]) -> ColumnRule.Source? {
        guard let kind = words.first else { return nil }
        let arguments = Array(words.dropFirst())
        switch (kind, arguments.count) {
        case ("attribute", 1): return .attribute(key: key(arguments[0]))
        case ("json", 2): return .json(key: key(arguments[0]), member: arguments[1])
        case ("pair", 2): return .pair(first: key(arguments[0]), second: key(arguments[1]))
        case ("jsonpair", 3): return .jsonPair(key: key(arguments[0]), first: arguments[1], second: arguments[2])
        case ("path", 2): return .path(first: key(arguments[0]), second: key(arguments[1]))
        case ("numbered", 1):
            numberedPrefixes.append(arguments[0] + ".")
            return .numbered(prefix: arguments[0] + ".")
        case ("elements", 1): return .elements(key: key(arguments[0]))
        case ("positive", 1): return .positive(key: key(arguments[0]))
        case ("prefixed", 2): return .prefixed(text: arguments[0], key: key(arguments[1]))
        case ("map", 2...):
            var texts: [String: String] = [:]
            for argument in arguments.dropFirst() {
                let sides = argument.split(separator: "=", maxSplits: 1)
                guard sides.count == 2 else { return nil }
                texts[String(sides[0])] = String(sides[1])
            }
            return .map(key: key(arguments[0]), texts: texts)
        case ("breakerError", 1): return .breakerError(key: key(arguments[0]))
        case ("atLeast", 2):
            guard let limit = Int64(arguments[0]) else { return nil }
            return .atLeast(limit: limit, key: key(arguments[1]))
        case ("name", 1) where arguments[0] == "whole": return .nameWhole
        case ("name", 2):
            switch arguments[0] {
            case "after": return .nameAfter(text: Array(arguments[1].utf8))
            case "until": return .nameUntil(text: Array(arguments[1].utf8))
            case "head": return .nameHead(text: Array(arguments[1].utf8))
            case "tail": return .nameTail(text: Array(arguments[1].utf8))
            default: return nil
            }
        case ("event", 2): return .event(name: arguments[0], key: key(arguments[1]))
        case ("eventElements", 2): return .eventElements(name: arguments[0], key: key(arguments[1]))
        case ("eventValue", 2): return .eventValue(name: arguments[0], value: arguments[1])
        case ("eventOffset", 1): return .eventOffset(name: arguments[0])
        case ("sum", 2):
            guard let first = Self.column(arguments[0]), let second = Self.column(arguments[1]) else { return nil }
            return .sum(first: first, second: second)
        case ("status", 2): return Int32(arguments[0]).map { .status(code: $0, value: arguments[1]) }
        case ("present", 1): return .present(key: key(arguments[0]))
        default: return nil
        }
    }

    private static func column(_ name: String) -> Column? {
        Column.allCases.first { $0.name == name }
    }

    private mutating func conditions(_ words: [String]) -> [ColumnRule.Condition]? {
        var conditions: [ColumnRule.Condition] = []
        for word in words {
            if word == "root" {
                conditions.append(.root)
            } else if word == "child" {
                conditions.append(.child)
            } else if word.hasPrefix("scope:") {
                conditions.append(.scope(prefix: scopePrefix(String(word.dropFirst("scope:".count)))))
            } else if let range = word.firstRange(of: ":=") {
                guard let column = Self.column(String(word[..<range.lowerBound])) else { return nil }
                conditions.append(.column(column, value: String(word[range.upperBound...])))
            } else if let range = word.firstRange(of: "=*") {
                conditions.append(
                    .attributeSuffix(key: key(String(word[..<range.lowerBound])), suffix: String(word[range.upperBound...])))
            } else if let range = word.firstRange(of: "=") {
                conditions.append(
                    .attribute(key: key(String(word[..<range.lowerBound])), value: String(word[range.upperBound...])))
            } else {
                return nil
            }
        }
        return conditions
    }

    private mutating func scopePrefix(_ text: String) -> Int {
        if let known = scopePrefixes.firstIndex(of: text) { return known }
        scopePrefixes.append(text)
        return scopePrefixes.count - 1
    }
}
