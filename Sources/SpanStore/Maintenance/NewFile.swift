#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A file that appears under its name whole and durable, or not at all.
package enum NewFile {
    /// Has `body` write a file beside the target, and gives that the target's name when it is done.
    ///
    /// - Parameters:
    ///   - target: a path where nothing is yet.
    ///   - body: gets the path of an empty file that only its owner may read. When it throws, the file goes.
    package static func write<Value>(_ target: String, _ body: (_ partial: String) throws -> Value) throws -> Value {
        guard access(target, F_OK) != 0 else {
            throw StoreError.folder("\(target) is there already; name a new file, or remove it first")
        }
        let partial = target + ".partial"
        unlink(partial)
        do {
            try StoreFolder.createFile(partial)
            let value = try body(partial)
            try publish(partial, as: target)
            return value
        } catch {
            unlink(partial)
            throw error
        }
    }

    /// Makes the file durable, then its name.
    private static func publish(_ partial: String, as target: String) throws(StoreError) {
        try synchronize(partial)
        guard rename(partial, target) == 0 else {
            throw .folder("cannot rename \(partial) to \(target): \(String(cString: strerror(errno)))")
        }
        let parent = target.lastIndex(of: "/").map { String(target[..<$0]) } ?? "."
        try synchronize(parent.isEmpty ? "/" : parent)
    }

    private static func synchronize(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .folder("cannot open \(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .folder("cannot fsync \(path): \(String(cString: strerror(errno)))") }
    }
}
