#if canImport(Glibc)
    import CMalloc
    import Glibc
#endif

/// How the C library keeps memory for a server with many threads: docs/adr/0118.
enum MemoryArenas {
    /// Larger pieces are given back to the system as soon as they are free. Merging and answers make such pieces, and keep none.
    private static let mappedBytesMin: Int32 = 1 << 20
    /// Free memory at an arena's end that is kept for what comes next.
    private static let keptBytesMax: Int32 = 4 << 20
    /// Settings of the C library's own, by which an operator says otherwise.
    private static let variables = ["MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"]

    /// An arena a processor instead of eight, each of which would hold on to what its threads once needed. To be called before there are
    /// many threads. What the C library refuses stays as it was.
    static func limit(environment: [String: String]) {
        #if canImport(Glibc)
            guard variables.allSatisfy({ environment[$0] == nil }) else { return }
            _ = mallopt(M_ARENA_MAX, Int32(clamping: max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
            _ = mallopt(M_MMAP_THRESHOLD, mappedBytesMin)
            _ = mallopt(M_TRIM_THRESHOLD, keptBytesMax)
        #endif
    }
}
