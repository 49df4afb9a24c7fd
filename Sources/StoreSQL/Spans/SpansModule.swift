import CSQLite
import SQLite
import TelemetryModel

/// Registers the virtual table `spans` on a connection. The callbacks turn SQLite's C calls into `SpansScan` and back; nothing of C
/// goes further in.
enum SpansModule {
    /// What the module's callbacks are given; lives as long as the connection.
    final class Context {
        let catalog: SegmentCatalog
        let report: ScanReport
        let outerJoins: OuterJoins
        /// Calls on attributes that are hidden columns.
        let attributes: [AttributeColumn]
        /// Of a connection that nobody else holds: for a handle that another program owns. For one of our own that would be a circle:
        /// it is closed when its last owner lets go, and the module goes with it.
        private let keptConnection: Connection?

        init(
            _ catalog: SegmentCatalog, report: ScanReport, outerJoins: OuterJoins, attributes: [AttributeColumn],
            keeping connection: Connection? = nil
        ) {
            self.catalog = catalog
            self.outerJoins = outerJoins
            self.report = report
            self.attributes = attributes
            keptConnection = connection
        }
    }

    private struct Table {
        var base = sqlite3_vtab()
        var context: Unmanaged<Context>
    }

    private struct Cursor {
        var base = sqlite3_vtab_cursor()
        var scan: Unmanaged<SpansScan>
        /// Where the scan stands: what each row and value needs, without a reference that is counted.
        var place: UnsafeMutablePointer<ScanPlace>
    }

    /// Registers the table; registering it again takes effect for statements that are prepared from then on.
    static func register(_ context: Context, on connection: Connection) throws(SQLiteError) {
        let context = Unmanaged.passRetained(context)
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
        module.xBestIndex = { SpansModule.bestIndex($0, $1) }
        module.xOpen = { SpansModule.open($0, $1) }
        module.xClose = { SpansModule.close($0) }
        module.xFilter = { SpansModule.filter($0, $2, $3, $4) }
        module.xNext = { SpansModule.next($0) }
        module.xEof = { SpansModule.place($0)?.pointee.isAtEnd ?? true ? 1 : 0 }
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
        let context = Unmanaged<Context>.fromOpaque(aux)
        let attributes = context.takeUnretainedValue().attributes
        let declared = sqlite3_declare_vtab(db, SpansColumn.declaration(attributes: attributes))
        guard declared == SQLITE_OK else { return declared }
        // Views may use the table: it reads only what the connection may read.
        fusebox_sqlite_vtab_innocuous(db)
        let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        table.initialize(to: Table(context: context.retain()))
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

    private static func bestIndex(
        _ base: UnsafeMutablePointer<sqlite3_vtab>?, _ info: UnsafeMutablePointer<sqlite3_index_info>?
    ) -> Int32 {
        guard let base, let info else { return SQLITE_MISUSE }
        let table = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self)
        let plan = SpansPlanner.plan(info, table.pointee.context.takeUnretainedValue())
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
        let table = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self)
        let cursor = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
        let context = table.pointee.context.takeUnretainedValue()
        let scan = SpansScan(context.catalog, attributes: context.attributes, report: context.report)
        cursor.initialize(to: Cursor(scan: Unmanaged.passRetained(scan), place: scan.place))
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

    private static func place(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> UnsafeMutablePointer<ScanPlace>? {
        base.map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: Cursor.self).pointee.place }
    }

    private static func next(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> Int32 {
        if let place = place(base), place.pointee.position + 1 < place.pointee.rowCount {
            place.pointee.position += 1
            return SQLITE_OK
        }
        return attempt(base) { try $0.next() }
    }

    private static func attempt(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ body: (SpansScan) throws -> Void
    ) -> Int32 {
        guard let base, let scan = scan(base) else { return SQLITE_MISUSE }
        return VirtualTable.attempt(base, reading: "span") { try body(scan) }
    }

    private static func filter(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ planText: UnsafePointer<CChar>?, _ count: Int32,
        _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 {
        let plan = SpansPlan(text: planText.map { String(cString: $0) } ?? "")
        var arguments: [SpansScan.Argument] = []
        for index in 0..<Int(count) {
            guard let value = values?[index] else { continue }
            let isList = plan.terms.indices.contains(index) && plan.terms[index].comparison == .isIn
            arguments.append(isList ? list(value) : argument(value))
        }
        return attempt(base) { try $0.start(plan, arguments) }
    }

    static func argument(_ value: OpaquePointer) -> SpansScan.Argument {
        switch sqlite3_value_type(value) {
        case SQLITE_TEXT:
            guard let text = sqlite3_value_text(value) else { return .other }
            return .text(Array(UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value)))))
        case SQLITE_INTEGER: return .integer(sqlite3_value_int64(value))
        case SQLITE_FLOAT: return .double(sqlite3_value_double(value))
        case SQLITE_NULL: return .null
        default: return .other
        }
    }

    /// The list on the right of an IN.
    static func list(_ value: OpaquePointer) -> SpansScan.Argument {
        var items: [SpansScan.Argument] = []
        var item: OpaquePointer?
        var result = sqlite3_vtab_in_first(value, &item)
        while result == SQLITE_OK, let found = item {
            items.append(argument(found))
            result = sqlite3_vtab_in_next(value, &item)
        }
        return result == SQLITE_DONE ? .list(items) : .other
    }

    private static func column(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ context: OpaquePointer?, _ index: Int
    ) -> Int32 {
        guard let place = place(base) else { return SQLITE_MISUSE }
        guard let columns = place.pointee.columns else {
            sqlite3_result_null(context)
            return SQLITE_OK
        }
        if columns[index].kind == .unknown {
            let result = attempt(base) { try $0.segment?.prepare(column: index) }
            guard result == SQLITE_OK else { return result }
        }
        let column = columns[index]
        let row = place.pointee.row
        switch column.kind {
        case .integers, .durations:
            let position = column.position(row)
            guard position >= 0, let integers = column.integers else { break }
            let integer = integers[position]
            sqlite3_result_int64(context, column.kind == .durations ? max(0, integer) : integer)
            return SQLITE_OK
        case .texts:
            let position = column.position(row)
            guard position >= 0, let ranges = column.ranges else { break }
            let range = ranges[column.place(position)]
            ShownText.give(context, UnsafeBufferPointer(start: column.bytes.map { $0 + range.offset }, count: range.count))
            return SQLITE_OK
        case .identifiers:
            let position = column.position(row)
            guard position >= 0, let words = column.words else { break }
            var digits = SpanID(words[position]).hexadecimalDigits
            withUnsafeBytes(of: &digits) { ShownText.give(context, $0.bindMemory(to: UInt8.self)) }
            return SQLITE_OK
        case .other: return attempt(base) { try $0.segment?.withValue(row, column: index) { result(context, $0) } }
        case .null, .unknown: break
        }
        sqlite3_result_null(context)
        return SQLITE_OK
    }

    private static func result(_ context: OpaquePointer?, _ value: borrowing SegmentRows.Shown) {
        switch value {
        case .null: sqlite3_result_null(context)
        case .integer(let integer): sqlite3_result_int64(context, integer)
        case .double(let double): sqlite3_result_double(context, double)
        case .text(let text): ShownText.give(context, text)
        }
    }
}
