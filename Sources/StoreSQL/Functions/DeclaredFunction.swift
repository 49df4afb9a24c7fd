import CSQLite
import SQLite
import TelemetryModel

/// `declared(resource_attributes, 'field')`: what a resource says of its agent's loop, as `LoopDeclaration` reads it; NULL where it says
/// nothing. Fields: `host`, `instance`, `workflow_limit`, `retrieval_limit`, `embed_limit`, `process_memory`, `host_memory`,
/// `host_memory_total`, `asyncio_policy`, `executor`.
///
/// Spans that lie side by side mostly have one resource, so the last one that was read is kept.
final class DeclaredFunction {
    private var text: [UInt8] = []
    private var declaration = LoopDeclaration()

    static func register(on connection: Connection) throws(SQLiteError) {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        let state = Unmanaged.passRetained(DeclaredFunction())
        // SQLite calls the destructor when registering fails, too.
        let result = sqlite3_create_function_v2(
            connection.handle, "declared", 2, flags, state.toOpaque(), { DeclaredFunction.call($0, $2) }, nil, nil,
            { pointer in if let pointer { Unmanaged<DeclaredFunction>.fromOpaque(pointer).release() } })
        guard result == SQLITE_OK else { throw connection.error(result, "register declared") }
    }

    private static func call(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let values, let pointer = sqlite3_user_data(context), sqlite3_value_type(values[0]) == SQLITE_TEXT,
            let bytes = sqlite3_value_text(values[0]), let name = sqlite3_value_text(values[1])
        else { return sqlite3_result_null(context) }
        let state = Unmanaged<DeclaredFunction>.fromOpaque(pointer).takeUnretainedValue()
        let declaration = state.read(UnsafeBufferPointer(start: bytes, count: Int(sqlite3_value_bytes(values[0]))))
        switch String(cString: name) {
        case "host": give(context, declaration.host.isEmpty ? nil : declaration.host)
        case "instance": give(context, declaration.instance)
        case "workflow_limit": give(context, declaration.workflowLimit)
        case "retrieval_limit": give(context, declaration.retrievalLimit)
        case "embed_limit": give(context, declaration.embedLimit)
        case "process_memory": give(context, declaration.processMemory)
        case "host_memory": give(context, declaration.hostMemory)
        case "host_memory_total": give(context, declaration.hostMemoryTotal)
        case "asyncio_policy": give(context, declaration.asyncioPolicy)
        case "executor": give(context, declaration.executor)
        default: sqlite3_result_error(context, "declared: no such field", -1)
        }
    }

    private func read(_ bytes: UnsafeBufferPointer<UInt8>) -> LoopDeclaration {
        if text.isEmpty || text.count != bytes.count || !text.elementsEqual(bytes) {
            text = Array(bytes)
            declaration = LoopDeclaration(json: text[...])
        }
        return declaration
    }

    private static func give(_ context: OpaquePointer?, _ text: String?) {
        guard let text else { return sqlite3_result_null(context) }
        ShownText.give(context, text)
    }

    private static func give(_ context: OpaquePointer?, _ number: Int64?) {
        guard let number else { return sqlite3_result_null(context) }
        sqlite3_result_int64(context, number)
    }
}
