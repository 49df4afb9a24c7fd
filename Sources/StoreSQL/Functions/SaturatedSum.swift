import CSQLite
import SQLite
import TelemetryModel

/// `saturated_sum(value)`: an aggregate like `sum`, but a sum of integers stops at the ends of a 64-bit integer. `sum` fails there,
/// and one call that claims 2^63 - 1 tokens would take the answer from all others. NULL without values, as `sum`.
enum SaturatedSum {
    /// What one group has gathered, in memory that SQLite clears and keeps for it.
    private struct Gathered {
        var integer: Int64
        var double: Double
        var count: Int
        var hasDouble: Bool
    }

    static func register(on connection: Connection) throws(SQLiteError) {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        let result = sqlite3_create_function_v2(
            connection.handle, "saturated_sum", 1, flags, nil, nil, { SaturatedSum.step($0, $2) }, { SaturatedSum.finish($0) }, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register saturated_sum") }
    }

    private static func gathered(_ context: OpaquePointer?, create: Bool) -> UnsafeMutablePointer<Gathered>? {
        sqlite3_aggregate_context(context, create ? Int32(MemoryLayout<Gathered>.size) : 0)?
            .assumingMemoryBound(to: Gathered.self)
    }

    private static func step(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let value = values?[0], sqlite3_value_type(value) != SQLITE_NULL, let sum = gathered(context, create: true) else {
            return
        }
        sum.pointee.count &+= 1
        if sqlite3_value_numeric_type(value) == SQLITE_INTEGER {
            let integer = sqlite3_value_int64(value)
            sum.pointee.integer = sum.pointee.integer.addingSaturated(integer)
            sum.pointee.double += Double(integer)
        } else {
            sum.pointee.hasDouble = true
            sum.pointee.double += sqlite3_value_double(value)
        }
    }

    private static func finish(_ context: OpaquePointer?) {
        guard let sum = gathered(context, create: false)?.pointee, sum.count > 0 else { return sqlite3_result_null(context) }
        if sum.hasDouble { sqlite3_result_double(context, sum.double) } else { sqlite3_result_int64(context, sum.integer) }
    }
}
