#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the operating system knows of this process, under the names that Prometheus clients share.
package enum ProcessMetrics {
    /// The families that can be told here, now; what the system does not give, or does not limit, is left out.
    package static func families() -> [MetricFamily] {
        every(ProcessUsage.current()).filter { !$0.samples.isEmpty }
    }

    /// Every family that `families()` may give, without samples.
    package static var declaredFamilies: [MetricFamily] { every(ProcessUsage()).map(\.declaration) }

    private static func every(_ usage: ProcessUsage) -> [MetricFamily] {
        [
            counter("process_cpu_seconds_total", "User and system time spent, in seconds.", .seconds, cpuSeconds()),
            gauge("process_open_fds", "Open file descriptors.", nil, usage.openFileDescriptors.map(Double.init)),
            gauge("process_max_fds", "Most file descriptors that may be open.", nil, limit(openFilesResource)),
            gauge(
                "process_virtual_memory_bytes", "Size of the address space, in bytes.", .bytes,
                usage.virtualMemoryBytes.map(Double.init)),
            gauge(
                "process_virtual_memory_max_bytes", "Most bytes that the address space may take.", .bytes,
                limit(addressSpaceResource)),
            gauge(
                "process_resident_memory_bytes", "Memory that is resident, in bytes.", .bytes,
                usage.residentMemoryBytes.map(Double.init)),
            gauge(
                "process_start_time_seconds", "When the process started, in seconds since 1970.", .seconds,
                usage.startTimeSeconds),
            gauge("process_threads", "Threads of the process.", nil, usage.threads.map(Double.init)),
        ]
    }

    private static func counter(_ name: String, _ help: String, _ unit: MetricFamily.Unit?, _ value: Double?) -> MetricFamily {
        MetricFamily(name: name, help: help, kind: .counter, unit: unit, samples: value.map { [.init(value: .double($0))] } ?? [])
    }

    private static func gauge(_ name: String, _ help: String, _ unit: MetricFamily.Unit?, _ value: Double?) -> MetricFamily {
        MetricFamily(name: name, help: help, kind: .gauge, unit: unit, samples: value.map { [.init(value: .double($0))] } ?? [])
    }

    private static func cpuSeconds() -> Double? {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return nil }
        // Rounded once, so that the text is as short as the clock is fine.
        return Double(Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)) / 1e9
    }

    // Glibc's constants are an enumeration, while its function takes the integer.
    #if canImport(Glibc)
        private static var openFilesResource: Int32 { Int32(RLIMIT_NOFILE.rawValue) }
        private static var addressSpaceResource: Int32 { Int32(RLIMIT_AS.rawValue) }
    #else
        private static var openFilesResource: Int32 { RLIMIT_NOFILE }
        private static var addressSpaceResource: Int32 { RLIMIT_AS }
    #endif

    /// The soft limit of a resource; `nil` when there is none. Systems spell "none" as one of the two largest values.
    private static func limit(_ resource: Int32) -> Double? {
        var limits = rlimit()
        guard getrlimit(resource, &limits) == 0 else { return nil }
        let soft = UInt64(limits.rlim_cur)
        return soft >= UInt64(Int64.max) ? nil : Double(soft)
    }
}

/// Figures of this process that each system gives in its own way; `nil` where it does not.
struct ProcessUsage: Equatable {
    var openFileDescriptors: Int?
    var virtualMemoryBytes: Int?
    var residentMemoryBytes: Int?
    var startTimeSeconds: Double?
    var threads: Int?
}
