import CSQLite
import SpanStore
import StoreSQL

/// The entry point of the loadable extension: `.load libFuseboxSQLite` in sqlite3, `load_extension` elsewhere.
///
/// An extension should call SQLite through the table that its host hands it. This one calls the system's library, and so works in
/// hosts that use the same one, as Debian's sqlite3 and Python do. A host with an SQLite of its own is refused: two copies of the
/// library in one process drop each other's file locks.
///
/// - Parameters:
///   - handle: the host's connection.
///   - message: where the text of an error goes, made with `sqlite3_malloc`.
///   - routines: the host's table of SQLite's functions.
@_cdecl("sqlite3_extension_init")
package func loadFuseboxExtension(
    _ handle: OpaquePointer?, _ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ routines: UnsafeRawPointer?
) -> Int32 {
    guard let handle else { return SQLITE_MISUSE }
    guard fusebox_sqlite_is_host_library(routines) != 0 else {
        return fail(
            message,
            "this program carries an SQLite of its own; the Fusebox extension works in those that use the system's libsqlite3")
    }
    do throws(StoreError) {
        try SpansExtension.register(on: handle)
        return SQLITE_OK
    } catch {
        return fail(message, error.message)
    }
}

private func fail(_ message: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ text: String) -> Int32 {
    guard let message else { return SQLITE_ERROR }
    let bytes = Array(text.utf8CString)
    guard let copy = sqlite3_malloc(Int32(clamping: bytes.count))?.assumingMemoryBound(to: CChar.self) else {
        return SQLITE_NOMEM
    }
    for (offset, byte) in bytes.enumerated() { copy[offset] = byte }
    message.pointee = copy
    return SQLITE_ERROR
}
