#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A folder for files that nobody needs afterwards, which its owner alone may read.
enum TemporaryFolder {
    /// It could not be made.
    struct Problem: Error {
        var message: String
        var isRetryable: Bool { true }
    }

    /// Makes one, in TMPDIR where that is set.
    static func make() throws(Problem) -> String {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base.isEmpty ? "/tmp" : base)/fusebox-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } }
        guard let made else { throw Problem(message: "no folder can be made in \(base): \(String(cString: strerror(errno)))") }
        return String(cString: made)
    }

    /// Removes a folder and the files in it.
    static func remove(_ path: String) {
        if let stream = opendir(path) {
            var names: [String] = []
            while let entry = readdir(stream) {
                names.append(
                    withUnsafePointer(to: &entry.pointee.d_name) { name in
                        name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                    })
            }
            closedir(stream)
            for name in names where name != "." && name != ".." { unlink("\(path)/\(name)") }
        }
        rmdir(path)
    }
}
