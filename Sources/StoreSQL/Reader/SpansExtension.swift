import CSQLite
import SQLite
package import SpanStore

/// `spans`, `logs`, the views over them and the SQL functions, on a connection of another program: what the loadable extension does.
package enum SpansExtension {
    /// Adds them to the connection. In a database that is none of Fusebox's only the functions, an unreadable `spans` and an empty `logs` are there.
    ///
    /// - Throws: an error with a text for the user, when the views cannot be made.
    package static func register(on handle: OpaquePointer) throws(StoreError) {
        let connection = Connection(borrowing: handle)
        do {
            let catalog = SegmentCatalog(connection)
            try SpansModule.register(
                .init(
                    catalog, report: ScanReport(), outerJoins: OuterJoins(connection), attributes: [], keeping: connection),
                on: connection)
            try LogsModule.register(LogCatalog(connection, isKept: true), on: connection)
            try SQLFunctions.register(on: connection)
            guard try connection.integer("SELECT 1 FROM sqlite_master WHERE name = 'segment_stream'") != nil else { return }
            let found = try connection.integer("PRAGMA user_version") ?? 0
            guard found <= StoreSettings.schemaVersion else {
                throw StoreError.schemaVersion(found: found, known: StoreSettings.schemaVersion)
            }
            try connection.execute(String(decoding: PackageResources.views_sql, as: UTF8.self))
            try connection.execute(ContractQuery.view)
        } catch {
            throw SpanStore.storeError(error)
        }
    }
}
