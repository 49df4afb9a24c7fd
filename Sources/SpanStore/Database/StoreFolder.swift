#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The data folder: the database file and the lock that says which process owns it.
package struct StoreFolder: Sendable {
    package let path: String

    package init(path: String) {
        self.path = path
    }

    package var databasePath: String { "\(path)/fusebox.db" }

    /// Bytes of the write-ahead log; 0 when there is none.
    package var logBytes: Int64 { FileSize.bytes(databasePath + "-wal") }

    var markPath: String { "\(path)/fusebox.mark" }

    /// Who this store is among others (`NodeIdentity`).
    var nodePath: String { "\(path)/fusebox.node" }

    var lockPath: String { "\(path)/fusebox.lock" }

    package var databaseExists: Bool { access(databasePath, F_OK) == 0 }

    /// Fails where there is no data file: for what reads one, and would not make one in a folder that was mistyped.
    package func checkDatabaseExists() throws(StoreError) {
        guard databaseExists else {
            throw .folder("there is no data file in \(path); start `fusebox serve`, or name its folder with --data-dir")
        }
    }

    /// Makes the folder and those above it; only the owner may read it, since spans hold prompts.
    func create() throws(StoreError) {
        var partial = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            partial += "/\(part)"
            if mkdir(partial, 0o700) != 0 && errno != EEXIST {
                throw .folder("cannot make the data folder \(partial): \(String(cString: strerror(errno)))")
            }
        }
    }

    /// Makes the database file, readable by its owner alone; SQLite gives the files beside it the same mode.
    func createDatabaseFile() throws(StoreError) {
        try Self.createFile(databasePath)
    }

    /// Makes a file that its owner alone may read, where there is none.
    package static func createFile(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .folder("cannot make \(path): \(String(cString: strerror(errno)))")
        }
        close(descriptor)
    }

    /// Makes the names of newly created files durable.
    func synchronize() throws(StoreError) {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            throw .folder("cannot fsync the data folder \(path): \(String(cString: strerror(errno)))")
        }
        close(descriptor)
    }
}

/// Ownership of a data folder by this process, for as long as the value lives. The kernel gives it back when the process ends,
/// however it ends.
final class StoreLock: Sendable {
    private let descriptor: Int32

    init(_ folder: StoreFolder) throws(StoreError) {
        let opened = open(folder.lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else {
            throw .folder("cannot open \(folder.lockPath): \(String(cString: strerror(errno)))")
        }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            let owner = Self.owner(opened)
            close(opened)
            throw .locked(folder: folder.path, owner: owner)
        }
        Self.sign(opened)
        descriptor = opened
    }

    deinit {
        close(descriptor)
    }

    /// Whether the lock file is still the one that is locked here. One that was removed is made anew, unless another process was
    /// faster.
    func isHeld(_ folder: StoreFolder) -> Bool {
        var own = stat()
        var named = stat()
        guard fstat(descriptor, &own) == 0 else { return false }
        if stat(folder.lockPath, &named) == 0, own.st_dev == named.st_dev, own.st_ino == named.st_ino { return true }
        let opened = open(folder.lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else { return false }
        defer { close(opened) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else { return false }
        Self.sign(opened)
        // The number stays and stands for the new file from then on; the lock is that file's.
        return dup2(opened, descriptor) >= 0
    }

    private static func sign(_ descriptor: Int32) {
        ftruncate(descriptor, 0)
        let text = Array("process \(getpid())\n".utf8)
        _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    }

    private static func owner(_ descriptor: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        let text = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).split(separator: "\n").first
        return text.map(String.init) ?? "process unknown"
    }
}
