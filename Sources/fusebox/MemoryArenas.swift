#if canImport(Glibc)
    import CMalloc
    import Glibc
#endif

/// How the C library keeps memory for a server with many threads: docs/adr/0118.
enum MemoryArenas {
    /// Settings of the C library's own, by which an operator says otherwise.
    private static let variables = ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"]

    /// An arena a processor instead of eight, each of which would hold on to what its threads once needed. To be called before there are
    /// many threads. Where the C library refuses, it stays as it was.
    static func limit(environment: [String: String]) {
        #if canImport(Glibc)
            guard variables.allSatisfy({ environment[$0] == nil }) else { return }
            _ = mallopt(M_ARENA_MAX, Int32(clamping: max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
        #endif
    }
}
