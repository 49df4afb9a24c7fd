import TelemetryModel

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A value that a query works out of a span.
indirect enum TraceQLExpression: Equatable, Sendable {
    enum Operation: String, Sendable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
        case remainder = "%"
        case power = "^"
    }

    /// As the query wrote it.
    case literal(TraceQLToken)
    case field(TraceQLField)
    case calculated(Operation, TraceQLExpression, TraceQLExpression)

    /// The fields in it.
    var fields: [TraceQLField] {
        switch self {
        case .literal: []
        case .field(let field): [field]
        case .calculated(_, let left, let right): left.fields + right.fields
        }
    }

    /// What is worked out of two others; of two numbers the number.
    static func calculating(_ operation: Operation, _ left: TraceQLExpression, _ right: TraceQLExpression) throws(QueryError)
        -> TraceQLExpression
    {
        for side in [left, right] { try side.checkNumber(for: operation.rawValue) }
        guard case .literal(let first) = left, case .literal(let second) = right, let one = first.operand,
            let other = second.operand
        else {
            return .calculated(operation, left, right)
        }
        switch calculate(operation, one, other) {
        case .integer(let value): return .literal(.integer(value))
        case .double(let value) where value.isFinite: return .literal(.double(value))
        default: throw .invalid("\(first.shown) \(operation.rawValue) \(second.shown) is not a number")
        }
    }

    /// A minus before a number is a part of it.
    static func negating(_ expression: TraceQLExpression) throws(QueryError) -> TraceQLExpression {
        switch expression {
        case .literal(.integer(let value)): return .literal(.integer(-value))
        // What is one too large for an integer is not, with the minus.
        case .literal(.double(let value)): return .literal(value == 0x1p63 ? .integer(.min) : .double(-value))
        case .literal(.duration(let value)): return .literal(.duration(-value))
        default: return try calculating(.subtract, .literal(.integer(0)), expression)
        }
    }

    /// Refuses what is not a number for certain, or may be several.
    ///
    /// - Parameter taker: what would take it.
    func checkNumber(for taker: String) throws(QueryError) {
        switch self {
        case .literal(.integer), .literal(.double), .literal(.duration), .calculated: return
        case .literal(let token): throw .invalid("'\(token.shown)' is not a number that \(taker) could take")
        case .field(let field):
            if case .element = field.source { throw .invalid("'\(field.name)' may be several values; compare it with one") }
            guard field.kind == .attribute || field.kind == .integer || field.kind == .duration else {
                throw .invalid("'\(field.name)' is not a number that \(taker) could take")
            }
        }
    }

    /// Whether what it is compared with is asked for as a number, a boolean, a status or a kind.
    var isTyped: Bool {
        if case .literal(.name("nil")) = self { return false }
        return sort.map { $0 != "a text" } ?? false
    }

    /// What it is for certain; an attribute may be anything.
    fileprivate var sort: String? {
        switch self {
        case .literal(.text): return "a text"
        case .literal(.name): return "a boolean"
        case .literal, .calculated: return "a number"
        case .field(let field):
            switch field.kind {
            case .attribute: return nil
            case .text: return "a text"
            case .integer, .duration: return "a number"
            case .status: return "a status"
            case .spanKind: return "a kind"
            }
        }
    }

    // MARK: Values

    /// Integers with integers are an integer, which a division cuts; a duration is none, and neither is what is past the end of one. NULL
    /// where one side is not a number, or there is no result.
    static func calculate(_ operation: Operation, _ left: QueryValue, _ right: QueryValue) -> QueryValue {
        if case (.integer(let one), .integer(let other)) = (left, right), let exact = exactly(operation, one, other) {
            return exact
        }
        guard let one = left.double, let other = right.double else { return .null }
        let value: Double
        switch operation {
        case .add: value = one + other
        case .subtract: value = one - other
        case .multiply: value = one * other
        case .divide: value = one / other
        case .remainder: value = one.truncatingRemainder(dividingBy: other)
        case .power: value = pow(one, other)
        }
        return value.isFinite ? .double(value) : .null
    }

    /// `nil` where doubles say it better.
    private static func exactly(_ operation: Operation, _ one: Int64, _ other: Int64) -> QueryValue? {
        let (value, overflow): (Int64, Bool)
        switch operation {
        case .add: (value, overflow) = one.addingReportingOverflow(other)
        case .subtract: (value, overflow) = one.subtractingReportingOverflow(other)
        case .multiply: (value, overflow) = one.multipliedReportingOverflow(by: other)
        case .divide:
            if other == 0 { return .null }
            (value, overflow) = one.dividedReportingOverflow(by: other)
        case .remainder:
            if other == 0 { return .null }
            (value, overflow) = other == -1 ? (0, false) : (one % other, false)
        case .power: return power(one, other).map(QueryValue.integer)
        }
        return overflow ? nil : .integer(value)
    }

    /// `base` by a whole number that is not negative, where it fits.
    private static func power(_ base: Int64, _ exponent: Int64) -> Int64? {
        guard exponent >= 0 else { return nil }
        if base == 0 || base == 1 { return exponent == 0 ? 1 : base }
        if base == -1 { return exponent.isMultiple(of: 2) ? 1 : -1 }
        guard exponent < 64 else { return nil }
        var value: Int64 = 1
        for _ in 0..<exponent {
            let (next, overflow) = value.multipliedReportingOverflow(by: base)
            if overflow { return nil }
            value = next
        }
        return value
    }

    /// Whether two values stand so to each other: of two types never.
    static func relates(_ symbol: String, _ left: QueryValue, _ right: QueryValue) -> Bool {
        switch (left, right) {
        case (.text(let one), .text(let other)): TraceQLFunctions.compare(symbol, one, other)
        case (.blob(let one), .blob(let other)): symbol == "=" ? one == other : symbol == "!=" && one != other
        case (.integer, .integer), (.integer, .double), (.double, .integer), (.double, .double):
            TraceQLFunctions.compare(symbol, left, right)
        default: false
        }
    }

    /// The value, by those of the fields.
    func value(_ of: (TraceQLField) -> QueryValue) -> QueryValue {
        switch self {
        case .literal(let token): return token.operand ?? .null
        case .field(let field): return field.operand(of(field))
        case .calculated(let operation, let left, let right): return Self.calculate(operation, left.value(of), right.value(of))
        }
    }

    /// The value in SQL, where no field needs the whole trace.
    var sql: SQLCondition {
        switch self {
        case .literal(let token): return SQLCondition("?", [token.operand ?? .null])
        case .field(let field): return SQLCondition(field.operandSQL, field.values)
        case .calculated(let operation, let left, let right):
            let (one, other) = (left.sql, right.sql)
            return SQLCondition(
                "traceql_calculate(?, \(one.sql), \(other.sql))", [.text(operation.rawValue)] + one.values + other.values)
        }
    }
}

/// Two expressions, and how they must stand to each other.
struct TraceQLEquation: Equatable, Sendable {
    let left: TraceQLExpression
    let symbol: String
    let right: TraceQLExpression

    init(_ left: TraceQLExpression, _ symbol: String, _ right: TraceQLExpression) throws(QueryError) {
        (self.left, self.symbol, self.right) = (left, symbol, right)
        guard symbol != "=~", symbol != "!~" else {
            throw .invalid("\(symbol) takes a field at the left and a text at the right")
        }
        for side in [left, right] {
            guard case .literal(.name(let word)) = side, word != "true", word != "false" else { continue }
            throw .invalid("'\(word)' can only be compared with a field by itself")
        }
        for field in fields {
            if case .element = field.source { throw .invalid("'\(field.name)' may be several values; compare it with one") }
        }
        if let one = left.sort, let other = right.sort, one != other { throw .invalid("\(one) and \(other) cannot be compared") }
        if left.sort == "a status" || left.sort == "a kind", symbol != "=" && symbol != "!=" {
            throw .invalid("a status or kind takes = and !=")
        }
    }

    var fields: [TraceQLField] { left.fields + right.fields }
    var needsTrace: Bool { fields.contains(where: \.isComputed) }

    var condition: SQLCondition {
        let (one, other) = (left.sql, right.sql)
        return SQLCondition("traceql_relates(?, \(one.sql), \(other.sql))", [.text(symbol)] + one.values + other.values)
    }

    func isMet(_ value: (TraceQLField) -> QueryValue) -> Bool {
        TraceQLExpression.relates(symbol, left.value(value), right.value(value))
    }
}

extension TraceQLToken {
    /// The value of a literal as expressions take it: a boolean is a byte, a duration no integer. `nil` for words.
    var operand: QueryValue? {
        switch self {
        case .text(let text): .text(text)
        case .integer(let value): .integer(value)
        case .double(let value), .duration(let value): .double(value)
        case .name("true"): .blob([1])
        case .name("false"): .blob([0])
        case .name, .symbol: nil
        }
    }
}

extension TraceQLField {
    /// The value in SQL as expressions take it: attributes with their types, lists not at all.
    var operandSQL: String {
        let own = sql.replacing("traceql_value(", with: "traceql_operand(")
        switch kind {
        case .duration: return "CAST(\(own) AS REAL)"
        case .status, .spanKind: return "coalesce(\(own), 0)"
        case .attribute, .text, .integer: return own
        }
    }

    /// The field with its values as expressions take them.
    var asOperand: TraceQLField {
        var field = self
        field.sql = operandSQL
        return field
    }

    /// A value of the whole trace as expressions take it.
    fileprivate func operand(_ value: QueryValue) -> QueryValue {
        guard kind == .duration, case .integer(let nanoseconds) = value else { return value }
        return .double(Double(nanoseconds))
    }
}
