import CSQLite
import SQLite
import SegmentFormat

/// What every virtual table tells SQLite in the same way.
enum VirtualTable {
    /// A copy of a text that SQLite frees.
    static func allocatedText(_ text: String) -> UnsafeMutablePointer<CChar>? {
        let bytes = Array(text.utf8CString)
        guard let memory = sqlite3_malloc(Int32(bytes.count)) else { return nil }
        let copy = memory.assumingMemoryBound(to: CChar.self)
        for (offset, byte) in bytes.enumerated() { copy[offset] = byte }
        return copy
    }

    /// Runs `body`; an error becomes SQLite's result code, and its text the table's message.
    ///
    /// - Parameter row: what a row is, such as `span`.
    static func attempt(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>, reading row: StaticString, _ body: () throws -> Void
    ) -> Int32 {
        do {
            try body()
            return SQLITE_OK
        } catch {
            let (code, message) = describe(error, row)
            if let table = base.pointee.pVtab {
                sqlite3_free(table.pointee.zErrMsg)
                table.pointee.zErrMsg = allocatedText(message)
            }
            return code
        }
    }

    private static func describe(_ error: any Error, _ row: StaticString) -> (code: Int32, message: String) {
        switch error {
        case let error as SQLiteError: (error.extendedCode, error.message)
        case let error as SegmentError: (FUSEBOX_SQLITE_CORRUPT_VTAB, error.message)
        default: (FUSEBOX_SQLITE_CORRUPT_VTAB, "a stored \(row) cannot be read: \(error)")
        }
    }

    /// Whether a condition compares texts byte by byte: under another collation SQLite must decide.
    static func isBinary(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int) -> Bool {
        sqlite3_vtab_collation(info, Int32(index)).map { String(cString: $0) } == "BINARY"
    }
}
