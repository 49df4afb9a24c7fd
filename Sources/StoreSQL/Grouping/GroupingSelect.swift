/// A SELECT over one source, as it is written.
struct GroupingSelect {
    struct Item {
        var expression: SQLExpression
        /// The name that the statement gives it.
        var alias: String?
    }

    /// In WHERE names of items could be meant, which a source does not know.
    private(set) var items: [Item] = []
    private(set) var isDistinct = false
    private(set) var source: GroupingSource
    /// The tokens between FROM and what follows.
    private(set) var from: Range<Int> = 0..<0
    private(set) var condition: SQLExpression?
    private(set) var groups: [SQLExpression] = []
    private(set) var isGrouped = false
    private(set) var having: SQLExpression?
    private(set) var orders: [SQLExpression] = []
    /// The tokens from ORDER BY or LIMIT on.
    private(set) var tail: Range<Int> = 0..<0
    /// All tokens.
    private(set) var tokens: Range<Int> = 0..<0
    private(set) var attributes: [String] = []

    /// The SELECT that begins at a token; `nil` when it is none that is known here.
    init?(_ tokens: [SQLText.Token], at start: Int, sources: [String: GroupingSource]) {
        guard let (source, from) = Self.source(tokens, after: start, sources) else { return nil }
        self.source = source
        self.from = from
        var parser = SQLParser(tokens, at: start + 1, source: source)
        do {
            try read(&parser)
        } catch {
            return nil
        }
        self.tokens = start..<parser.position
        attributes = parser.attributes
    }

    /// What stands behind the FROM of a SELECT: names mean something only once that is known.
    private static func source(
        _ tokens: [SQLText.Token], after start: Int, _ sources: [String: GroupingSource]
    ) -> (GroupingSource, Range<Int>)? {
        var depth = 0
        var position = start + 1
        while position < tokens.count, depth > 0 || !tokens[position].isWord("from") {
            if tokens[position].isSymbol("(") { depth += 1 }
            if tokens[position].isSymbol(")") { depth -= 1 }
            if depth < 0 || tokens[position].isWord("select") { return nil }
            position += 1
        }
        position += 1
        guard position < tokens.count, tokens[position].kind == .word || tokens[position].kind == .name,
            var source = sources[tokens[position].value.lowercased()]
        else { return nil }
        let from = position
        position += 1
        if position < tokens.count, tokens[position].isWord("as") { position += 1 }
        if position < tokens.count, tokens[position].kind == .word || tokens[position].kind == .name {
            let name = tokens[position].value.lowercased()
            if tokens[position].kind == .name || !Self.clauses.contains(name) {
                source.alias = name
                position += 1
            }
        }
        return (source, from..<position)
    }

    /// Words that may follow a source, and are no other name for it.
    private static let clauses: Set<String> = [
        "where", "group", "having", "order", "limit", "union", "except", "intersect", "join", "left", "right", "full", "inner", "outer",
        "cross", "natural", "indexed", "not", "window", "on", "using",
    ]

    private mutating func read(_ parser: inout SQLParser) throws(SQLParser.Unknown) {
        isDistinct = parser.takeWord("distinct")
        repeat { items.append(try Self.item(&parser)) } while parser.takeSymbol(",")
        try parser.expectWord("from")
        guard parser.position == from.lowerBound else { throw .init() }
        parser.position = from.upperBound
        if parser.takeWord("where") { condition = try parser.expression() }
        if parser.takeWord("group") {
            try parser.expectWord("by")
            isGrouped = true
            repeat { groups.append(try parser.expression()) } while parser.takeSymbol(",")
        }
        if parser.takeWord("having") { having = try parser.expression() }
        let end = parser.position
        if parser.takeWord("order") { try readOrders(&parser) }
        if parser.takeWord("limit") {
            repeat { try Self.passCount(&parser) } while parser.takeSymbol(",") || parser.takeWord("offset")
        }
        tail = end..<parser.position
        // Nothing else may follow within the same statement or pair of brackets.
        guard parser.next == nil || parser.isSymbol(")") || parser.isSymbol(";") else { throw .init() }
    }

    private static func item(_ parser: inout SQLParser) throws(SQLParser.Unknown) -> Item {
        var item = Item(expression: try parser.expression())
        if parser.takeWord("as") {
            guard let token = parser.next, token.kind != .symbol, token.kind != .number, token.kind != .parameter else { throw .init() }
            item.alias = token.value
            parser.position += 1
        } else if let token = parser.next, token.kind == .name || token.kind == .text || token.kind == .word && !token.isWord("from") {
            item.alias = token.value
            parser.position += 1
        }
        return item
    }

    private mutating func readOrders(_ parser: inout SQLParser) throws(SQLParser.Unknown) {
        try parser.expectWord("by")
        repeat {
            orders.append(try parser.expression())
            if !parser.takeWord("desc") { _ = parser.takeWord("asc") }
            if parser.takeWord("nulls"), !parser.takeWord("first") { try parser.expectWord("last") }
        } while parser.takeSymbol(",")
    }

    /// A number of rows: a literal or a parameter.
    private static func passCount(_ parser: inout SQLParser) throws(SQLParser.Unknown) {
        _ = parser.takeSymbol("-")
        guard let token = parser.next, token.kind == .number || token.kind == .parameter else { throw .init() }
        parser.position += 1
    }

    /// What it groups by, each as an expression over the source; `nil` where that cannot be told.
    ///
    /// A number means an item, and a name that is no column means the item of that name.
    var keys: [SQLExpression]? {
        guard isGrouped else { return isDistinct ? items.map(\.expression) : [] }
        var keys: [SQLExpression] = []
        for group in groups {
            switch group.form {
            case .constant(.integer(let number)):
                guard number >= 1, number <= items.count else { return nil }
                keys.append(items[Int(number) - 1].expression)
            case .constant: return nil
            case .name(let name):
                guard let item = items.first(where: { $0.alias?.lowercased() == name.lowercased() }) else { return nil }
                keys.append(item.expression)
            default: keys.append(group)
            }
        }
        return keys
    }
}
