import SQLite
package import SpanStore

extension SQLReader {
    /// How many log records are in segments that happened at or before a time as a whole: what pruning would delete.
    package func logRecords(endingAtOrBefore bound: Int64) throws(StoreError) -> Int64 {
        do throws(SQLiteError) {
            guard try LogTables.exist(connection) else { return 0 }
            let statement = try connection.prepare("SELECT total(record_count) FROM main.log_segment WHERE time_max <= ?1")
            try statement.bind(1, bound)
            return try statement.step() ? statement.integer(0) : 0
        } catch {
            throw .database(error)
        }
    }
}
