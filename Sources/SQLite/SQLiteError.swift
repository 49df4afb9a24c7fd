import CSQLite

/// What SQLite answered when it did not do what was asked.
package struct SQLiteError: Error, Sendable, CustomStringConvertible {
    /// The extended result code, such as 13 (`SQLITE_FULL`) or 522 (`SQLITE_IOERR_SHORT_READ`).
    package var extendedCode: Int32
    package var message: String
    /// What was being done: the SQL, or the name of the call.
    package var operation: String

    package init(extendedCode: Int32, message: String, operation: String) {
        self.extendedCode = extendedCode
        self.message = message
        self.operation = operation
    }

    /// The primary result code.
    package var code: Int32 { extendedCode & 0xFF }

    /// Whether the same statement may succeed later without anybody repairing anything: the disk may get room, the lock free.
    package var isRetryable: Bool {
        switch code {
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR, SQLITE_NOMEM, SQLITE_INTERRUPT, SQLITE_PROTOCOL: true
        default: false
        }
    }

    package var description: String { "\(message) (SQLite \(extendedCode)) in: \(operation)" }
}
