import TelemetryModel

/// Reads expressions of SQLite's grammar from the tokens of a statement. What it does not know it throws at, and the statement is left
/// as it is.
struct SQLParser {
    /// There is something that the parser does not know.
    struct Unknown: Error {}

    /// Expressions within each other.
    private static let depthMax = 64

    let tokens: [SQLText.Token]
    /// The next token.
    var position: Int
    /// What names mean.
    var source: GroupingSource
    /// Keys of attributes that expressions name by `attr(attributes, 'key')`; each is a column behind those of `SpansColumn.all`.
    private(set) var attributes: [String] = []
    private var depth = 0

    init(_ tokens: [SQLText.Token], at position: Int, source: GroupingSource) {
        self.tokens = tokens
        self.position = position
        self.source = source
    }

    // MARK: Tokens

    var next: SQLText.Token? { tokens.indices.contains(position) ? tokens[position] : nil }

    func isWord(_ word: String, at offset: Int = 0) -> Bool {
        tokens.indices.contains(position + offset) && tokens[position + offset].isWord(word)
    }

    func isSymbol(_ symbol: String, at offset: Int = 0) -> Bool {
        tokens.indices.contains(position + offset) && tokens[position + offset].isSymbol(symbol)
    }

    mutating func takeWord(_ word: String) -> Bool {
        guard isWord(word) else { return false }
        position += 1
        return true
    }

    mutating func takeSymbol(_ symbol: String) -> Bool {
        guard isSymbol(symbol) else { return false }
        position += 1
        return true
    }

    mutating func expectWord(_ word: String) throws(Unknown) { guard takeWord(word) else { throw Unknown() } }

    mutating func expectSymbol(_ symbol: String) throws(Unknown) { guard takeSymbol(symbol) else { throw Unknown() } }

    /// Takes symbols that stand side by side, such as `<=`.
    private mutating func takeSymbols(_ symbols: String) -> Bool {
        var end: Int?
        for (offset, symbol) in symbols.enumerated() {
            guard isSymbol(String(symbol), at: offset) else { return false }
            let range = tokens[position + offset].range
            guard end == nil || end == range.lowerBound else { return false }
            end = range.upperBound
        }
        position += symbols.count
        return true
    }

    // MARK: Expressions

    mutating func expression() throws(Unknown) -> SQLExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else { throw Unknown() }
        return try disjunction()
    }

    private typealias Level = (inout SQLParser) throws(Unknown) -> SQLExpression

    /// Expressions of the next higher level between operators of this one.
    private mutating func joined(
        _ level: Level, _ operation: (inout SQLParser) -> SQLOperator?
    ) throws(Unknown) -> SQLExpression {
        var left = try level(&self)
        while let found = operation(&self) {
            let right = try level(&self)
            left = form(.binary(found, left, right), from: left)
        }
        return left
    }

    private func form(_ form: SQLExpression.Form, from first: SQLExpression) -> SQLExpression {
        SQLExpression(form: form, tokens: first.tokens.lowerBound..<position)
    }

    private mutating func disjunction() throws(Unknown) -> SQLExpression {
        try joined({ parser throws(Unknown) in try parser.conjunction() }, { $0.takeWord("or") ? .or : nil })
    }

    private mutating func conjunction() throws(Unknown) -> SQLExpression {
        try joined({ parser throws(Unknown) in try parser.negation() }, { $0.takeWord("and") ? .and : nil })
    }

    private mutating func negation() throws(Unknown) -> SQLExpression {
        let start = position
        guard takeWord("not") else { return try equality() }
        guard !isWord("exists") else { throw Unknown() }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else { throw Unknown() }
        let negated = try negation()
        return SQLExpression(form: .not(negated), tokens: start..<position)
    }

    private mutating func equality() throws(Unknown) -> SQLExpression {
        var left = try comparison()
        while true {
            if takeSymbols("==") || takeSymbols("=") {
                left = try joined(.equal, left)
            } else if takeSymbols("<>") || takeSymbols("!=") {
                left = try joined(.unequal, left)
            } else if takeWord("isnull") {
                left = form(.isNull(left), from: left)
            } else if takeWord("notnull") {
                left = form(.not(form(.isNull(left), from: left)), from: left)
            } else if takeWord("is") {
                left = try sameness(left)
            } else if isWord("not"), ["in", "like", "between", "null"].contains(where: { isWord($0, at: 1) }) {
                position += 1
                let test = try test(left)
                left = form(.not(test), from: left)
            } else if isWord("in") || isWord("like") || isWord("between") {
                left = try test(left)
            } else {
                return left
            }
        }
    }

    private mutating func sameness(_ left: SQLExpression) throws(Unknown) -> SQLExpression {
        let isNegated = takeWord("not")
        guard !isWord("distinct") else { throw Unknown() }
        if takeWord("null") {
            let isNull = form(.isNull(left), from: left)
            return isNegated ? form(.not(isNull), from: left) : isNull
        }
        // `IS TRUE` asks for a truth, not for a value.
        guard !isWord("true"), !isWord("false") else { throw Unknown() }
        return try joined(isNegated ? .isNotSame : .isSame, left)
    }

    private mutating func joined(_ operation: SQLOperator, _ left: SQLExpression) throws(Unknown) -> SQLExpression {
        let right = try comparison()
        return form(.binary(operation, left, right), from: left)
    }

    /// What may stand behind NOT: IN, LIKE, BETWEEN, NULL.
    private mutating func test(_ left: SQLExpression) throws(Unknown) -> SQLExpression {
        if takeWord("null") { return form(.isNull(left), from: left) }
        if takeWord("between") {
            let low = try comparison()
            try expectWord("and")
            let high = try comparison()
            let (above, below) = (form(.binary(.greaterOrEqual, left, low), from: left), form(.binary(.lessOrEqual, left, high), from: left))
            return form(.binary(.and, above, below), from: left)
        }
        if takeWord("like") {
            let pattern = try comparison()
            guard takeWord("escape") else { return form(.binary(.like, left, pattern), from: left) }
            let escape = try primary()
            guard case .constant(.text(let text)) = escape.form, LikePattern.isEscape(text) else { throw Unknown() }
            return form(.call(LikePattern.escapedLike, [left, pattern, escape]), from: left)
        }
        try expectWord("in")
        try expectSymbol("(")
        guard !isWord("select"), !isWord("with"), !isWord("values") else { throw Unknown() }
        let list = try list(until: ")")
        return form(.isIn(left, list), from: left)
    }

    private mutating func list(until end: String) throws(Unknown) -> [SQLExpression] {
        var list: [SQLExpression] = []
        if takeSymbol(end) { return list }
        repeat { list.append(try expression()) } while takeSymbol(",")
        try expectSymbol(end)
        return list
    }

    private mutating func comparison() throws(Unknown) -> SQLExpression {
        try joined({ parser throws(Unknown) in try parser.bits() }) { parser in
            if parser.isSymbols("<>") || parser.isSymbols("<<") || parser.isSymbols(">>") { return nil }
            if parser.takeSymbols("<=") { return .lessOrEqual }
            if parser.takeSymbols(">=") { return .greaterOrEqual }
            if parser.takeSymbol("<") { return .less }
            return parser.takeSymbol(">") ? .greater : nil
        }
    }

    private func isSymbols(_ symbols: String) -> Bool {
        var copy = self
        return copy.takeSymbols(symbols)
    }

    private mutating func bits() throws(Unknown) -> SQLExpression {
        try joined({ parser throws(Unknown) in try parser.sum() }) { parser in
            if parser.isSymbols("||") { return nil }
            return ["&", "|", "<<", ">>"].contains { parser.takeSymbols($0) } ? .other : nil
        }
    }

    private mutating func sum() throws(Unknown) -> SQLExpression {
        try joined({ parser throws(Unknown) in try parser.product() }) { parser in
            if parser.isSymbols("->") { return nil }
            return parser.takeSymbol("+") ? .plus : parser.takeSymbol("-") ? .minus : nil
        }
    }

    private mutating func product() throws(Unknown) -> SQLExpression {
        try joined({ parser throws(Unknown) in try parser.concatenation() }) { parser in
            parser.takeSymbol("*") ? .times : parser.takeSymbol("/") ? .divided : parser.takeSymbol("%") ? .remainder : nil
        }
    }

    private mutating func concatenation() throws(Unknown) -> SQLExpression {
        let joined = try joined({ parser throws(Unknown) in try parser.signed() }) { parser in
            ["||", "->>", "->"].contains { parser.takeSymbols($0) } ? .other : nil
        }
        guard !isWord("collate") else { throw Unknown() }
        return joined
    }

    private mutating func signed() throws(Unknown) -> SQLExpression {
        let start = position
        guard takeSymbol("-") else { return try primary() }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else { throw Unknown() }
        if next?.value == "9223372036854775808", next?.kind == .number {
            position += 1
            return SQLExpression(form: .constant(.integer(.min)), tokens: start..<position)
        }
        let operand = try signed()
        let form: SQLExpression.Form =
            switch operand.form {
            // SQLite reads such numbers whole.
            case .constant(.integer(let integer)) where integer != .min: .constant(.integer(-integer))
            case .constant(.double(let double)): .constant(.double(-double))
            default: .negated(operand)
            }
        return SQLExpression(form: form, tokens: start..<position)
    }

    private mutating func primary() throws(Unknown) -> SQLExpression {
        let start = position
        guard let token = next else { throw Unknown() }
        position += 1
        switch token.kind {
        case .number:
            guard let number = Self.number(token.value) else { throw Unknown() }
            return SQLExpression(form: .constant(number), tokens: start..<position)
        case .text: return SQLExpression(form: .constant(.text(Array(token.value.utf8))), tokens: start..<position)
        case .parameter: return SQLExpression(form: .parameter(start), tokens: start..<position)
        case .symbol:
            guard token.isSymbol("("), !isWord("select"), !isWord("with"), !isWord("values") else { throw Unknown() }
            let inner = try expression()
            try expectSymbol(")")
            return SQLExpression(form: inner.form, tokens: start..<position)
        case .word, .name: return SQLExpression(form: try named(token), tokens: start..<position)
        }
    }

    /// Digits that SQLite takes for a decimal number.
    private static func number(_ text: String) -> SQLScalar? {
        if let integer = Int64(text) { return .integer(integer) }
        guard text.utf8.allSatisfy({ $0 != UInt8(ascii: "x") && $0 != UInt8(ascii: "X") && $0 != UInt8(ascii: "_") }) else { return nil }
        // Fifteen digits and a small power of ten are read alike everywhere.
        let digits = text.utf8.count { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        guard digits <= 15, let double = Double(text), double.isFinite else { return nil }
        return .double(double)
    }

    // MARK: Names

    /// Words that begin something else, or cannot be a column.
    private static let reserved: Set<String> = [
        "select", "from", "where", "group", "having", "order", "limit", "union", "except", "intersect", "exists", "raise", "distinct",
        "all", "as", "on", "using", "join", "values", "with", "over", "filter", "and", "or", "not", "in", "is", "between", "like",
        "glob", "match", "regexp", "escape", "collate", "then", "else", "when", "end", "by", "current_time", "current_date",
        "current_timestamp", "window",
    ]

    private mutating func named(_ token: SQLText.Token) throws(Unknown) -> SQLExpression.Form {
        let word = token.kind == .word ? token.value.lowercased() : ""
        switch word {
        case "null": return .constant(.null)
        case "case": return try choice()
        case "cast": return try cast()
        case let word where Self.reserved.contains(word): throw Unknown()
        default: break
        }
        // A BLOB: `x'61'`.
        if word == "x", let next, next.kind == .text, next.range.lowerBound == token.range.upperBound { throw Unknown() }
        if isSymbol("(") { return try call(word) }
        if takeSymbol(".") {
            guard let column = next, column.kind == .word || column.kind == .name, source.isNamed(token.value) else { throw Unknown() }
            position += 1
            guard !isSymbol("."), let form = source.column(column.value) else { throw Unknown() }
            return form
        }
        if let form = source.column(token.value) { return form }
        if word == "true" || word == "false" { return .constant(.integer(word == "true" ? 1 : 0)) }
        return .name(token.value)
    }

    private mutating func choice() throws(Unknown) -> SQLExpression.Form {
        let base = isWord("when") ? nil : try expression()
        var cases: [(when: SQLExpression, then: SQLExpression)] = []
        while takeWord("when") {
            var condition = try expression()
            if let base { condition = SQLExpression(form: .binary(.equal, base, condition), tokens: base.tokens.lowerBound..<position) }
            try expectWord("then")
            cases.append((condition, try expression()))
        }
        let otherwise = takeWord("else") ? try expression() : nil
        try expectWord("end")
        guard !cases.isEmpty else { throw Unknown() }
        return .choice(cases, otherwise: otherwise)
    }

    private mutating func cast() throws(Unknown) -> SQLExpression.Form {
        try expectSymbol("(")
        let value = try expression()
        try expectWord("as")
        guard let type = next, type.kind == .word else { throw Unknown() }
        position += 1
        try expectSymbol(")")
        return .call("cast as \(type.value.lowercased())", [value])
    }

    private mutating func call(_ name: String) throws(Unknown) -> SQLExpression.Form {
        guard !name.isEmpty else { throw Unknown() }
        try expectSymbol("(")
        let isDistinct = takeWord("distinct")
        var arguments: [SQLExpression] = []
        if takeSymbol("*") { try expectSymbol(")") } else { arguments = try list(until: ")") }
        var filter: SQLExpression?
        if isWord("filter"), isSymbol("(", at: 1) {
            position += 2
            try expectWord("where")
            filter = try expression()
            try expectSymbol(")")
        }
        guard !isWord("over") else { throw Unknown() }
        if name == "attr", arguments.count == 2, filter == nil, !isDistinct, let column = attribute(arguments) { return .column(column) }
        if let function = SQLAggregate.Function(rawValue: name), function != .min && function != .max || arguments.count == 1 {
            return .aggregate(SQLAggregate(function: function, arguments: arguments, isDistinct: isDistinct, filter: filter))
        }
        guard filter == nil, !isDistinct, name != "group_concat", !name.hasPrefix("json_group_") else { throw Unknown() }
        return .call(name, arguments)
    }

    /// The column of an attribute; `nil` when the arguments do not name one.
    private mutating func attribute(_ arguments: [SQLExpression]) -> Int? {
        guard case .column(let column) = arguments[0].form, column == SpansColumn.attributesIndex,
            case .constant(.text(let bytes)) = arguments[1].form, !bytes.contains(0), let key = String(validating: bytes, as: UTF8.self)
        else { return nil }
        let number = attributes.firstIndex(where: key.isExactly) ?? attributes.count
        if number == attributes.count { attributes.append(key) }
        return SpansColumn.all.count + number
    }
}
