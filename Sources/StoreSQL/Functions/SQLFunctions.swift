import CSQLite
import SQLite
import TelemetryModel

/// SQL functions that come with `spans`.
///
/// - `attr(attributes, 'key')`: the attribute of that name as SQL text, number, 0 or 1; NULL when it is not there. Unlike JSON paths
///   it takes keys with dots as they are.
/// - `attr_type(attributes, 'key')`: what kind of value that is: `true`, `false`, `integer`, `real`, `text`, `array`, `object` or `null`;
///   NULL when it is not there. `attr` shows booleans as numbers.
/// - `percentile(value, p)`: aggregate; see `PercentileFunction`.
/// - `saturated_sum(value)`: aggregate; see `SaturatedSum`.
/// - `declared(resource_attributes, 'field')`: see `DeclaredFunction`.
/// - `iso(nanoseconds)`: a time as ISO 8601 in UTC with milliseconds.
enum SQLFunctions {
    static func register(on connection: Connection) throws(SQLiteError) {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        var result = sqlite3_create_function_v2(
            connection.handle, "attr", 2, flags, nil, { SQLFunctions.attribute($0, $2) }, nil, nil, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register attr") }
        result = sqlite3_create_function_v2(
            connection.handle, "attr_type", 2, flags, nil, { SQLFunctions.attributeType($0, $2) }, nil, nil, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register attr_type") }
        result = sqlite3_create_function_v2(
            connection.handle, "iso", 1, flags, nil, { SQLFunctions.iso($0, $2) }, nil, nil, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register iso") }
        try PercentileFunction.register(on: connection, flags: flags)
        try SaturatedSum.register(on: connection)
        try registerCalls(on: connection)
        try DeclaredFunction.register(on: connection)
    }

    private static func text(_ value: OpaquePointer?) -> [UInt8]? {
        guard let value, sqlite3_value_type(value) == SQLITE_TEXT, let text = sqlite3_value_text(value) else { return nil }
        return Array(UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value))))
    }

    /// The member that the second argument names of the JSON object that the first is, and the text of that.
    private static func member(_ values: UnsafeMutablePointer<OpaquePointer?>?) -> (value: JSONText.Value, object: [UInt8])? {
        guard let object = text(values?[0]), let key = text(values?[1]) else { return nil }
        return JSONText.member(String(decoding: key, as: UTF8.self), in: object[...]).map { ($0, object) }
    }

    private static func attribute(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let (value, object) = member(values) else { return sqlite3_result_null(context) }
        switch value {
        case .text(let text): ShownText.give(context, text)
        case .bool(let bool): sqlite3_result_int(context, bool ? 1 : 0)
        case .null: sqlite3_result_null(context)
        case .container(let range): ShownText.give(context, String(decoding: object[range], as: UTF8.self))
        case .number(let digits):
            if let integer = Int64(digits) {
                sqlite3_result_int64(context, integer)
            } else {
                sqlite3_result_double(context, Double(digits) ?? .nan)
            }
        }
    }

    private static func attributeType(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let (value, object) = member(values) else { return sqlite3_result_null(context) }
        ShownText.give(context, value.typeName(in: object))
    }

    // MARK: iso

    private static func iso(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let value = values?[0], sqlite3_value_type(value) == SQLITE_INTEGER else {
            sqlite3_result_null(context)
            return
        }
        ShownText.give(context, TimeText.iso8601(unixNano: sqlite3_value_int64(value)))
    }
}
