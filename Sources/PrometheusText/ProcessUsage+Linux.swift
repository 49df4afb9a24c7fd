#if os(Linux)
    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    extension ProcessUsage {
        /// Reads `/proc`. Fields of `stat` are numbered as in proc(5).
        static func current() -> ProcessUsage {
            var usage = ProcessUsage(openFileDescriptors: openFileDescriptors())
            guard let stat = ProcessStat(file("/proc/self/stat")) else { return usage }
            usage.threads = stat.integer(field: 20)
            usage.virtualMemoryBytes = stat.integer(field: 23)
            let pageSize = sysconf(Int32(_SC_PAGESIZE))
            usage.residentMemoryBytes = pageSize > 0 ? stat.integer(field: 24).map { $0 * pageSize } : nil
            let ticksPerSecond = sysconf(Int32(_SC_CLK_TCK))
            if let bootTimeSeconds, ticksPerSecond > 0, let ticks = stat.integer(field: 22) {
                usage.startTimeSeconds = bootTimeSeconds + Double(ticks) / Double(ticksPerSecond)
            }
            return usage
        }

        /// When the machine started. Read once: the kernel derives it from the wall clock, so that it moves when that is set,
        /// and a process starts once.
        private static let bootTimeSeconds: Double? = {
            for line in file("/proc/stat").split(separator: "\n") where line.hasPrefix("btime ") {
                return Double(line.dropFirst(6))
            }
            return nil
        }()

        /// Entries of `/proc/self/fd`, without the descriptor that reads them.
        private static func openFileDescriptors() -> Int? {
            guard let directory = opendir("/proc/self/fd") else { return nil }
            defer { closedir(directory) }
            var count = -1
            while let entry = readdir(directory) {
                // A name that starts with a dot is the folder or its parent; descriptors are numbers.
                if entry.pointee.d_name.0 != CChar(bitPattern: UInt8(ascii: ".")) { count += 1 }
            }
            return max(count, 0)
        }

        /// A small file's text, empty when it cannot be read; at most 1 MiB is read.
        private static func file(_ path: String) -> String {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return "" }
            defer { close(descriptor) }
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 4096)
            while bytes.count < 1 << 20 {
                let count = read(descriptor, &chunk, chunk.count)
                guard count > 0 else { break }
                bytes += chunk[..<count]
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// The fields of `/proc/self/stat` behind the command, which is in parentheses and may hold spaces and parentheses.
    struct ProcessStat {
        private let fields: [Substring]

        init?(_ text: String) {
            guard let close = text.lastIndex(of: ")") else { return nil }
            fields = text[text.index(after: close)...].split(whereSeparator: \.isWhitespace)
        }

        /// A field by its number in proc(5), where the first behind the command is 3.
        func integer(field: Int) -> Int? {
            let index = field - 3
            return fields.indices.contains(index) ? Int(fields[index]) : nil
        }
    }
#endif
