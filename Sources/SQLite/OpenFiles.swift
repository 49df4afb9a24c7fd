import CSQLite
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The files that this process has open, by the paths that they were opened at.
///
/// SQLite's locks on the index of a log (`-shm`) keep other processes from making it anew, and do not hold within one. A connection to another
/// file of the same name would cut the index short below the connections that are there, and the next look into it would end the process.
enum OpenFiles {
    private struct File: Equatable {
        var device: UInt64
        var inode: UInt64

        /// The file at a path; `nil` when there is none.
        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            device = UInt64(truncatingIfNeeded: status.st_dev)
            inode = UInt64(truncatingIfNeeded: status.st_ino)
        }
    }

    private static let open = Mutex<[String: (file: File, connections: Int)]>([:])

    /// Notes a connection that was just opened and has not read yet.
    ///
    /// - Returns: `false` when it must be closed again: the path leads to another file than it did, or no longer to the one that it opened.
    static func add(_ path: String, _ handle: OpaquePointer) -> Bool {
        open.withLock { open in
            var hasMoved: Int32 = 0
            guard let file = File(path), sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &hasMoved) == SQLITE_OK, hasMoved == 0
            else { return open[path] == nil }
            if let known = open[path], known.file != file { return false }
            open[path] = (file, (open[path]?.connections ?? 0) + 1)
            return true
        }
    }

    /// Notes that a connection is closed.
    static func remove(_ path: String) {
        open.withLock { open in
            guard let known = open[path] else { return }
            open[path] = known.connections > 1 ? (known.file, known.connections - 1) : nil
        }
    }
}
