import CSQLite
import SQLite

/// Registers the virtual table `spans` on a connection. The callbacks turn SQLite's C calls into `SpansScan` and back; nothing of C
/// goes further in.
enum SpansModule {
    /// What the module's callbacks are given; lives as long as the connection.
    final class Context {
        let catalog: SegmentCatalog
        /// Of a connection that nobody else holds.
        private let keptConnection: Connection?

        init(_ connection: Connection, keepsConnection: Bool) {
            catalog = SegmentCatalog(connection)
            keptConnection = keepsConnection ? connection : nil
        }
    }

    private struct Table {
        var base = sqlite3_vtab()
        var context: Unmanaged<Context>
    }

    private struct Cursor {
        var base = sqlite3_vtab_cursor()
        var scan: Unmanaged<SpansScan>
    }

    /// - Parameter keepsConnection: the module keeps the value, for a handle that another program owns. For one of our own that would
    ///   be a circle: it is closed when its last owner lets go, and the module goes with it.
    static func register(on connection: Connection, keepsConnection: Bool = false) throws(SQLiteError) {
        let context = Unmanaged.passRetained(Context(connection, keepsConnection: keepsConnection))
        let result = sqlite3_create_module_v2(connection.handle, "spans", Self.module.pointer, context.toOpaque()) {
            $0.map { Unmanaged<Context>.fromOpaque($0).release() }
        }
        guard result == SQLITE_OK else { throw connection.error(result, "register spans") }
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
        module.xConnect = { db, aux, _, _, table, _ in SpansModule.connect(db, aux, table) }
        module.xDisconnect = { SpansModule.disconnect($0) }
        module.xBestIndex = { SpansModule.bestIndex($1) }
        module.xOpen = { SpansModule.open($0, $1) }
        module.xClose = { SpansModule.close($0) }
        module.xFilter = { SpansModule.filter($0, $2, $3, $4) }
        module.xNext = { cursor in SpansModule.attempt(cursor) { try $0.next() } }
        module.xEof = { SpansModule.scan($0)?.isAtEnd ?? true ? 1 : 0 }
        module.xColumn = { SpansModule.column($0, $1, Int($2)) }
        module.xRowid = { cursor, row in
            row?.pointee = SpansModule.scan(cursor)?.rowID ?? 0
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
        let declared = sqlite3_declare_vtab(db, SpansColumn.declaration)
        guard declared == SQLITE_OK else { return declared }
        // Views may use the table: it reads only what the connection may read.
        fusebox_sqlite_vtab_innocuous(db)
        let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        table.initialize(to: Table(context: Unmanaged<Context>.fromOpaque(aux).retain()))
        result.pointee = UnsafeMutableRawPointer(table).assumingMemoryBound(to: sqlite3_vtab.self)
        return SQLITE_OK
    }

    private static func disconnect(_ base: UnsafeMutablePointer<sqlite3_vtab>?) -> Int32 {
        guard let base else { return SQLITE_OK }
        let table = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self)
        table.pointee.context.release()
        table.deinitialize(count: 1)
        table.deallocate()
        return SQLITE_OK
    }

    // MARK: Planning

    private static func bestIndex(_ info: UnsafeMutablePointer<sqlite3_index_info>?) -> Int32 {
        guard let info else { return SQLITE_MISUSE }
        var plan = SpansPlan()
        var cost = 1_000_000.0
        for index in 0..<Int(info.pointee.nConstraint) {
            let constraint = info.pointee.aConstraint[index]
            guard constraint.usable != 0, let term = term(for: constraint, info, index) else { continue }
            plan.terms.append(term)
            info.pointee.aConstraintUsage[index].argvIndex = Int32(plan.terms.count)
            switch term {
            case .trace: cost /= 10_000
            case .equals: cost /= 10
            case .startAbove, .startBelow: cost /= 4
            }
        }
        plan.readsColumns = info.pointee.colUsed != 0
        info.pointee.estimatedCost = cost
        info.pointee.estimatedRows = max(1, Int64(cost))
        guard let text = allocatedText(plan.text) else { return SQLITE_NOMEM }
        info.pointee.idxStr = text
        info.pointee.needToFreeIdxStr = 1
        return SQLITE_OK
    }

    private static func term(
        for constraint: sqlite3_index_constraint, _ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int
    ) -> SpansPlan.Term? {
        guard constraint.iColumn >= 0 else { return nil }
        switch (SpansColumn.all[Int(constraint.iColumn)].source, Int32(constraint.op)) {
        case (.traceID, SQLITE_INDEX_CONSTRAINT_EQ): return isBinary(info, index) ? .trace : nil
        case (.startTime, SQLITE_INDEX_CONSTRAINT_GT): return .startAbove(inclusive: false)
        case (.startTime, SQLITE_INDEX_CONSTRAINT_GE): return .startAbove(inclusive: true)
        case (.startTime, SQLITE_INDEX_CONSTRAINT_LT): return .startBelow(inclusive: false)
        case (.startTime, SQLITE_INDEX_CONSTRAINT_LE): return .startBelow(inclusive: true)
        case (.text, SQLITE_INDEX_CONSTRAINT_EQ), (.serviceName, SQLITE_INDEX_CONSTRAINT_EQ):
            return isBinary(info, index) ? .equals(column: Int(constraint.iColumn)) : nil
        default: return nil
        }
    }

    /// Texts are compared byte by byte here; under another collation SQLite must decide.
    private static func isBinary(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int) -> Bool {
        sqlite3_vtab_collation(info, Int32(index)).map { String(cString: $0) } == "BINARY"
    }

    /// A copy of a text that SQLite frees.
    private static func allocatedText(_ text: String) -> UnsafeMutablePointer<CChar>? {
        let bytes = Array(text.utf8CString)
        guard let memory = sqlite3_malloc(Int32(bytes.count)) else { return nil }
        let copy = memory.assumingMemoryBound(to: CChar.self)
        for (offset, byte) in bytes.enumerated() { copy[offset] = byte }
        return copy
    }

    // MARK: Scanning

    private static func open(
        _ base: UnsafeMutablePointer<sqlite3_vtab>?, _ result: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab_cursor>?>?
    ) -> Int32 {
        guard let base, let result else { return SQLITE_MISUSE }
        let table = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self)
        let cursor = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
        let scan = SpansScan(table.pointee.context.takeUnretainedValue().catalog)
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

    private static func scan(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> SpansScan? {
        base.map {
            UnsafeMutableRawPointer($0).assumingMemoryBound(to: Cursor.self).pointee.scan.takeUnretainedValue()
        }
    }

    /// Runs `body`; an error becomes SQLite's result code, and its text the table's message.
    private static func attempt(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ body: (SpansScan) throws -> Void
    ) -> Int32 {
        guard let base, let scan = scan(base) else { return SQLITE_MISUSE }
        do {
            try body(scan)
            return SQLITE_OK
        } catch {
            let (code, message) = describe(error)
            if let table = base.pointee.pVtab {
                sqlite3_free(table.pointee.zErrMsg)
                table.pointee.zErrMsg = allocatedText(message)
            }
            return code
        }
    }

    private static func describe(_ error: any Error) -> (code: Int32, message: String) {
        switch error {
        case let error as SQLiteError: (error.extendedCode, error.message)
        case let error as SegmentError: (FUSEBOX_SQLITE_CORRUPT_VTAB, error.message)
        default: (FUSEBOX_SQLITE_CORRUPT_VTAB, "a stored span cannot be read: \(error)")
        }
    }

    private static func filter(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ planText: UnsafePointer<CChar>?, _ count: Int32,
        _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 {
        let plan = SpansPlan(text: planText.map { String(cString: $0) } ?? "")
        var arguments: [SpansScan.Argument] = []
        for index in 0..<Int(count) {
            guard let value = values?[index] else { continue }
            arguments.append(argument(value))
        }
        return attempt(base) { try $0.start(plan, arguments) }
    }

    private static func argument(_ value: OpaquePointer) -> SpansScan.Argument {
        switch sqlite3_value_type(value) {
        case SQLITE_TEXT:
            guard let text = sqlite3_value_text(value) else { return .other }
            return .text(Array(UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value)))))
        case SQLITE_INTEGER: return .integer(sqlite3_value_int64(value))
        default: return .other
        }
    }

    private static func column(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ context: OpaquePointer?, _ index: Int
    ) -> Int32 {
        attempt(base) { scan in
            guard let segment = scan.segment, SpansColumn.all.indices.contains(index) else {
                sqlite3_result_null(context)
                return
            }
            switch try segment.value(scan.row, column: index) {
            case .null: sqlite3_result_null(context)
            case .integer(let integer): sqlite3_result_int64(context, integer)
            case .text(let bytes): bytes.withUnsafeBufferPointer { result(context, $0) }
            case .string(var text): text.withUTF8 { result(context, $0) }
            }
        }
    }

    private static func result(_ context: OpaquePointer?, _ text: UnsafeBufferPointer<UInt8>) {
        guard let start = text.baseAddress, text.count > 0 else {
            sqlite3_result_text(context, "", 0, nil)
            return
        }
        start.withMemoryRebound(to: CChar.self, capacity: text.count) {
            sqlite3_result_text(context, $0, Int32(clamping: text.count), fusebox_sqlite_transient())
        }
    }
}
