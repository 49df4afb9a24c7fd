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
    /// Codes of a span's status that some rule needs; at most `RuleCircumstances.statusCodesMax`.
    private(set) var statusCodes: [Int32] = []
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

    /// The attributes that fill a column whatever else is said, in no order.
    package func directKeys(of column: Column) -> [String] {
        (0..<keys.count).filter { key in direct.indices(key).contains { direct.elements[$0].column == column.rawValue } }
            .map { String(decoding: keys.bytes[keys.ranges[$0].range.offset..<keys.ranges[$0].range.end], as: UTF8.self) }
    }

    /// A line of the table that cannot be understood.
    package struct ParseError: Error, Equatable {
        package var line: Int
        package var message: String
    }

    /// Reads a table in the format that the head of `columns.txt` tells.
    package init(text: String) throws(ParseError) {
        var current: (column: Column, type: ColumnType)?
        var ranks = [UInt16](repeating: 0, count: Column.allCases.count)
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = Self.words(line)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            if first == "column" || first == "fact" {
                guard words.count >= 3, let column = Column.allCases.first(where: { $0.name == words[1] }),
                    let type = ColumnType(rawValue: words[2])
                else { throw ParseError(line: index + 1, message: "no such column or type") }
                current = (column, type)
                if words.dropFirst(3).first == "resource" { resourceColumns.insert(column) }
                continue
            }
            guard let current else { throw ParseError(line: index + 1, message: "a source before the first column") }
            let split = words.firstIndex(of: "if") ?? words.endIndex
            guard let source = source(Array(words[..<split])), let conditions = conditions(Array(words[split...].dropFirst()))
            else { throw ParseError(line: index + 1, message: "not a source, or not a condition") }
            let rule = ColumnRule(
                column: current.column, type: current.type, rank: ranks[current.column.rawValue], source: source,
                conditions: conditions)
            try add(rule, line: index + 1)
            ranks[current.column.rawValue] += 1
        }
        direct = FlatLists(directLists)
        othersOfKey = FlatLists(otherLists)
    }

    private mutating func add(_ rule: ColumnRule, line: Int) throws(ParseError) {
        if let key = rule.directKey {
            directLists[key].append(DirectRule(column: rule.column.rawValue, type: rule.type, rank: rule.rank))
            return
        }
        if let key = rule.neededKey { otherLists[key].append(others.count) }
        needs.append(needs(of: rule))
        others.append(rule)
        // Bits of one word, and of circumstances.
        guard scopePrefixes.count <= 64, eventNames.count <= 64, statusCodes.count <= RuleCircumstances.statusCodesMax else {
            throw ParseError(line: line, message: "more than 64 scopes or events, or more than 3 status codes")
        }
    }

    private mutating func needs(of rule: ColumnRule) -> Needs {
        var needs = Needs(column: UInt8(truncatingIfNeeded: rule.column.rawValue), rank: rule.rank)
        for case .scope(let prefix, false) in rule.conditions { needs.scopes |= 1 << prefix }
        if let event = rule.neededEvent {
            if !eventNames.contains(event) { eventNames.append(event) }
            needs.events = 1 << (eventNames.firstIndex(of: event) ?? 0)
        }
        if case .status(let code, _) = rule.source {
            needs.statusCode = code
            if !statusCodes.contains(code) { statusCodes.append(code) }
        }
        if case .numbered = rule.source { needs.isNumbered = true }
        return needs
    }

    /// The number of a key, which is added when new.
    mutating func key(_ text: String) -> Int {
        let number = keys.insert(text)
        if number == directLists.count {
            directLists.append([])
            otherLists.append([])
        }
        return number
    }

    /// Puts the prefix of numbered keys among the table's, and gives it.
    mutating func numberedPrefix(_ text: String) -> String {
        numberedPrefixes.append(text)
        return text
    }

    /// The number of a prefix of scope names, which is added when new.
    mutating func scopePrefix(_ text: String) -> Int {
        if let known = scopePrefixes.firstIndex(of: text) { return known }
        scopePrefixes.append(text)
        return scopePrefixes.count - 1
    }
}
