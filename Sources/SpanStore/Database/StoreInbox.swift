import SQLite

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The folder `inbox` of a data folder: how another process hands rows to the one that owns the file. A file appears whole, by
/// renaming; the owner takes its rows into a transaction and then deletes it. A crash in between applies it twice, which the rows'
/// keys make harmless. docs/adr/0010-inbox.md has the reasons.
package struct StoreInbox: Sendable {
    package enum Limits {
        /// Bytes of a file that the owner takes.
        package static let fileBytesMax = 16 << 20
        /// Files that may wait.
        package static let filesMax = 10_000
    }

    package let path: String

    package init(_ folder: StoreFolder) {
        path = "\(folder.path)/inbox"
    }

    /// Puts a file in; durable when it returns. `name` sorts: files are taken in the order of their names.
    package func deliver(_ content: [UInt8], name: String) throws(StoreError) {
        if mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw .folder("cannot make \(path): \(String(cString: strerror(errno)))")
        }
        let partial = "\(path)/.\(name)"
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .folder("cannot write \(partial): \(String(cString: strerror(errno)))") }
        var offset = 0
        while offset < content.count {
            let count = content.withUnsafeBytes { bytes in
                bytes.baseAddress.map { write(descriptor, $0 + offset, bytes.count - offset) } ?? 0
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let reason = String(cString: strerror(errno))
                close(descriptor)
                unlink(partial)
                throw .folder("cannot write \(partial): \(reason)")
            }
            offset += count
        }
        let isSynchronized = fsync(descriptor) == 0
        close(descriptor)
        guard isSynchronized, rename(partial, "\(path)/\(name)") == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(partial)
            throw .folder("cannot hand over \(name): \(reason)")
        }
        try StoreFolder(path: path).synchronize()
    }

    /// Names of the files that wait, in order, at most `Limits.filesMax`.
    package func pending() -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < Limits.filesMax, let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") && !name.hasSuffix(".refused") { names.append(name) }
        }
        return names.sorted()
    }

    /// The content of a file; `nil` when it is gone or larger than the owner takes.
    package func content(of name: String) -> [UInt8]? {
        let descriptor = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? content : nil }
            content += buffer[..<count]
            guard content.count <= Limits.fileBytesMax else { return nil }
        }
    }

    /// Whether the file still waits.
    package func holds(_ name: String) -> Bool { access("\(path)/\(name)", F_OK) == 0 }

    /// Whether the owner could not read the file, and put it aside.
    package func refused(_ name: String) -> Bool { access("\(path)/\(name).refused", F_OK) == 0 }

    /// Deletes a file whose rows are committed.
    package func remove(_ name: String) {
        unlink("\(path)/\(name)")
    }

    /// Puts a file aside that cannot be read, so that those behind it go on.
    package func refuse(_ name: String) {
        rename("\(path)/\(name)", "\(path)/\(name).refused")
    }
}

extension StoreFolder {
    /// Writes rows to a data file that no process owns, which it owns meanwhile; throws `locked` when one does.
    package func write(_ rows: AnnexRows, nowUnixNano: Int64) throws(StoreError) {
        try create()
        let lock = try StoreLock(self)
        defer { withExtendedLifetime(lock) {} }
        try DataFileWatch.checkBeforeOpening(self)
        try createDatabaseFile()
        let connection = try StoreSettings.openWriter(self)
        let annex = AnnexTables(connection)
        do {
            try connection.transaction { () throws(SQLiteError) in try annex.write(rows, nowUnixNano: nowUnixNano) }
        } catch {
            throw .database(error)
        }
    }
}
