package import SpanStore
import SQLite

extension SQLReader {
    /// A note as the server that last ran kept it; `nil` when none did.
    package func note(_ note: StoreNote) throws(StoreError) -> String? {
        do throws(SQLiteError) {
            let statement = try connection.prepare("SELECT value FROM main.meta WHERE key = ?1")
            try statement.bind(1, note.rawValue)
            return try statement.step() ? statement.text(0) : nil
        } catch {
            throw .database(error)
        }
    }
}
