import CSQLite
import SQLite
import TelemetryModel

/// SQL functions about calls and traces: each is the one rule that Swift code goes by too.
///
/// - `token_count(type, tokens, input, output, cached, written)`: the tokens of a call of one type (`input`, `cache_read`, `cache_write`,
///   `output`, `unspecified`), as `TokenCounts` tells them apart.
/// - `token_dollars(tokens, input, output, cached, written, price_input, price_cache_read, price_cache_write, price_output)`: what they cost;
///   NULL without prices.
/// - `first_of(value, is_child, start, end, span_id)`: aggregate; the value of the root, else of the span that started first. Of several the
///   one that ended last, then the one with the least id. NULL is no value.
extension SQLFunctions {
    static func registerCalls(on connection: Connection) throws(SQLiteError) {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        var result = sqlite3_create_function_v2(
            connection.handle, "token_count", 6, flags, nil, { SQLFunctions.tokenCount($0, $2) }, nil, nil, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register token_count") }
        result = sqlite3_create_function_v2(
            connection.handle, "token_dollars", 9, flags, nil, { SQLFunctions.tokenDollars($0, $2) }, nil, nil, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register token_dollars") }
        result = sqlite3_create_function_v2(
            connection.handle, "first_of", 5, flags, nil, nil, { SQLFunctions.firstStep($0, $2) },
            { SQLFunctions.firstFinal($0) }, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register first_of") }
    }

    // MARK: Tokens

    private static func integer(_ value: OpaquePointer?) -> Int64? {
        guard let value, sqlite3_value_type(value) != SQLITE_NULL else { return nil }
        return sqlite3_value_int64(value)
    }

    private static func counts(_ values: UnsafeMutablePointer<OpaquePointer?>, from first: Int) -> TokenCounts {
        TokenCounts(
            total: integer(values[first]), input: integer(values[first + 1]), output: integer(values[first + 2]),
            cacheRead: integer(values[first + 3]), cacheWrite: integer(values[first + 4]))
    }

    private static func tokenCount(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, let type = sqlite3_value_text(values[0]) else { return sqlite3_result_null(context) }
        let counts = counts(values, from: 1)
        switch String(cString: type) {
        case "input": sqlite3_result_int64(context, counts.input)
        case "cache_read": sqlite3_result_int64(context, counts.cacheRead)
        case "cache_write": sqlite3_result_int64(context, counts.cacheWrite)
        case "output": sqlite3_result_int64(context, counts.output)
        case "unspecified": sqlite3_result_int64(context, counts.unspecified)
        default: sqlite3_result_error(context, "token_count: no such type of tokens", -1)
        }
    }

    private static func tokenDollars(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, (5..<9).allSatisfy({ sqlite3_value_type(values[$0]) != SQLITE_NULL }) else {
            return sqlite3_result_null(context)
        }
        let price = ModelPrice(
            model: "", input: sqlite3_value_double(values[5]), cacheRead: sqlite3_value_double(values[6]),
            cacheWrite: sqlite3_value_double(values[7]), output: sqlite3_value_double(values[8]))
        sqlite3_result_double(context, counts(values, from: 0).dollars(at: price))
    }

    // MARK: first_of

    /// What one group has found, in memory that SQLite clears and keeps for it.
    private struct First {
        var value: OpaquePointer?
        /// The span's id is a number here: ids are digits of one length, so numbers go as texts do.
        var rank: NamingRank
    }

    private static func first(_ context: OpaquePointer?, create: Bool) -> UnsafeMutablePointer<First>? {
        sqlite3_aggregate_context(context, create ? Int32(MemoryLayout<First>.size) : 0)?.assumingMemoryBound(to: First.self)
    }

    private static func firstStep(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, let value = values[0], sqlite3_value_type(value) != SQLITE_NULL,
            let best = first(context, create: true)
        else { return }
        var span: UInt64 = 0
        if let digits = sqlite3_value_text(values[4]) { span = SpanID(hexadecimal: String(cString: digits))?.value ?? 0 }
        let candidate = First(
            value: nil,
            rank: NamingRank(
                isChild: sqlite3_value_int64(values[1]) != 0, start: sqlite3_value_int64(values[2]),
                end: sqlite3_value_int64(values[3]), span: span))
        if best.pointee.value != nil {
            guard candidate.rank.precedes(best.pointee.rank) else { return }
            sqlite3_value_free(best.pointee.value)
        }
        best.pointee = candidate
        best.pointee.value = sqlite3_value_dup(value)
    }

    private static func firstFinal(_ context: OpaquePointer?) {
        guard let best = first(context, create: false), let value = best.pointee.value else {
            return sqlite3_result_null(context)
        }
        sqlite3_result_value(context, value)
        sqlite3_value_free(value)
        best.pointee.value = nil
    }
}
