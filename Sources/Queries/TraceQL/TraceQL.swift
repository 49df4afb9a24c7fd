/// The part of Grafana Tempo's query language that Grafana's builder writes: one span set, `select`, and metrics over it.
///
///     { resource.service.name = "travel" && duration > 1s } | select(span.model)
///     { status = error } | rate() by (resource.service.name)
///
/// What is beyond it is refused with a message, never answered wrongly.
package struct TraceQL: Sendable {
    package enum Measure: Equatable, Sendable {
        case rate
        case count
        case minimum, maximum, average, sum
        /// Quantiles in 0...1.
        case quantile([Double])
        /// Counts by powers of two.
        case histogram
    }

    package struct Metric: Sendable {
        package var measure: Measure
        /// What is measured; `nil` for counts.
        var field: TraceQLField?
        var by: [TraceQLField] = []
    }

    /// Conditions in one query, and how deep they nest.
    private static let conditionsMax = 64
    private static let depthMax = 32

    /// `nil` matches every span.
    package private(set) var condition: SQLCondition?
    private(set) var selected: [TraceQLField] = []
    package private(set) var metric: Metric?

    private var tokens: [TraceQLToken]
    private var position = 0
    private var conditions = 0

    package init(_ query: String) throws(QueryError) {
        tokens = try TraceQLToken.all(query)
        if tokens.isEmpty { return }
        try expect("{")
        if !take("}") {
            condition = try any(depth: 0)
            try expect("}")
        }
        while take("|") { try stage() }
        if case .name("with") = next { return }
        guard position == tokens.count else {
            throw .invalid("only one span set { … } with select() or one metric behind it is supported; '\(rest)' is beyond it")
        }
    }

    // MARK: Tokens

    private var next: TraceQLToken? { position < tokens.count ? tokens[position] : nil }

    private var rest: String {
        switch next {
        case .name(let text), .text(let text), .symbol(let text): text
        case .number(let value, let unit): "\(value)\(unit)"
        case nil: "the end"
        }
    }

    private mutating func take(_ symbol: String) -> Bool {
        guard next == .symbol(symbol) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ symbol: String) throws(QueryError) {
        guard take(symbol) else { throw .invalid("the query must have \(symbol) where it has \(rest)") }
    }

    private mutating func name() throws(QueryError) -> String {
        guard case .name(let name) = next else { throw .invalid("the query must have a name where it has \(rest)") }
        position += 1
        return name
    }

    // MARK: Conditions

    private mutating func any(depth: Int) throws(QueryError) -> SQLCondition {
        guard depth <= Self.depthMax else { throw .invalid("the query nests deeper than \(Self.depthMax)") }
        var parts = [try all(depth: depth)]
        while take("||") { parts.append(try all(depth: depth)) }
        return SQLCondition.any(parts) ?? SQLCondition("1")
    }

    private mutating func all(depth: Int) throws(QueryError) -> SQLCondition {
        var parts = [try one(depth: depth)]
        while take("&&") { parts.append(try one(depth: depth)) }
        return SQLCondition.all(parts) ?? SQLCondition("1")
    }

    private mutating func one(depth: Int) throws(QueryError) -> SQLCondition {
        conditions += 1
        guard conditions <= Self.conditionsMax else { throw .invalid("the query has more than \(Self.conditionsMax) conditions") }
        if take("(") {
            let inner = try any(depth: depth + 1)
            try expect(")")
            return inner
        }
        if case .name("true") = next {
            position += 1
            return SQLCondition("1")
        }
        let field = try TraceQLField(try name())
        guard case .symbol(let symbol) = next, ["=", "!=", ">", ">=", "<", "<=", "=~", "!~"].contains(symbol) else {
            // A field alone is true where it is there and not false.
            return SQLCondition("coalesce(\(field.sql), 0) <> 0", field.values)
        }
        position += 1
        return try compare(field, symbol)
    }

    private mutating func compare(_ field: TraceQLField, _ symbol: String) throws(QueryError) -> SQLCondition {
        let operand = symbol == "!=" ? "<>" : symbol
        let token = next
        position += 1
        switch token {
        case .text(let text):
            if symbol == "=~" || symbol == "!~" { return try match(field, text, isNegated: symbol == "!~") }
            return SQLCondition("\(field.sql) \(operand) ?", field.values + [.text(text)])
        case .number(let value, let unit):
            guard symbol != "=~", symbol != "!~" else { throw .invalid("\(symbol) takes a string") }
            let scaled = try Self.scaled(value, unit, field)
            return SQLCondition("\(field.sql) \(operand) ?", field.values + [scaled])
        case .name("nil"):
            return SQLCondition("\(field.sql) IS \(symbol == "=" ? "" : "NOT ")NULL", field.values)
        case .name(let word):
            return SQLCondition("\(field.sql) \(operand) ?", field.values + [try Self.keyword(word, field)])
        case .symbol, nil: throw .invalid("\(field.name) \(symbol) must be followed by a value")
        }
    }

    private static func keyword(_ word: String, _ field: TraceQLField) throws(QueryError) -> QueryValue {
        switch (field.kind, word) {
        case (.status, _): if let code = TraceQLField.statuses[word] { return .integer(Int64(code)) }
        case (.spanKind, _): if let code = TraceQLField.kinds[word] { return .integer(Int64(code)) }
        case (_, "true"): return .integer(1)
        case (_, "false"): return .integer(0)
        default: break
        }
        throw .invalid("'\(word)' is no value of \(field.name); texts stand in quotes")
    }

    private static let units: [String: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9,
    ]

    private static func scaled(_ value: Double, _ unit: String, _ field: TraceQLField) throws(QueryError) -> QueryValue {
        if unit.isEmpty { return Int64(exactly: value).map(QueryValue.integer) ?? .double(value) }
        guard let scale = units[unit] else { throw .invalid("'\(unit)' is no unit of time") }
        return .double(value * scale)
    }

    /// A regular expression of literals, `.`, `.*`, `.+` and alternatives, which match the whole text: as patterns that cost no more
    /// than the text is long. Others may take forever on a text made for it, and are refused.
    private func match(_ field: TraceQLField, _ expression: String, isNegated: Bool) throws(QueryError) -> SQLCondition {
        var parts: [SQLCondition] = []
        for alternative in try Self.alternatives(expression) {
            parts.append(SQLCondition("CAST(\(field.sql) AS TEXT) GLOB ?", field.values + [.text(alternative)]))
        }
        guard let any = SQLCondition.any(parts) else { throw .invalid("the expression is empty") }
        return isNegated ? SQLCondition("NOT (\(any.sql))", any.values) : any
    }

    static func alternatives(_ expression: String) throws(QueryError) -> [String] {
        var body = expression[...]
        if body.hasPrefix("^") { body = body.dropFirst() }
        if body.hasSuffix("$") && !body.hasSuffix("\\$") { body = body.dropLast() }
        if body.hasPrefix("("), body.hasSuffix(")"), !body.dropFirst().dropLast().contains(where: { "()".contains($0) }) {
            body = body.dropFirst().dropLast()
        }
        var patterns: [String] = []
        var pattern = ""
        var characters = body.makeIterator()
        var pending = characters.next()
        while let character = pending {
            pending = characters.next()
            switch character {
            case "|":
                patterns.append(pattern)
                pattern = ""
            case ".":
                pattern += "?"
                if pending == "*" || pending == "+" {
                    pattern = pending == "*" ? String(pattern.dropLast()) + "*" : pattern + "*"
                    pending = characters.next()
                }
            case "\\":
                guard let escaped = pending, !escaped.isLetter, !escaped.isNumber else {
                    throw .invalid("the expression '\(expression)' has a class; use literals, '.', '.*', '.+' and '|'")
                }
                pattern += globLiteral(escaped)
                pending = characters.next()
            case "(", ")", "[", "]", "{", "}", "*", "+", "?", "^", "$":
                throw .invalid("the expression '\(expression)' is not supported; use literals, '.', '.*', '.+' and '|'")
            default: pattern += globLiteral(character)
            }
        }
        patterns.append(pattern)
        return patterns
    }

    private static func globLiteral(_ character: Character) -> String {
        "*?[".contains(character) ? "[\(character)]" : String(character)
    }

    // MARK: Stages

    private mutating func stage() throws(QueryError) {
        let stage = try name()
        try expect("(")
        switch stage {
        case "select":
            selected = try fields()
            return
        case "rate": metric = Metric(measure: .rate)
        case "count_over_time": metric = Metric(measure: .count)
        case "min_over_time": metric = Metric(measure: .minimum, field: try TraceQLField(try name()))
        case "max_over_time": metric = Metric(measure: .maximum, field: try TraceQLField(try name()))
        case "avg_over_time": metric = Metric(measure: .average, field: try TraceQLField(try name()))
        case "sum_over_time": metric = Metric(measure: .sum, field: try TraceQLField(try name()))
        case "histogram_over_time": metric = Metric(measure: .histogram, field: try TraceQLField(try name()))
        case "quantile_over_time":
            let field = try TraceQLField(try name())
            var quantiles: [Double] = []
            while take(",") {
                guard case .number(let value, _) = next, (0...1).contains(value), quantiles.count < 8 else {
                    throw .invalid("quantile_over_time takes a field and quantiles from 0 to 1")
                }
                position += 1
                quantiles.append(value)
            }
            guard !quantiles.isEmpty else { throw .invalid("quantile_over_time takes a field and quantiles from 0 to 1") }
            metric = Metric(measure: .quantile(quantiles), field: field)
        default: throw .invalid("'\(stage)' is not supported; select(), rate(), count_over_time() and the like are")
        }
        try expect(")")
        if case .name("by") = next {
            position += 1
            try expect("(")
            let labels = try fields()
            metric?.by = labels
        }
    }

    /// Fields up to a closing parenthesis.
    private mutating func fields() throws(QueryError) -> [TraceQLField] {
        var fields: [TraceQLField] = []
        repeat {
            guard fields.count < 16 else { throw .invalid("at most 16 fields") }
            fields.append(try TraceQLField(try name()))
        } while take(",")
        try expect(")")
        return fields
    }
}
