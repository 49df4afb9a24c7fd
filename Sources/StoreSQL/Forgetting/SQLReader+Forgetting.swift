package import SpanStore
import SQLite

/// What a reader says of orders to forget.
extension SQLReader {
    /// How far an order is; `nil` when there is none of that name.
    package func forgetProgress(_ request: String) throws(StoreError) -> ForgetProgress? {
        do throws(SQLiteError) {
            guard try ForgetTables.exist(connection) else { return nil }
            let statement = try connection.prepare(
                """
                SELECT phase, spans, segments, log_records, log_segments, evals, stalls, overwritten_bytes, problem FROM main.forget
                WHERE request = ?1
                """)
            try statement.bind(1, request)
            guard try statement.step(), let phase = ForgetProgress.Phase(rawValue: statement.text(0) ?? "") else { return nil }
            var counts = ForgetCounts()
            counts.spans = statement.integer(1)
            counts.segments = statement.integer(2)
            counts.logRecords = statement.integer(3)
            counts.logSegments = statement.integer(4)
            counts.evals = statement.integer(5)
            counts.stalls = statement.integer(6)
            return ForgetProgress(
                phase: phase, counts: counts, overwrittenBytes: statement.integer(7), problem: statement.text(8) ?? "")
        } catch {
            throw .database(error)
        }
    }

    /// How much there is of what an order would delete.
    package func forgettable(_ selection: ForgetSelection, _ keys: ForgetKeys) throws(StoreError) -> ForgetCounts {
        do {
            let wasOpen = connection.isInTransaction
            if !wasOpen { try connection.execute("BEGIN") }
            defer { if !wasOpen { try? connection.execute("ROLLBACK") } }
            return try ForgetSearch(self, selection, keys).counts()
        } catch {
            throw SpanStore.storeError(error)
        }
    }
}
