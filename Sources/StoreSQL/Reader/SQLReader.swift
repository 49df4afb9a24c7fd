import CSQLite
package import SQLite
package import SpanStore
import TelemetryModel

/// A read-only connection with `spans`, the views over it and the SQL functions. It works beside a running server and without one.
///
/// Read-only three times over: the file is opened so, `query_only` is set, and an authorizer lets through only what reads. Used by
/// one thread at a time.
package final class SQLReader: @unchecked Sendable {
    /// Attributes that may have columns on one connection.
    private static let attributeColumnsMax = 256

    package let connection: Connection
    /// What the queries since its last `clear` read of `spans`.
    package let report = ScanReport()
    let catalog: SegmentCatalog
    private let logs: LogCatalog
    private let outerJoins: OuterJoins
    private let grouping: GroupedModule.Context
    private let rewriter: GroupingRewriter
    private var attributes: [AttributeColumn] = []

    /// Opens the store in `folder`, which must hold a database.
    ///
    /// - Parameter calls: shared by all readers of the folder in a process that has several.
    package init(folder: StoreFolder, calls: CallsOfSegments = CallsOfSegments()) throws(StoreError) {
        try folder.checkDatabaseExists()
        do {
            connection = try Connection.reading(folder.databasePath)
            try StoreSettings.checkOwnership(connection)
            try StoreSettings.checkVersion(connection)
            try StoreSettings.prepareReader(connection)
            catalog = SegmentCatalog(connection, calls)
            logs = LogCatalog(connection)
            outerJoins = OuterJoins(connection)
            try SpansModule.register(
                .init(catalog, report: report, outerJoins: outerJoins, attributes: []), on: connection)
            try LogsModule.register(logs, on: connection)
            try SQLFunctions.register(on: connection)
            grouping = GroupedModule.Context(catalog, report: report, connection: connection)
            try GroupedModule.register(grouping, on: connection)
            rewriter = try Self.declareViews(connection, grouping)
            try connection.execute(ContractQuery.view)
            try declareMissingViews()
            // Connects the virtual tables while declaring them is still allowed.
            for table in ["spans", "\(GroupedModule.name)(0)", "logs", "json_each('[]')", "json_tree('[]')"] {
                try connection.execute("SELECT 1 FROM \(table) LIMIT 0")
            }
            let tables = try connection.prepare("SELECT name FROM main.sqlite_master WHERE type = 'table'")
            while try tables.step() { if let name = tables.text(0) { catalog.tables.insert(name) } }
            try connection.execute("PRAGMA query_only = ON")
            // `sqlite_master` must not be written through `writable_schema` either.
            fusebox_sqlite_set_defensive(connection.handle, 1)
            authorize()
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    /// Makes the views, those that group by column where that is possible.
    private static func declareViews(
        _ connection: Connection, _ grouping: GroupedModule.Context
    ) throws(SQLiteError) -> GroupingRewriter {
        var rewriter = GroupingRewriter()
        for view in StoredView.all {
            let definition = rewriter.rewritten(view.definition) { grouping.register($0) } ?? view.definition
            try connection.execute("CREATE TEMP VIEW \(view.name) AS \(definition)")
            rewriter.addView(view.name, view.definition)
        }
        grouping.keepPlans()
        return rewriter
    }

    /// The only spans and log records that queries show from now on; `nil` for all. For statements that are prepared afterwards.
    package var scope: ProjectScope? {
        get { catalog.scope }
        set {
            catalog.scope = newValue
            logs.scope = newValue
        }
    }

    /// A file that no program of this version has written to has no openings of breakers yet.
    private func declareMissingViews() throws(SQLiteError) {
        let query = "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = 'breaker_opening'"
        guard try connection.integer(query) == nil else { return }
        let columns = OpeningRows.columns.split(separator: ", ").map { "NULL AS \($0)" }.joined(separator: ", ")
        try connection.execute("DROP VIEW breaker_openings")
        try connection.execute("CREATE TEMP VIEW breaker_openings AS SELECT \(columns) WHERE 0")
    }

    private func authorize() {
        sqlite3_set_authorizer(
            connection.handle,
            { catalog, action, first, second, database, view in
                guard SQLReader.isAllowed(action, first, second) else { return SQLITE_DENY }
                guard action == SQLITE_READ, let catalog, let first else { return SQLITE_OK }
                let known = Unmanaged<SegmentCatalog>.fromOpaque(catalog).takeUnretainedValue()
                guard let scope = known.scope else { return SQLITE_OK }
                // Of a table of which rows are counted and no column is read, the database is not said.
                let table = String(cString: first)
                let isInFile = database.map { String(cString: $0) == "main" } ?? known.tables.contains(table)
                return scope.allows(table: table, isInFile: isInFile, for: view.map { String(cString: $0) }) ? SQLITE_OK : SQLITE_DENY
            },
            // The catalog lives as long as the connection, whose modules hold it.
            Unmanaged.passUnretained(catalog).toOpaque())
    }

    /// Prepares the first statement of a text and gives what stands behind it, like `Connection.prepareNext`. What groups spans does so by
    /// column, and conditions on attributes are handed down to `spans`, where that is possible.
    package func prepareNext(_ sql: Substring) throws(SQLiteError) -> (statement: Statement?, rest: Substring)? {
        guard let (statement, rest) = try connection.prepareNext(sql) else { return nil }
        guard let statement else { return (nil, rest) }
        let text = String(decoding: sql.utf8.dropLast(rest.utf8.count), as: UTF8.self)
        if let grouped = grouped(text, like: statement) { return (grouped, rest) }
        guard let rewritten = QueryRewriter.rewrite(text) else { return (statement, rest) }
        if rewritten.attributes.contains(where: { !attributes.contains($0) }) {
            guard rewritten.attributes.count <= Self.attributeColumnsMax else { return (statement, rest) }
            // A connection that lives long forgets those of old statements.
            if attributes.count + rewritten.attributes.count > Self.attributeColumnsMax { attributes = [] }
            attributes += rewritten.attributes.filter { !attributes.contains($0) }
            try declareAttributes()
        }
        // Where the other form is no statement, such as one about a table of the same name, the text as it was has the word.
        guard let other = try? connection.prepare(rewritten.text), other.columnCount == statement.columnCount else { return (statement, rest) }
        other.takeColumnNames(of: statement)
        return (other, rest)
    }

    /// The statement in the form that groups by column, with the same columns; `nil` where there is none.
    private func grouped(_ text: String, like statement: Statement) -> Statement? {
        var plans = 0
        let rewritten = rewriter.rewritten(text) { plan in
            plans += 1
            return plans <= GroupedModule.Context.plansOfStatementMax ? grouping.register(plan) : nil
        }
        guard let rewritten, let grouped = try? connection.prepare(rewritten), grouped.columnCount == statement.columnCount,
            (0..<grouped.columnCount).allSatisfy({ grouped.columnName($0).isExactly(statement.columnName($0)) })
        else { return nil }
        return grouped
    }

    /// Makes `attributes` hidden columns of `spans`.
    private func declareAttributes() throws(SQLiteError) {
        sqlite3_set_authorizer(connection.handle, nil, nil)
        defer { authorize() }
        try SpansModule.register(
            .init(catalog, report: report, outerJoins: outerJoins, attributes: attributes), on: connection)
        try connection.execute("SELECT 1 FROM spans LIMIT 0")
    }

    /// Pragmas that only tell.
    private static let pragmas: Set<String> = [
        "table_info", "table_xinfo", "table_list", "index_list", "index_info", "integrity_check", "quick_check", "page_count",
        "page_size", "freelist_count", "user_version", "journal_mode", "data_version", "compile_options", "database_list",
        "function_list", "synchronous",
    ]

    private static func isAllowed(_ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?) -> Bool {
        switch action {
        case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE, SQLITE_TRANSACTION, SQLITE_SAVEPOINT: return true
        case SQLITE_FUNCTION: return second.map { String(cString: $0).lowercased() } != "load_extension"
        case SQLITE_PRAGMA:
            // `integrity_check` takes an argument that bounds its output; the others with an argument would set something.
            guard let name = first.map({ String(cString: $0).lowercased() }), pragmas.contains(name) else { return false }
            return second == nil || name.hasPrefix("table_") || name.hasPrefix("index_") || name.hasSuffix("_check")
        default: return false
        }
    }

    /// What was committed, for rebuilding the derivations.
    package var history: SpanHistory { SpanHistory(connection) }

    /// Names that a user queries, in the order of docs/sql.md.
    package static let tables = [
        "spans", "traces", "sessions", "users", "timeouts", "tools", "workflows", "breaker_transitions", "breaker_openings", "token_spans",
        "costs", "prices", "contract", "logs", "span_exceptions", "evals", "span_evals", "stalls", "heartbeat", "counter", "label_value",
        "derivation_state",
    ]

    /// The names of a table's columns, with their types where they have one; `table` must be one of `tables`.
    package func columns(of table: String) throws(SQLiteError) -> [(name: String, type: String)] {
        let statement = try connection.prepare("SELECT * FROM \(table) LIMIT 0")
        return (0..<statement.columnCount).map { (statement.columnName($0), statement.declaredType($0)) }
    }
}
