import CSQLite
import SQLite
import TelemetryModel

/// SQL functions that come with `spans`.
///
/// - `attr(attributes, 'key')`: the attribute of that name as SQL text, number, 0 or 1; NULL when it is not there. Unlike JSON paths
///   it takes keys with dots as they are.
/// - `percentile(value, p)`: aggregate; the value at rank ⌈p/100 · n⌉ of the values that are not NULL.
/// - `iso(nanoseconds)`: a time as ISO 8601 in UTC with milliseconds.
enum SQLFunctions {
    /// Values that one `percentile` gathers; more give an error instead of exhausting memory.
    private static let percentileValuesMax = 50_000_000

    static func register(on connection: Connection) throws(SQLiteError) {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        var result = sqlite3_create_function_v2(
            connection.handle, "attr", 2, flags, nil, { SQLFunctions.attribute($0, $2) }, nil, nil, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register attr") }
        result = sqlite3_create_function_v2(
            connection.handle, "iso", 1, flags, nil, { SQLFunctions.iso($0, $2) }, nil, nil, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register iso") }
        result = sqlite3_create_function_v2(
            connection.handle, "percentile", 2, flags, nil, nil, { SQLFunctions.percentileStep($0, $2) },
            { SQLFunctions.percentileFinal($0) }, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register percentile") }
    }

    private static func text(_ value: OpaquePointer?) -> [UInt8]? {
        guard let value, sqlite3_value_type(value) == SQLITE_TEXT, let text = sqlite3_value_text(value) else { return nil }
        return Array(UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value))))
    }

    private static func result(_ context: OpaquePointer?, _ text: String) {
        sqlite3_result_text(context, text, -1, fusebox_sqlite_transient())
    }

    private static func attribute(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let object = text(values?[0]), let key = text(values?[1]),
            let value = JSONText.member(String(decoding: key, as: UTF8.self), in: object[...])
        else {
            sqlite3_result_null(context)
            return
        }
        switch value {
        case .text(let text): result(context, text)
        case .bool(let bool): sqlite3_result_int(context, bool ? 1 : 0)
        case .null: sqlite3_result_null(context)
        case .container(let range): result(context, String(decoding: object[range], as: UTF8.self))
        case .number(let digits):
            if let integer = Int64(digits) {
                sqlite3_result_int64(context, integer)
            } else {
                sqlite3_result_double(context, Double(digits) ?? .nan)
            }
        }
    }

    // MARK: iso

    private static func iso(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let value = values?[0], sqlite3_value_type(value) == SQLITE_INTEGER else {
            sqlite3_result_null(context)
            return
        }
        result(context, TimeText.iso8601(unixNano: sqlite3_value_int64(value)))
    }

    // MARK: percentile

    /// What one group has gathered, in memory that SQLite clears and keeps for it.
    private struct Gathered {
        var values: UnsafeMutablePointer<Double>?
        var count: Int
        var capacity: Int
        var percent: Double

        mutating func append(_ value: Double) {
            if count == capacity {
                let grown = UnsafeMutablePointer<Double>.allocate(capacity: max(64, capacity * 2))
                if let values { grown.moveInitialize(from: values, count: count) }
                values?.deallocate()
                values = grown
                capacity = max(64, capacity * 2)
            }
            values?[count] = value
            count += 1
        }
    }

    private static func gathered(_ context: OpaquePointer?, create: Bool) -> UnsafeMutablePointer<Gathered>? {
        sqlite3_aggregate_context(context, create ? Int32(MemoryLayout<Gathered>.size) : 0)?
            .assumingMemoryBound(to: Gathered.self)
    }

    private static func percentileStep(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let gathered = gathered(context, create: true), let value = values?[0], let percent = values?[1] else { return }
        gathered.pointee.percent = sqlite3_value_double(percent)
        guard sqlite3_value_type(value) != SQLITE_NULL else { return }
        guard gathered.pointee.count < percentileValuesMax else {
            sqlite3_result_error(context, "percentile: too many values", -1)
            return
        }
        gathered.pointee.append(sqlite3_value_double(value))
    }

    private static func percentileFinal(_ context: OpaquePointer?) {
        guard let gathered = gathered(context, create: false), let values = gathered.pointee.values else {
            sqlite3_result_null(context)
            return
        }
        defer { values.deallocate() }
        let percent = gathered.pointee.percent
        guard (0...100).contains(percent) else {
            sqlite3_result_null(context)
            return
        }
        let gatheredValues = UnsafeMutableBufferPointer(start: values, count: gathered.pointee.count)
        let rank = Int((percent / 100 * Double(gatheredValues.count)).rounded(.up))
        let value = Selection.value(atRank: max(0, rank - 1), of: gatheredValues)
        if let integer = Int64(exactly: value) {
            sqlite3_result_int64(context, integer)
        } else {
            sqlite3_result_double(context, value)
        }
    }
}
