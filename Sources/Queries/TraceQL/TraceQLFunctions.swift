import CSQLite
import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// SQL functions of TraceQL's comparisons, where SQL's own say something else: types that differ are never equal nor unequal, an array is
/// any of its elements, and regular expressions take time in proportion to the text.
///
/// - `traceql_compare(object, key, operator, operand)`: whether the member of a JSON object compares so; 0 where it is missing. Behind the
///   operator `?` stands for booleans and `~` for patterns.
/// - `traceql_value(object, key)`: the member; booleans are the texts `true` and `false`, and no numbers. `traceql_number`: where it is one.
/// - `traceql_operand(object, key)`: the member as expressions take it: a boolean is a byte, lists and maps are NULL.
/// - `traceql_calculate(operation, left, right)` and `traceql_relates(symbol, left, right)`: as `TraceQLExpression` says it.
/// - `traceql_matches(text, pattern)`: whether the whole text matches; NULL for what is no text.
enum TraceQLFunctions {
    static func register(on connection: Connection) throws(SQLiteError) {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        func register(_ name: String, _ arguments: Int32, _ body: ScalarFunction) throws(SQLiteError) {
            let result = sqlite3_create_function_v2(connection.handle, name, arguments, flags, nil, body, nil, nil, nil)
            guard result == SQLITE_OK else { throw connection.error(result, "register \(name)") }
        }
        try register("traceql_compare", 4) { TraceQLFunctions.compare($0, $2) }
        try register("traceql_matches", 2) { TraceQLFunctions.matches($0, $2) }
        try register("traceql_value", 2) { TraceQLFunctions.value($0, $2, isNumber: false) }
        try register("traceql_number", 2) { TraceQLFunctions.value($0, $2, isNumber: true) }
        try register("traceql_operand", 2) { TraceQLFunctions.operand($0, $2) }
        try register("traceql_calculate", 3) { TraceQLFunctions.calculate($0, $2) }
        try register("traceql_relates", 3) { TraceQLFunctions.relates($0, $2) }
    }

    private typealias ScalarFunction = @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void

    // MARK: Comparing

    static func holds(_ symbol: String, _ isLess: Bool, _ isEqual: Bool) -> Bool {
        switch symbol {
        case "=": isEqual
        case "!=": !isEqual
        case "<": isLess
        case "<=": isLess || isEqual
        case ">": !isLess && !isEqual
        default: !isLess
        }
    }

    /// Integers exactly, others as doubles.
    static func compare(_ symbol: String, _ left: QueryValue, _ right: QueryValue) -> Bool {
        if case (.integer(let left), .integer(let right)) = (left, right) { return holds(symbol, left < right, left == right) }
        guard let left = left.double, let right = right.double, !left.isNaN, !right.isNaN else { return false }
        return holds(symbol, left < right, left == right)
    }

    /// Byte by byte, as SQL compares texts.
    static func compare(_ symbol: String, _ left: String, _ right: String) -> Bool {
        holds(symbol, left.utf8.lexicographicallyPrecedes(right.utf8), left.utf8.elementsEqual(right.utf8))
    }

    private static func text(_ value: OpaquePointer?) -> UnsafeBufferPointer<UInt8>? {
        guard let value, sqlite3_value_type(value) == SQLITE_TEXT, let text = sqlite3_value_text(value) else { return nil }
        return UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value)))
    }

    private static func compare(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, let object = text(values[0]), let key = text(values[1]), let word = text(values[2]) else {
            return sqlite3_result_int(context, 0)
        }
        let bytes = Array(object)
        guard let found = JSONText.member(String(decoding: key, as: UTF8.self), in: bytes[...]) else {
            return sqlite3_result_int(context, 0)
        }
        let symbol = String(decoding: word, as: UTF8.self)
        let isMet: Bool
        switch found {
        case .container(let range):
            guard case .array(let elements)? = try? JSONValue.parse(bytes[range]) else { return sqlite3_result_int(context, 0) }
            let isNegative = symbol.hasPrefix("!")
            // An array is any of its elements, and is unequal where none is equal.
            let positive = isNegative ? "=" + symbol.dropFirst(2) : symbol
            let anyIs = elements.contains { meets(element($0), positive, values[3], context) }
            isMet = isNegative ? !elements.isEmpty && !anyIs : anyIs
        default: isMet = meets(found, symbol, values[3], context)
        }
        sqlite3_result_int(context, isMet ? 1 : 0)
    }

    private static func element(_ value: JSONValue) -> JSONText.Value {
        switch value {
        case .string(let text): .text(text)
        case .bool(let flag): .bool(flag)
        case .integer, .double, .digits: .number(value.line)
        case .null, .array, .object: .null
        }
    }

    private static func meets(
        _ value: JSONText.Value, _ symbol: String, _ operand: OpaquePointer?, _ context: OpaquePointer?
    ) -> Bool {
        guard let operand else { return false }
        switch (value, sqlite3_value_type(operand)) {
        case (.bool(let flag), SQLITE_INTEGER) where symbol.hasSuffix("?"):
            return (flag == (sqlite3_value_int(operand) != 0)) == !symbol.hasPrefix("!")
        case (_, _) where symbol.hasSuffix("?"): return false
        case (.text(let text), SQLITE_TEXT) where symbol.hasSuffix("~"):
            guard let pattern = pattern(context, operand, argument: 3) else { return false }
            return pattern.matchesWhole(text.utf8) == !symbol.hasPrefix("!")
        case (.text(let text), SQLITE_TEXT):
            guard let wanted = self.text(operand).map({ String(decoding: $0, as: UTF8.self) }) else { return false }
            return compare(symbol, text, wanted)
        case (.number(let digits), SQLITE_INTEGER), (.number(let digits), SQLITE_FLOAT):
            let left: QueryValue? = Int64(digits).map(QueryValue.integer) ?? Double(digits).map(QueryValue.double)
            let right: QueryValue =
                sqlite3_value_type(operand) == SQLITE_INTEGER
                ? .integer(sqlite3_value_int64(operand)) : .double(sqlite3_value_double(operand))
            return left.map { compare(symbol, $0, right) } ?? false
        default: return false
        }
    }

    // MARK: Values

    private static func value(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?, isNumber: Bool) {
        guard let values, let object = text(values[0]), let key = text(values[1]) else { return sqlite3_result_null(context) }
        let bytes = Array(object)
        switch JSONText.member(String(decoding: key, as: UTF8.self), in: bytes[...]) {
        case .number(let digits):
            guard let integer = Int64(digits) else { return sqlite3_result_double(context, Double(digits) ?? .nan) }
            sqlite3_result_int64(context, integer)
        case .text(let text) where !isNumber: ShownText.give(context, text)
        case .bool(let flag) where !isNumber: ShownText.give(context, flag ? "true" : "false")
        case .container(let range) where !isNumber: ShownText.give(context, String(decoding: bytes[range], as: UTF8.self))
        default: sqlite3_result_null(context)
        }
    }

    private static func operand(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, let object = text(values[0]), let key = text(values[1]) else { return sqlite3_result_null(context) }
        let bytes = Array(object)
        switch JSONText.member(String(decoding: key, as: UTF8.self), in: bytes[...]) {
        case .number(let digits): give(context, Int64(digits).map(QueryValue.integer) ?? Double(digits).map(QueryValue.double) ?? .null)
        case .text(let text): ShownText.give(context, text)
        case .bool(let flag): give(context, .blob([flag ? 1 : 0]))
        case .container, .null, nil: sqlite3_result_null(context)
        }
    }

    // MARK: Expressions

    private static func calculate(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, let word = text(values[0]).map({ String(decoding: $0, as: UTF8.self) }),
            let operation = TraceQLExpression.Operation(rawValue: word)
        else { return sqlite3_result_null(context) }
        give(context, TraceQLExpression.calculate(operation, operand(values[1]), operand(values[2])))
    }

    private static func relates(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, let symbol = text(values[0]).map({ String(decoding: $0, as: UTF8.self) }) else {
            return sqlite3_result_int(context, 0)
        }
        sqlite3_result_int(context, TraceQLExpression.relates(symbol, operand(values[1]), operand(values[2])) ? 1 : 0)
    }

    /// A value as expressions take it: numbers, texts and a boolean's byte.
    private static func operand(_ value: OpaquePointer?) -> QueryValue {
        guard let value else { return .null }
        switch sqlite3_value_type(value) {
        case SQLITE_INTEGER: return .integer(sqlite3_value_int64(value))
        case SQLITE_FLOAT: return .double(sqlite3_value_double(value))
        case SQLITE_TEXT: return text(value).map { .text(String(decoding: $0, as: UTF8.self)) } ?? .null
        case SQLITE_BLOB: return sqlite3_value_blob(value).map { .blob([$0.load(as: UInt8.self)]) } ?? .null
        default: return .null
        }
    }

    private static func give(_ context: OpaquePointer?, _ value: QueryValue) {
        switch value {
        case .integer(let integer): sqlite3_result_int64(context, integer)
        case .double(let double): sqlite3_result_double(context, double)
        case .text(let text): ShownText.give(context, text)
        case .blob(let bytes): bytes.withUnsafeBytes { sqlite3_result_blob(context, $0.baseAddress, Int32(clamping: $0.count), fusebox_sqlite_transient()) }
        case .null: sqlite3_result_null(context)
        }
    }

    // MARK: Matching

    private static func matches(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, let text = text(values[0]), let pattern = pattern(context, values[1], argument: 1) else {
            return sqlite3_result_null(context)
        }
        sqlite3_result_int(context, pattern.matchesWhole(text) ? 1 : 0)
    }

    /// A pattern, read once a statement.
    private final class Box {
        let pattern: Pattern?

        init(_ pattern: Pattern?) {
            self.pattern = pattern
        }
    }

    /// The pattern of a constant argument; `nil` for what is none, which the parser has refused before.
    private static func pattern(_ context: OpaquePointer?, _ value: OpaquePointer?, argument: Int32) -> Pattern? {
        if let known = sqlite3_get_auxdata(context, argument) { return Unmanaged<Box>.fromOpaque(known).takeUnretainedValue().pattern }
        guard let text = text(value) else { return nil }
        let box = Box(try? Pattern(ofWholeText: String(decoding: text, as: UTF8.self)))
        sqlite3_set_auxdata(context, argument, Unmanaged.passRetained(box).toOpaque()) { pointer in
            if let pointer { Unmanaged<Box>.fromOpaque(pointer).release() }
        }
        return box.pattern
    }
}
