import CSQLite
import SQLite
import TelemetryModel

/// The SQL function `row_checksum(value, …)`: what a row's column `checksum` must hold.
///
/// Segments lie in frames that carry a checksum each; SQLite has none for ordinary rows, and takes a flipped bit in a counter for its
/// value. So the writer stores one with each row that the derivations keep, and `fusebox verify` computes it again.
///
///     state = 0; for each value: state = (state rotated left by 23 ^ its type ^ content) * 0x9E3779B97F4A7C15
///     content = the 8 bytes of a number, or the hash of a text or blob ^ its length; 0 for NULL
///     checksum = state as a signed 64-bit integer
///
/// Each step can be undone, so that a change of one value never meets the same checksum by way of another value.
enum RowChecksum {
    static func register(on connection: Connection) throws(SQLiteError) {
        let result = sqlite3_create_function_v2(
            connection.handle, "row_checksum", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil,
            { RowChecksum.evaluate($0, $1, $2) }, nil, nil, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register row_checksum") }
    }

    private static func evaluate(
        _ context: OpaquePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) {
        var state: UInt64 = 0
        for index in 0..<Int(count) {
            guard let value = values?[index] else { continue }
            let type = sqlite3_value_type(value)
            let rotated = state << 23 | state >> 41
            state = (rotated ^ UInt64(UInt32(bitPattern: type)) << 56 ^ content(value, type)) &* 0x9E37_79B9_7F4A_7C15
        }
        sqlite3_result_int64(context, Int64(bitPattern: state))
    }

    private static func content(_ value: OpaquePointer, _ type: Int32) -> UInt64 {
        switch type {
        case SQLITE_INTEGER: UInt64(bitPattern: sqlite3_value_int64(value))
        case SQLITE_FLOAT: sqlite3_value_double(value).bitPattern
        case SQLITE_NULL: 0
        default: hash(of: value)
        }
    }

    private static func hash(of value: OpaquePointer) -> UInt64 {
        guard let start = sqlite3_value_blob(value) else { return 1 }
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(sqlite3_value_bytes(value)))
        return ByteHash.hash(bytes.bytes, WireRange(offset: 0, count: bytes.count)) ^ UInt64(bytes.count)
    }

    /// The tables whose rows have a checksum, and the columns that it covers, in order.
    static let tables: [(name: String, columns: String)] = [
        ("counter", "id, family, labels, value, created_unix_nano"),
        ("label_value", "label, scope, value, first_seen_unix_nano"),
        ("derivation_state", "kind, key, value"),
        ("derivation_journal", "data"),
        (
            "breaker_transition",
            "time_unix_nano, service_name, scope, tool_name, machine, from_state, to_state, trace_id, span_id"
        ),
        ("breaker_opening", OpeningRows.columns),
    ]
}
