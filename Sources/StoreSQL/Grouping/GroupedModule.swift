import CSQLite
import SQLite

/// Registers the table-valued function `spans_grouped(number, arguments…)` on a connection: the groups of a plan that a rewritten
/// statement asks for, one a row. Its columns are keys, of which affinity each may be, and aggregates.
enum GroupedModule {
    static let name = "spans_grouped"
    static let keysMax = 6
    static let aggregatesMax = 36
    static let argumentsMax = 16
    private static let firstAggregate = keysMax * SQLAffinity.all.count
    private static let firstArgument = firstAggregate + aggregatesMax

    static func keyName(_ number: Int, _ affinity: SQLAffinity) -> String { "group_\(affinity)_\(number)" }

    static func aggregateName(_ number: Int) -> String { "aggregate_\(number)" }

    /// As a BLOB a column is compared as it is.
    private static var declaration: String {
        let keys = SQLAffinity.all.flatMap { affinity in
            (0..<keysMax).map { "\(keyName($0, affinity)) \(affinity == .text ? "TEXT" : affinity == .integer ? "INTEGER" : "BLOB")" }
        }
        let aggregates = (0..<aggregatesMax).map { "\(aggregateName($0)) BLOB" }
        let arguments = (0..<(argumentsMax + 1)).map { "argument_\($0) BLOB HIDDEN" }
        return "CREATE TABLE \(name)(\((keys + aggregates + arguments).joined(separator: ", ")))"
    }

    /// What the module's callbacks are given; lives as long as the connection.
    final class Context {
        let catalog: SegmentCatalog
        let report: ScanReport
        unowned let connection: Connection
        /// Plans by their numbers, which are never given twice: a statement that was prepared long ago finds none, and not another one's.
        private var plans: [Int64: GroupingPlan] = [:]
        private var next: Int64 = 0
        /// The numbers below are those of views, and stay.
        private var lasting: Int64 = 0

        /// Plans of one statement.
        static let plansOfStatementMax = 64
        /// Plans of statements that are kept.
        private static let plansMax: Int64 = 1024

        init(_ catalog: SegmentCatalog, report: ScanReport, connection: Connection) {
            (self.catalog, self.report, self.connection) = (catalog, report, connection)
        }

        /// Keeps a plan and says its number. The oldest of 1,024 others is forgotten.
        func register(_ plan: GroupingPlan) -> Int64 {
            plans[next] = plan
            if next - Self.plansMax >= lasting { plans[next - Self.plansMax] = nil }
            next += 1
            return next - 1
        }

        /// The plans that there are now stay.
        func keepPlans() { lasting = next }

        func plan(_ number: Int64) -> GroupingPlan? { plans[number] }
    }

    private struct Table {
        var base = sqlite3_vtab()
        var context: Unmanaged<Context>
    }

    private struct Cursor {
        var base = sqlite3_vtab_cursor()
        var context: Unmanaged<Context>
        var run: Unmanaged<GroupedRun>?
        var row: Int64 = 0
    }

    static func register(_ context: Context, on connection: Connection) throws(SQLiteError) {
        let context = Unmanaged.passRetained(context)
        let result = sqlite3_create_module_v2(connection.handle, name, module.pointer, context.toOpaque()) {
            $0.map { Unmanaged<Context>.fromOpaque($0).release() }
        }
        guard result == SQLITE_OK else { throw connection.error(result, "register \(name)") }
    }

    /// SQLite keeps the pointer for as long as the process lives. Immutable once made.
    private struct Module: @unchecked Sendable {
        let pointer: UnsafeMutablePointer<sqlite3_module>
    }

    private static let module: Module = {
        let pointer = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        var module = sqlite3_module()
        module.iVersion = 1
        module.xConnect = { db, aux, _, _, table, _ in GroupedModule.connect(db, aux, table) }
        module.xDisconnect = { GroupedModule.disconnect($0) }
        module.xBestIndex = { GroupedModule.bestIndex($0, $1) }
        module.xOpen = { GroupedModule.open($0, $1) }
        module.xClose = { GroupedModule.close($0) }
        module.xFilter = { GroupedModule.filter($0, $2, $3, $4) }
        module.xNext = { cursor in
            GroupedModule.cursor(cursor)?.pointee.row += 1
            return GroupedModule.attempt(cursor) { try $0.next() }
        }
        module.xEof = { GroupedModule.run($0)?.isAtEnd ?? true ? 1 : 0 }
        module.xColumn = { GroupedModule.column($0, $1, Int($2)) }
        module.xRowid = { cursor, row in
            row?.pointee = GroupedModule.cursor(cursor)?.pointee.row ?? 0
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
        let declared = sqlite3_declare_vtab(db, declaration)
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

    /// The plan's text says which columns the arguments of the scan are for, which columns are read, and whether rows must be sorted.
    private static func bestIndex(
        _ base: UnsafeMutablePointer<sqlite3_vtab>?, _ info: UnsafeMutablePointer<sqlite3_index_info>?
    ) -> Int32 {
        guard let base, let info else { return SQLITE_MISUSE }
        let context = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self).pointee.context.takeUnretainedValue()
        var columns: [Int] = []
        var hasPlan = false
        var hasKey = false
        for index in 0..<Int(info.pointee.nConstraint) {
            let constraint = info.pointee.aConstraint[index]
            let column = Int(constraint.iColumn)
            guard Int32(constraint.op) == SQLITE_INDEX_CONSTRAINT_EQ, column >= 0 else { continue }
            if column >= firstArgument {
                // What the function is called with must be there, and is no condition.
                guard constraint.usable != 0 else { return SQLITE_CONSTRAINT }
                info.pointee.aConstraintUsage[index].omit = 1
                hasPlan = hasPlan || column == firstArgument
            } else {
                guard column < firstAggregate, constraint.usable != 0, VirtualTable.isBinary(info, index) else { continue }
                if sqlite3_vtab_in(info, Int32(index), -1) != 0 { _ = sqlite3_vtab_in(info, Int32(index), 1) }
                hasKey = true
            }
            columns.append(column)
            info.pointee.aConstraintUsage[index].argvIndex = Int32(columns.count)
        }
        guard hasPlan else { return SQLITE_CONSTRAINT }
        try? context.catalog.refresh()
        let spans = Double(max(1, context.catalog.entries.reduce(0) { $0 + $1.spanCount }))
        info.pointee.estimatedCost = hasKey ? spans / 100 : spans / 8
        info.pointee.estimatedRows = hasKey ? 1 : Int64(max(1, spans / 50))
        let isConsumed = consumesOrder(info)
        info.pointee.orderByConsumed = isConsumed ? 1 : 0
        let isSorted = isConsumed && sqlite3_vtab_distinct(info) == 0
        let text = "\(info.pointee.colUsed) \(isSorted ? 1 : 0) \(columns.map(String.init).joined(separator: ","))"
        guard let copy = VirtualTable.allocatedText(text) else { return SQLITE_NOMEM }
        info.pointee.idxStr = copy
        info.pointee.needToFreeIdxStr = 1
        return SQLITE_OK
    }

    /// Whether the order that is wanted is that of the keys, as they are numbered.
    private static func consumesOrder(_ info: UnsafeMutablePointer<sqlite3_index_info>) -> Bool {
        let terms = (0..<Int(info.pointee.nOrderBy)).map { info.pointee.aOrderBy[$0] }
        let isAnyOrder = sqlite3_vtab_distinct(info) == 1 || sqlite3_vtab_distinct(info) == 2
        return !terms.isEmpty
            && terms.enumerated().allSatisfy { place, term in
                let column = Int(term.iColumn)
                guard column >= 0, column < firstAggregate else { return false }
                // Each row is a group: where rows of a group must only stand together, all keys in any order will do.
                return column % keysMax == place && (isAnyOrder || term.desc == 0)
            }
    }

    // MARK: Scanning

    private static func open(
        _ base: UnsafeMutablePointer<sqlite3_vtab>?, _ result: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab_cursor>?>?
    ) -> Int32 {
        guard let base, let result else { return SQLITE_MISUSE }
        let context = UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self).pointee.context
        let cursor = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
        cursor.initialize(to: Cursor(context: context.retain()))
        result.pointee = UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
        return SQLITE_OK
    }

    private static func close(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> Int32 {
        guard let cursor = cursor(base) else { return SQLITE_OK }
        cursor.pointee.run?.release()
        cursor.pointee.context.release()
        cursor.deinitialize(count: 1)
        cursor.deallocate()
        return SQLITE_OK
    }

    private static func cursor(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> UnsafeMutablePointer<Cursor>? {
        base.map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: Cursor.self) }
    }

    private static func run(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> GroupedRun? {
        cursor(base)?.pointee.run?.takeUnretainedValue()
    }

    private static func attempt(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ body: (GroupedRun) throws -> Void) -> Int32 {
        guard let base, let run = run(base) else { return SQLITE_MISUSE }
        return VirtualTable.attempt(base, reading: "span") { try body(run) }
    }

    private static func filter(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ planText: UnsafePointer<CChar>?, _ count: Int32,
        _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 {
        guard let base, let cursor = cursor(base), let planText else { return SQLITE_MISUSE }
        let context = cursor.pointee.context.takeUnretainedValue()
        let words = String(cString: planText).split(separator: " ")
        guard words.count == 3, let used = UInt64(words[0]) else { return SQLITE_MISUSE }
        let columns = words[2].split(separator: ",").compactMap { Int($0) }
        var plan: GroupingPlan?
        var arguments = [SpansScan.Argument](repeating: .null, count: argumentsMax)
        var argumentCount = 0
        var wantedKeys: [Int: SpansScan.Argument] = [:]
        for (index, column) in columns.enumerated() {
            guard index < Int(count), let value = values?[index] else { return SQLITE_MISUSE }
            if column == firstArgument {
                if sqlite3_value_type(value) == SQLITE_INTEGER { plan = context.plan(sqlite3_value_int64(value)) }
            } else if column > firstArgument {
                arguments[column - firstArgument - 1] = SpansModule.argument(value)
                argumentCount = max(argumentCount, column - firstArgument)
            } else {
                let list = SpansModule.list(value)
                if case .list(let items) = list, !items.isEmpty { wantedKeys[column % keysMax] = list } else {
                    wantedKeys[column % keysMax] = SpansModule.argument(value)
                }
            }
        }
        cursor.pointee.run?.release()
        cursor.pointee.run = nil
        cursor.pointee.row = 0
        return VirtualTable.attempt(base, reading: "span") {
            guard let plan, argumentCount == plan.parameters.count, wantedKeys.keys.allSatisfy({ $0 < plan.keys.count }) else {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR, message: "\(name) has no such groups: it is what a statement over spans becomes; prepare that (again)",
                    operation: "group spans")
            }
            let isWanted = plan.aggregates.indices.map { used >> UInt64(firstAggregate + $0) & 1 != 0 }
            let run = GroupedRun(
                plan, Array(arguments.prefix(argumentCount)), context, isWanted: isWanted, wantedKeys: wantedKeys)
            try run.start(isSorted: words[1] == "1")
            cursor.pointee.run = Unmanaged.passRetained(run)
        }
    }

    private static func column(_ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ context: OpaquePointer?, _ index: Int) -> Int32 {
        guard let run = run(base) else { return SQLITE_MISUSE }
        let shown =
            index < firstAggregate
            ? run.key(index % keysMax) : index < firstArgument ? run.aggregate(index - firstAggregate) : .scalar(.null)
        switch shown {
        case .scalar(.null): sqlite3_result_null(context)
        case .scalar(.integer(let integer)): sqlite3_result_int64(context, integer)
        case .scalar(.double(let double)): sqlite3_result_double(context, double)
        case .scalar(.text(let text)): text.withUnsafeBufferPointer { ShownText.give(context, $0) }
        case .column(let statement, let column): sqlite3_result_value(context, sqlite3_column_value(statement.handle, column))
        }
        return SQLITE_OK
    }
}
