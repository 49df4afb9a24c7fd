#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Sizes for the collector's own metrics.
package enum FileSize {
    /// The file's length; 0 when there is none.
    package static func bytes(_ path: String) -> Int64 {
        var status = stat()
        return stat(path, &status) == 0 ? Int64(status.st_size) : 0
    }

    /// What an unprivileged process may still write on the file system of `path`; `nil` when it cannot be told.
    package static func freeBytes(_ path: String) -> Int64? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return Int64(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
    }
}
