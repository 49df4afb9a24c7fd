#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The header of SQLite's write-ahead log.
enum LogHeader {
    /// Where the two salts begin: SQLite draws them anew with the first commit after the log has started over.
    private static let saltOffset: off_t = 16

    /// The salts as they are in the file; 0 when there is no header. Reading them is safe beside SQLite, which locks other files than this.
    static func salt(_ path: String) -> UInt64 {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var salt: UInt64 = 0
        let count = withUnsafeMutableBytes(of: &salt) { pread(descriptor, $0.baseAddress, $0.count, saltOffset) }
        return count == MemoryLayout<UInt64>.size ? salt : 0
    }
}
