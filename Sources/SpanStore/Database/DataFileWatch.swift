import CSQLite
import SQLite
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The data file is no longer the one that is open: what is written now would not be found again.
package struct DataFileProblem: Error, Sendable, Equatable {
    package enum What: Sendable, Equatable {
        case gone
        case replaced
        /// More than one name leads to the file, so that a second server can open it by another one.
        case hardLinked(names: Int)
        case symbolicLink
        /// A copy was put in its place, and the log of what was there before still lies beside it.
        case strangeLog
        /// Another process holds the lock on the folder.
        case taken
    }

    package var path: String
    package var what: What

    package init(path: String, what: What) {
        self.path = path
        self.what = what
    }

    /// What happened and what to do next.
    package var message: String {
        switch what {
        case .gone:
            "\(path) was removed, or its folder moved, while the server had it open, so nothing more can be kept there; stop the "
                + "server, put the folder back or restore a backup, and start it again"
        case .replaced:
            "\(path) was replaced by another file while the server had it open, so what is written now would be lost; stop the "
                + "server, see to it that the right file is there, and start it again"
        case .hardLinked(let names):
            "\(path) has \(names) names (hard links): another process could open it by another name and spans would be lost; "
                + "remove the other names, or make a copy with `fusebox backup`"
        case .symbolicLink:
            "\(path) is a symbolic link, and SQLite keeps the log beside what it points to; give the folder of that file with "
                + "--data-dir, or make the folder the link"
        case .strangeLog:
            "\(path) is a copy such as `fusebox backup` makes, and the log of another file lies beside it: read together they "
                + "would be a mixture; to go back to the copy, remove \(path)-wal and \(path)-shm, or put the copy into an empty folder"
        case .taken:
            "\(path) was removed while the server ran, and another process holds the lock now; stop one of the two"
        }
    }
}

/// Compares the files that this process has open with what stands at their names: the data file, its log, the log's index and the
/// lock. All calls are a few looks at the file system, some microseconds together, so that every commit can make them.
package final class DataFileWatch: Sendable {
    private struct Identity: Equatable {
        var device: UInt64
        var inode: UInt64
        var names: Int

        /// The file at a path; `nil` when there is none. A symbolic link is followed.
        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            device = UInt64(truncatingIfNeeded: status.st_dev)
            inode = UInt64(truncatingIfNeeded: status.st_ino)
            names = Int(status.st_nlink)
        }

        func isSameFile(as other: Identity) -> Bool { device == other.device && inode == other.inode }
    }

    private struct State {
        /// As they were when they were first seen, by path.
        var known: [String: Identity] = [:]
        var problem: DataFileProblem?
    }

    private let folder: StoreFolder
    private let lock: StoreLock
    private let state = Mutex(State())

    /// To be made when the files are open; learns which they are.
    init(_ folder: StoreFolder, _ lock: StoreLock) {
        self.folder = folder
        self.lock = lock
        _ = look()
    }

    /// What a path must fulfil before a server opens it.
    static func checkBeforeOpening(_ folder: StoreFolder) throws(StoreError) {
        let path = folder.databasePath
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK {
            throw .dataFile(DataFileProblem(path: path, what: .symbolicLink))
        }
        if let file = Identity(path), file.names > 1 {
            throw .dataFile(DataFileProblem(path: path, what: .hardLinked(names: file.names)))
        }
        if FileSize.bytes(path + "-wal") > 32, isWithoutLog(path) {
            throw .dataFile(DataFileProblem(path: path, what: .strangeLog))
        }
        try checkVersion(path)
    }

    /// Whether the file's head says that it has no write-ahead log: one that a server writes to says that it has, from its first
    /// table on. To be asked before SQLite opens the file, since closing it gives up the locks that this process has on it.
    private static func isWithoutLog(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var head = [UInt8](repeating: 0, count: 20)
        let count = head.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        return count == head.count && head.starts(with: Array("SQLite format 3\0".utf8)) && head[18] == 1 && head[19] == 1
    }

    /// On a connection that cannot write: a program that knows less than the file's version leaves every byte as it is.
    private static func checkVersion(_ path: String) throws(StoreError) {
        guard FileSize.bytes(path) > 0 else { return }
        do {
            try StoreSettings.checkVersion(try Connection(path: path, access: .readOnly))
        } catch let error as StoreError {
            throw error
        } catch {
            // What keeps it from being read is told when it is opened.
        }
    }

    /// What was found last; `nil` when all was well.
    package var problem: DataFileProblem? { state.withLock { $0.problem } }

    /// Looks at the names now. From any thread.
    @discardableResult
    package func look() -> DataFileProblem? {
        state.withLock { state in
            state.problem = problem(&state.known)
            return state.problem
        }
    }

    private func problem(_ known: inout [String: Identity]) -> DataFileProblem? {
        let path = folder.databasePath
        for name in [path, path + "-wal", path + "-shm"] {
            let found = Identity(name)
            guard let first = known[name] else {
                // SQLite makes the log and its index when it first needs them.
                known[name] = found
                continue
            }
            guard let found else { return DataFileProblem(path: name, what: .gone) }
            if !found.isSameFile(as: first) { return DataFileProblem(path: name, what: .replaced) }
            if name == path, found.names > 1 { return DataFileProblem(path: name, what: .hardLinked(names: found.names)) }
        }
        return lock.isHeld(folder) ? nil : DataFileProblem(path: folder.lockPath, what: .taken)
    }

    /// Ends a transaction that would be committed into a file that is not there.
    func check() throws(SQLiteError) {
        guard let problem = look() else { return }
        throw SQLiteError(
            extendedCode: SQLITE_READONLY | (4 << 8),  // SQLITE_READONLY_DBMOVED
            message: problem.message, operation: "commit")
    }
}
