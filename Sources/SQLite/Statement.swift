import CSQLite

/// A prepared statement. Values are bound from 1 and read from 0, as in SQLite.
package final class Statement {
    package let handle: OpaquePointer
    private let connection: Connection
    private let sql: String
    /// The names that its columns are shown under; `nil` for those that SQLite gives.
    private var columnNames: [String]?

    init(_ handle: OpaquePointer, connection: Connection, sql: String) {
        self.handle = handle
        self.connection = connection
        self.sql = sql
    }

    deinit {
        sqlite3_finalize(handle)
    }

    private func check(_ result: Int32) throws(SQLiteError) {
        guard result == SQLITE_OK else { throw connection.error(result, sql) }
    }

    /// Moves to the next row; `false` when there is none.
    package func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let result:
            let error = connection.error(result, sql)
            sqlite3_reset(handle)
            throw error
        }
    }

    /// Runs to the end and makes the statement ready for new values.
    package func run() throws(SQLiteError) {
        while try step() {}
        reset()
    }

    package func reset() {
        sqlite3_reset(handle)
    }

    package func bind(_ index: Int32, _ value: Int64) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, index, value))
    }

    package func bind(_ index: Int32, _ value: Double) throws(SQLiteError) {
        try check(sqlite3_bind_double(handle, index, value))
    }

    package func bind(_ index: Int32, _ value: String) throws(SQLiteError) {
        var value = value
        let result = value.withUTF8 { text in
            text.withMemoryRebound(to: CChar.self) { characters in
                sqlite3_bind_text(
                    handle, index, characters.baseAddress ?? UnsafePointer(bitPattern: 1), Int32(clamping: characters.count),
                    fusebox_sqlite_transient())
            }
        }
        try check(result)
    }

    /// Binds bytes, which SQLite copies.
    package func bind(_ index: Int32, _ value: borrowing [UInt8]) throws(SQLiteError) {
        let result = value.withUnsafeBytes { bytes in
            bytes.count == 0
                ? sqlite3_bind_zeroblob(handle, index, 0)
                : sqlite3_bind_blob64(
                    handle, index, bytes.baseAddress, UInt64(bytes.count), fusebox_sqlite_transient())
        }
        try check(result)
    }

    package func bindNull(_ index: Int32) throws(SQLiteError) {
        try check(sqlite3_bind_null(handle, index))
    }

    package func bind(_ index: Int32, optional value: String?) throws(SQLiteError) {
        if let value { try bind(index, value) } else { try bindNull(index) }
    }

    package func bind(_ index: Int32, optional value: Int64?) throws(SQLiteError) {
        if let value { try bind(index, value) } else { try bindNull(index) }
    }

    package var columnCount: Int32 { sqlite3_column_count(handle) }

    package func columnName(_ index: Int32) -> String {
        if let columnNames, columnNames.indices.contains(Int(index)) { return columnNames[Int(index)] }
        return sqlite3_column_name(handle, index).map { String(cString: $0) } ?? ""
    }

    /// Names its columns as another statement does: that which a user wrote, and which this one stands for.
    package func takeColumnNames(of other: Statement) {
        columnNames = (0..<other.columnCount).map { other.columnName($0) }
    }

    /// The type that the column was declared with; empty for an expression.
    package func declaredType(_ index: Int32) -> String {
        sqlite3_column_decltype(handle, index).map { String(cString: $0) } ?? ""
    }

    package func type(_ index: Int32) -> Int32 { sqlite3_column_type(handle, index) }

    package func isNull(_ index: Int32) -> Bool { type(index) == SQLITE_NULL }

    package func integer(_ index: Int32) -> Int64 { sqlite3_column_int64(handle, index) }

    package func double(_ index: Int32) -> Double { sqlite3_column_double(handle, index) }

    package func text(_ index: Int32) -> String? {
        guard let text = sqlite3_column_text(handle, index) else { return nil }
        let count = Int(sqlite3_column_bytes(handle, index))
        return String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
    }

    package func blob(_ index: Int32) -> [UInt8] {
        guard let bytes = sqlite3_column_blob(handle, index) else { return [] }
        return Array(UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, index))))
    }

    /// The name of a parameter with its `:`, `@` or `$`; `nil` for one without a name.
    package func parameterName(_ index: Int32) -> String? {
        sqlite3_bind_parameter_name(handle, index).map { String(cString: $0) }
    }

    package var parameterCount: Int32 { sqlite3_bind_parameter_count(handle) }
}
