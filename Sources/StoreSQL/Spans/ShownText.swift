import CSQLite

/// Gives texts to SQLite.
package enum ShownText {
    /// Makes the text the result of a function or a column. It is copied, and may hold NUL.
    @inline(__always)
    static func give(_ context: OpaquePointer?, _ text: UnsafeBufferPointer<UInt8>) {
        guard let start = text.baseAddress, text.count > 0 else {
            // A text without an address would be NULL.
            sqlite3_result_text(context, "", 0, nil)
            return
        }
        start.withMemoryRebound(to: CChar.self, capacity: text.count) {
            sqlite3_result_text(context, $0, Int32(clamping: text.count), fusebox_sqlite_transient())
        }
    }

    package static func give(_ context: OpaquePointer?, _ text: String) {
        var text = text
        text.withUTF8 { give(context, $0) }
    }
}
