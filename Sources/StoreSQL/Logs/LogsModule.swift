import CSQLite
import SQLite

/// Registers the virtual table `logs` on a connection. The callbacks turn SQLite's C calls into `LogsScan` and back; nothing of C goes
/// further in.
enum LogsModule {
    private struct Table {
        var base = sqlite3_vtab()
        var catalog: Unmanaged<LogCatalog>
    }

    private struct Cursor {
        var base = sqlite3_vtab_cursor()
        var scan: Unmanaged<LogsScan>
    }

    static func register(_ catalog: LogCatalog, on connection: Connection) throws(SQLiteError) {
        let context = Unmanaged.passRetained(catalog)
        let result = sqlite3_create_module_v2(connection.handle, "logs", Self.module.pointer, context.toOpaque()) {
            $0.map { Unmanaged<LogCatalog>.fromOpaque($0).release() }
        }
        guard result == SQLITE_OK else { throw connection.error(result, "register logs") }
    }

    /// SQLite keeps the pointer for as long as the process lives. Immutable once made.
    private struct Module: @unchecked Sendable {
        let pointer: UnsafeMutablePointer<sqlite3_module>
    }

    private static let module: Module = {
        let pointer = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        var module = sqlite3_module()
        module.iVersion = 1
        // No xCreate: the table is there without CREATE VIRTUAL TABLE, and leaves nothing in the file.
        module.xConnect = { db, aux, _, _, table, _ in LogsModule.connect(db, aux, table) }
        module.xDisconnect = { LogsModule.disconnect($0) }
        module.xBestIndex = { LogsModule.bestIndex($0, $1) }
        module.xOpen = { LogsModule.open($0, $1) }
        module.xClose = { LogsModule.close($0) }
        module.xFilter = { LogsModule.filter($0, $2, $3, $4) }
        module.xNext = { cursor in LogsModule.attempt(cursor) { try $0.next() } }
        module.xEof = { LogsModule.scan($0)?.isAtEnd ?? true ? 1 : 0 }
        module.xColumn = { LogsModule.column($0, $1, Int($2)) }
        module.xRowid = { cursor, row in
            row?.pointee = LogsModule.scan(cursor)?.rowID ?? 0
            return SQLITE_OK
        }
        pointer.initialize(to: module)
        return Module(pointer: pointer)
    }()

    // MARK: Table

    private static func connect(
        _ db: OpaquePointer?, _ aux: UnsafeMutableRawPointer?,
        _ result: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab>?>?
    ) -> Int32 {
        guard let aux, let result else { return SQLITE_MISUSE }
        let declared = sqlite3_declare_vtab(db, LogsColumn.declaration)
        guard declared == SQLITE_OK else { return declared }
        // Views may use the table: it reads only what the connection may read.
        fusebox_sqlite_vtab_innocuous(db)
        let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        table.initialize(to: Table(catalog: Unmanaged<LogCatalog>.fromOpaque(aux).retain()))
        result.pointee = UnsafeMutableRawPointer(table).assumingMemoryBound(to: sqlite3_vtab.self)
        return SQLITE_OK
    }

    private static func table(_ base: UnsafeMutablePointer<sqlite3_vtab>) -> UnsafeMutablePointer<Table> {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self)
    }

    private static func disconnect(_ base: UnsafeMutablePointer<sqlite3_vtab>?) -> Int32 {
        guard let base else { return SQLITE_OK }
        let table = table(base)
        table.pointee.catalog.release()
        table.deinitialize(count: 1)
        table.deallocate()
        return SQLITE_OK
    }

    private static func bestIndex(
        _ base: UnsafeMutablePointer<sqlite3_vtab>?, _ info: UnsafeMutablePointer<sqlite3_index_info>?
    ) -> Int32 {
        guard let base, let info else { return SQLITE_MISUSE }
        let catalog = table(base).pointee.catalog.takeUnretainedValue()
        // Without the catalog the plan is only less well chosen; the scan says what is wrong with the file.
        try? catalog.refresh()
        let plan = LogsPlanner.plan(info, records: catalog.recordCount, catalog.outerJoins)
        guard let text = VirtualTable.allocatedText(plan.text) else { return SQLITE_NOMEM }
        info.pointee.idxStr = text
        info.pointee.needToFreeIdxStr = 1
        return SQLITE_OK
    }

    // MARK: Scanning

    private static func open(
        _ base: UnsafeMutablePointer<sqlite3_vtab>?, _ result: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab_cursor>?>?
    ) -> Int32 {
        guard let base, let result else { return SQLITE_MISUSE }
        let scan = LogsScan(table(base).pointee.catalog.takeUnretainedValue())
        let cursor = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
        cursor.initialize(to: Cursor(scan: Unmanaged.passRetained(scan)))
        result.pointee = UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
        return SQLITE_OK
    }

    private static func close(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> Int32 {
        guard let base else { return SQLITE_OK }
        let cursor = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Cursor.self)
        cursor.pointee.scan.release()
        cursor.deinitialize(count: 1)
        cursor.deallocate()
        return SQLITE_OK
    }

    private static func scan(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> LogsScan? {
        base.map {
            UnsafeMutableRawPointer($0).assumingMemoryBound(to: Cursor.self).pointee.scan.takeUnretainedValue()
        }
    }

    /// Runs `body`; an error becomes SQLite's result code, and its text the table's message.
    private static func attempt(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ body: (LogsScan) throws -> Void
    ) -> Int32 {
        guard let base, let scan = scan(base) else { return SQLITE_MISUSE }
        return VirtualTable.attempt(base, reading: "log record") { try body(scan) }
    }

    private static func filter(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ planText: UnsafePointer<CChar>?, _ count: Int32,
        _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 {
        let plan = LogsPlan(text: planText.map { String(cString: $0) } ?? "")
        let arguments = (0..<Int(count)).map { index in values?[index].map(argument) ?? .other }
        return attempt(base) { try $0.start(plan, arguments) }
    }

    private static func argument(_ value: OpaquePointer) -> LogsConditions.Argument {
        switch sqlite3_value_type(value) {
        case SQLITE_TEXT:
            guard let text = sqlite3_value_text(value) else { return .other }
            return .text(Array(UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value)))))
        case SQLITE_INTEGER: return .integer(sqlite3_value_int64(value))
        case SQLITE_NULL: return .null
        default: return .other
        }
    }

    private static func column(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ context: OpaquePointer?, _ index: Int
    ) -> Int32 {
        attempt(base) { scan in
            switch try scan.value(index) {
            case .null: sqlite3_result_null(context)
            case .integer(let integer): sqlite3_result_int64(context, integer)
            case .text(let text): text.withUnsafeBufferPointer { ShownText.give(context, $0) }
            }
        }
    }
}
