import TelemetryModel

/// What a comparison of a field with a value means; what has no meaning is refused.
enum TraceQLMeaning {
    static func filter(_ field: TraceQLField, _ symbol: String, _ token: TraceQLToken) throws(QueryError) -> TraceQLFilter {
        if field.isOfParent {
            guard token == .name("nil") else { return .parent(try filter(field.own, symbol, token)) }
            // A parent that is not there has nothing.
            let isThere = TraceQLFilter.parent(try filter(field.own, "!=", token))
            return try absent(symbol) ? .not(isThere) : isThere
        }
        if token == .name("nil") { return try absence(field, symbol) }
        if field.kind == .status || field.kind == .spanKind { return try keyword(field, symbol, token) }
        let comparison = try comparison(field, symbol, token)
        switch field.source {
        case .computed(.nestedSetParent) where isRoot(comparison): return .sql(SQLCondition("parent_span_id IS NULL"))
        case .computed(let computed): return .computed(computed, comparison)
        case .column:
            guard let condition = comparison.sql(field.sql, field.values) else { return .never }
            return .sql(condition)
        case .attribute(let objects):
            // The first object that has the key counts, whatever its value.
            let has = objects.map { "attr(\($0), ?) IS NOT NULL" }
            var sql = "traceql_compare(\(objects[objects.count - 1]), ?, ?, ?)"
            var values = [QueryValue.text(field.key)] + comparison.arguments
            for index in objects.indices.dropLast().reversed() {
                sql = "CASE WHEN \(has[index]) THEN traceql_compare(\(objects[index]), ?, ?, ?) ELSE \(sql) END"
                values = [.text(field.key), .text(field.key)] + comparison.arguments + values
            }
            let exact = SQLCondition("(\(sql))", values)
            guard let column = field.attributeColumn else { return .sql(exact) }
            return .attribute(byType(exact, field.key, comparison), candidates: candidates(column, comparison))
        case .element(let column, let member):
            var inner = SQLCondition("traceql_compare(element.value ->> 'attributes', ?, ?, ?)", [.text(field.key)] + comparison.arguments)
            if let member {
                guard let condition = comparison.sql("(\(TraceQLField.member(member)))") else { return .never }
                inner = condition
            }
            return .sql(
                SQLCondition("EXISTS (SELECT 1 FROM json_each(\(column)) AS element WHERE \(inner.sql))", inner.values))
        }
    }

    /// Whether an attribute is a boolean is told by its kind, without its value; a list by its elements.
    private static func byType(_ exact: SQLCondition, _ key: String, _ comparison: TraceQLComparison) -> SQLCondition {
        guard case .flag(let flag) = comparison.operand, ["=", "!="].contains(comparison.symbol) else { return exact }
        let type = SQLCondition.attributeTypeColumn(key)
        let wanted = flag == (comparison.symbol == "=")
        return SQLCondition("(CASE \(type) WHEN 'array' THEN \(exact.sql) ELSE coalesce(\(type) = '\(wanted)', 0) END)", exact.values)
    }

    /// What every span meets of which the attribute compares so: a list, which is shown as its text, is any of its elements.
    private static func candidates(_ value: String, _ comparison: TraceQLComparison) -> SQLCondition {
        let isThere = SQLCondition("\(value) IS NOT NULL")
        let isList = "\(value) >= '[' AND \(value) < '\\'"
        switch (comparison.symbol, comparison.operand) {
        case ("!=", _), (_, .pattern): return isThere
        case ("=", .text(let text)): return SQLCondition("(\(value) = ? OR \(isList))", [.text(text)])
        case (_, .text): return isThere
        case ("=", .flag(let flag)): return SQLCondition("(\(value) = ? OR \(isList))", [.integer(flag ? 1 : 0)])
        case (_, .flag): return isThere
        case (let symbol, .number(let number)): return SQLCondition("(\(value) \(symbol) ? OR \(isList))", [number])
        }
    }

    /// `nestedSetParent < 0` and `= -1`: the root.
    private static func isRoot(_ comparison: TraceQLComparison) -> Bool {
        comparison == TraceQLComparison(symbol: "<", operand: .number(.integer(0)))
            || comparison == TraceQLComparison(symbol: "=", operand: .number(.integer(-1)))
    }

    private static func absence(_ field: TraceQLField, _ symbol: String) throws(QueryError) -> TraceQLFilter {
        let isAbsent = try absent(symbol)
        if field.isComputed { throw .invalid("'\(field.name)' always has a value, so it cannot be compared with nil") }
        return .sql(SQLCondition("\(field.sql) IS \(isAbsent ? "" : "NOT ")NULL", field.values))
    }

    private static func absent(_ symbol: String) throws(QueryError) -> Bool {
        guard symbol == "=" || symbol == "!=" else { throw .invalid("nil takes = and !=") }
        return symbol == "="
    }

    private static let flipped = ["=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="]

    /// What a comparison of two expressions means.
    static func filter(_ left: TraceQLExpression, _ symbol: String, _ right: TraceQLExpression) throws(QueryError) -> TraceQLFilter {
        switch (left, right) {
        case (.field(let field), .literal(let token)): return try filter(field, symbol, token)
        case (.literal(let token), .field(let field)):
            guard let flipped = flipped[symbol] else { throw .invalid("\(symbol) takes a field at the left and a text at the right") }
            return try filter(field, flipped, token)
        default:
            let equation = try TraceQLEquation(left, symbol, right)
            if equation.fields.isEmpty { return equation.isMet { _ in .null } ? .always : .never }
            return equation.needsTrace ? .equation(equation) : .sql(equation.condition)
        }
    }

    private static func keyword(_ field: TraceQLField, _ symbol: String, _ token: TraceQLToken) throws(QueryError) -> TraceQLFilter {
        let known = field.kind == .status ? TraceQLField.statuses : TraceQLField.kinds
        let codes: [Int]
        switch (symbol, token) {
        case ("=", .name(let word)), ("!=", .name(let word)):
            guard let code = known[word] else { throw .invalid("'\(word)' is not a value of \(field.name): \(known.keys.sorted().joined(separator: ", "))") }
            codes = [code]
        case ("=~", .text(let text)), ("!~", .text(let text)):
            let pattern = try pattern(text)
            codes = known.filter { pattern.matchesWhole($0.key.utf8) }.map(\.value).sorted()
        default: throw .invalid("\(field.name) takes = and != with a word without quotes, and =~ and !~ with a text")
        }
        let list = codes.map { "\($0)" }.joined(separator: ", ")
        // A span without one has 0.
        if !symbol.hasPrefix("!"), !codes.contains(0) { return .sql(SQLCondition("\(field.sql) IN (\(list))")) }
        return .sql(SQLCondition("coalesce(\(field.sql), 0) \(symbol.hasPrefix("!") ? "NOT " : "")IN (\(list))"))
    }

    private static func pattern(_ text: String) throws(QueryError) -> Pattern {
        do {
            return try Pattern(ofWholeText: text)
        } catch {
            throw .invalid("the expression '\(text.prefix(200))' cannot be matched here: \(error.message)")
        }
    }

    private static func comparison(_ field: TraceQLField, _ symbol: String, _ token: TraceQLToken) throws(QueryError) -> TraceQLComparison {
        func wrong(_ what: String) -> QueryError { .invalid("'\(field.name)' is compared with \(what), not with \(token.shown)") }
        switch token {
        case .text(let text):
            guard field.kind == .attribute || field.kind == .text else { throw wrong(field.kind == .duration ? "a duration such as 1.5s" : "a number") }
            guard symbol == "=~" || symbol == "!~" else { return TraceQLComparison(symbol: symbol, operand: .text(text)) }
            _ = try pattern(text)
            return TraceQLComparison(symbol: symbol == "=~" ? "=" : "!=", operand: .pattern(text))
        case .integer(let value):
            guard field.kind != .text else { throw wrong("a text in quotes") }
            return TraceQLComparison(symbol: try ordered(symbol), operand: .number(.integer(value)))
        case .double(let value), .duration(let value):
            guard field.kind != .text else { throw wrong("a text in quotes") }
            return TraceQLComparison(
                symbol: try ordered(symbol), operand: .number(Int64(exactly: value).map(QueryValue.integer) ?? .double(value)))
        case .name(let word) where word == "true" || word == "false":
            guard field.kind == .attribute, symbol == "=" || symbol == "!=" else { throw wrong("something else") }
            return TraceQLComparison(symbol: symbol, operand: .flag(word == "true"))
        case .name, .symbol: throw .invalid("'\(token.shown)' is not a value of \(field.name); texts stand in quotes, and fields only at the left")
        }
    }

    private static func ordered(_ symbol: String) throws(QueryError) -> String {
        guard symbol != "=~", symbol != "!~" else { throw .invalid("\(symbol) takes a text") }
        return symbol
    }
}
