import CSQLite

/// One SQLite connection. Not safe for use by two threads at once: it belongs to whoever holds it, and moves between threads only
/// with its owner. `@unchecked Sendable` says that the owners keep to that (one writer thread; readers under a lock).
package final class Connection: @unchecked Sendable {
    package enum Access: Sendable {
        /// Creates the file when it is not there.
        case readWrite
        case readOnly
        /// Of a file that nobody writes to, without locks or a log.
        case immutable
        /// A database of its own, in memory.
        case memory
    }

    /// The handle, for registering modules and functions. Valid as long as the connection.
    package let handle: OpaquePointer
    private let closesHandle: Bool
    /// The file that is noted as open; `nil` for none.
    private var openPath: String?
    /// What begins and ends a transaction, prepared when the first one begins: a commit of few spans would spend as much on reading these
    /// words as on writing its row.
    private var transactionStatements: (begin: OpaquePointer, commit: OpaquePointer)?
    /// Set by the watch itself, while it is there.
    weak var watch: StatementWatch?

    /// Whether the running statement's time is over: for a virtual table that works long between two rows.
    package var isPastDeadline: Bool { watch?.look() ?? false }

    /// A text of which SQLite is preparing a statement.
    package final class Preparation {
        package let text: String

        init(text: String) { self.text = text }
    }

    /// The text that is being prepared through this connection; `nil` at other times. SQLite prepares a statement once more when the
    /// schema has changed, and a borrowed handle's owner prepares its own: then it is `nil` too.
    package private(set) var preparation: Preparation?

    /// A connection that another program opened, and closes.
    package init(borrowing handle: OpaquePointer) {
        self.handle = handle
        closesHandle = false
    }

    package init(path: String, access: Access, busyTimeoutMilliseconds: Int32 = 5000) throws(SQLiteError) {
        let flags: Int32 =
            switch access {
            case .readWrite: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            case .readOnly: SQLITE_OPEN_READONLY
            case .immutable: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
            case .memory: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY
            }
        var opened: OpaquePointer?
        let name = access == .immutable ? "file:\(Self.escaped(path))?immutable=1" : path
        let result = sqlite3_open_v2(name, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard result == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(result))
            sqlite3_close_v2(opened)
            throw SQLiteError(extendedCode: result, message: message, operation: "open \(path)")
        }
        handle = opened
        closesHandle = true
        if access == .readWrite || access == .readOnly {
            guard OpenFiles.add(path, opened) else {
                sqlite3_close_v2(opened)
                throw SQLiteError(
                    extendedCode: SQLITE_READONLY | (4 << 8),  // SQLITE_READONLY_DBMOVED
                    message: "\(path) was replaced by another file while this process has it open", operation: "open \(path)")
            }
            openPath = path
        }
        sqlite3_busy_timeout(handle, busyTimeoutMilliseconds)
    }

    deinit {
        if let transactionStatements {
            sqlite3_finalize(transactionStatements.begin)
            sqlite3_finalize(transactionStatements.commit)
        }
        if closesHandle { sqlite3_close_v2(handle) }
        if let openPath { OpenFiles.remove(openPath) }
    }

    /// A path as it stands in a `file:` URI.
    private static func escaped(_ path: String) -> String {
        path.reduce(into: "") { text, character in
            switch character {
            case "%": text += "%25"
            case "?": text += "%3f"
            case "#": text += "%23"
            default: text.append(character)
            }
        }
    }

    package func error(_ result: Int32, _ operation: String) -> SQLiteError {
        SQLiteError(extendedCode: result, message: String(cString: sqlite3_errmsg(handle)), operation: operation)
    }

    /// Runs one or more statements that take no values and give no rows.
    package func execute(_ sql: String) throws(SQLiteError) {
        let result = sqlite3_exec(handle, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw error(result, sql) }
    }

    /// Prepares the first statement of `sql`. `persistent` is for those that live as long as the connection.
    package func prepare(_ sql: String, persistent: Bool = false) throws(SQLiteError) -> Statement {
        var statement: OpaquePointer?
        let flags = persistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
        let result = preparing(sql) { sqlite3_prepare_v3(handle, sql, -1, flags, &statement, nil) }
        guard result == SQLITE_OK else { throw error(result, sql) }
        guard let statement else {
            throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "there is no statement in the text", operation: sql)
        }
        return Statement(statement, connection: self, sql: sql)
    }

    /// Runs `body`, which prepares a statement of `text`. A virtual table may prepare statements of its own meanwhile.
    private func preparing(_ text: String, _ body: () -> Int32) -> Int32 {
        let outer = preparation
        preparation = Preparation(text: text)
        defer { preparation = outer }
        return body()
    }

    /// Prepares the first statement of a text and gives what stands behind it; the statement is `nil` where there was only space
    /// or a comment, and all is `nil` at the end of the text.
    package func prepareNext(_ sql: Substring) throws(SQLiteError) -> (statement: Statement?, rest: Substring)? {
        guard !sql.allSatisfy(\.isWhitespace) else { return nil }
        let text = Array(sql.utf8)
        var statement: OpaquePointer?
        var consumed = 0
        let result = preparing(String(sql)) {
            text.withUnsafeBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { characters in
                    var tail: UnsafePointer<CChar>?
                    let result = sqlite3_prepare_v3(
                        handle, characters.baseAddress, Int32(clamping: characters.count), 0, &statement, &tail)
                    if let tail, let start = characters.baseAddress { consumed = tail - start }
                    return result
                }
            }
        }
        guard result == SQLITE_OK else { throw error(result, String(sql)) }
        let rest = consumed > 0 ? String(decoding: text[consumed...], as: UTF8.self)[...] : ""
        return (statement.map { Statement($0, connection: self, sql: String(sql)) }, rest)
    }

    /// The first column of the first row as an integer; `nil` without rows.
    package func integer(_ sql: String) throws(SQLiteError) -> Int64? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : nil
    }

    /// The first column of the first row as text; `nil` without rows or for NULL.
    package func text(_ sql: String) throws(SQLiteError) -> String? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(0) : nil
    }

    /// Rows that the last INSERT, UPDATE or DELETE changed.
    package var changes: Int { Int(sqlite3_changes64(handle)) }

    package var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs `body` in one transaction that takes the write lock at once, and rolls back when it throws.
    package func transaction<Result>(_ body: () throws(SQLiteError) -> Result) throws(SQLiteError) -> Result {
        let statements = if let transactionStatements { transactionStatements } else { try prepareTransactions() }
        transactionStatements = statements
        try run(statements.begin, "begin a transaction")
        do {
            let result = try body()
            try run(statements.commit, "commit a transaction")
            return result
        } catch {
            if isInTransaction { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
            throw error
        }
    }

    private func prepareTransactions() throws(SQLiteError) -> (begin: OpaquePointer, commit: OpaquePointer) {
        let begin = try prepareHandle("BEGIN IMMEDIATE")
        do {
            return (begin, try prepareHandle("COMMIT"))
        } catch {
            sqlite3_finalize(begin)
            throw error
        }
    }

    /// A statement that is not a `Statement`, which would keep its connection.
    private func prepareHandle(_ sql: String) throws(SQLiteError) -> OpaquePointer {
        var statement: OpaquePointer?
        let result = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard result == SQLITE_OK, let statement else { throw error(result, sql) }
        return statement
    }

    /// Runs a statement without rows, and makes it ready to run again.
    private func run(_ statement: OpaquePointer, _ operation: String) throws(SQLiteError) {
        let result = sqlite3_step(statement)
        let failure = result == SQLITE_DONE ? nil : error(result, operation)
        sqlite3_reset(statement)
        if let failure { throw failure }
    }
}
