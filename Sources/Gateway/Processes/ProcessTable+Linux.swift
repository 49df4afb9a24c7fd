#if os(Linux)
    import GatewayRules
    import Glibc

    /// What the system tells of processes, from `/proc`.
    enum ProcessTable {
        /// When a process started, in ticks since the machine did; `nil` when there is none of that pid, or it is dead and only not waited for.
        static func startMark(_ pid: pid_t) -> UInt64? {
            let fields = fields(pid)
            guard fields.count > 19, fields[0] != "Z" else { return nil }
            return UInt64(fields[19])
        }

        /// Bytes of memory of a process group that are resident.
        static func residentBytes(group: pid_t) -> Int64 {
            let page = Int64(sysconf(Int32(_SC_PAGESIZE)))
            return members(group).reduce(0) { sum, pid in
                let fields = fields(pid)
                return sum + (fields.count > 21 ? Int64(fields[21]) ?? 0 : 0) * page
            }
        }

        /// Who listens at a port of loopback: somebody of the group, or a stranger.
        static func owner(port: Int, group: pid_t) -> Sight.PortOwner {
            let sockets = listeners(port)
            guard !sockets.isEmpty else { return .nobody }
            let names = Set(sockets.map { "socket:[\($0)]" })
            let isOurs = members(group).contains { pid in
                SmallFile.entries("/proc/\(pid)/fd").contains {
                    SmallFile.link("/proc/\(pid)/fd/\($0)").map(names.contains) == true
                }
            }
            return isOurs ? .child : .stranger
        }

        /// The pids of a group.
        private static func members(_ group: pid_t) -> [pid_t] {
            SmallFile.entries("/proc").compactMap { pid_t($0) }.filter { pid in
                let fields = fields(pid)
                return fields.count > 2 && fields[0] != "Z" && fields[2] == "\(group)"
            }
        }

        /// The fields of `stat` behind the command, which is in parentheses and may hold anything: state, parent, group, …
        private static func fields(_ pid: pid_t) -> [Substring] {
            let text = SmallFile.text("/proc/\(pid)/stat")
            guard let close = text.lastIndex(of: ")") else { return [] }
            return text[text.index(after: close)...].split(separator: " ")
        }

        /// The inodes of sockets that listen at a port.
        private static func listeners(_ port: Int) -> [Substring] {
            let hexadecimal = String(port, radix: 16, uppercase: true)
            let suffix = ":" + String(repeating: "0", count: max(0, 4 - hexadecimal.count)) + hexadecimal
            var inodes: [Substring] = []
            for path in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
                for line in SmallFile.text(path).split(separator: "\n").dropFirst() {
                    let fields = line.split(separator: " ")
                    // 0A: it listens.
                    if fields.count > 9, fields[3] == "0A", fields[1].hasSuffix(suffix) { inodes.append(fields[9]) }
                }
            }
            return inodes
        }
    }

    /// Memory of this machine, or of the group of processes that we are limited with.
    struct HostMemory: Equatable, Sendable {
        var totalBytes: Int64
        var availableBytes: Int64

        static func current() -> HostMemory? {
            var values: [Substring: Int64] = [:]
            for line in SmallFile.text("/proc/meminfo").split(separator: "\n") {
                let parts = line.split(separator: " ")
                if parts.count > 1, let kibibytes = Int64(parts[1]) { values[parts[0]] = kibibytes << 10 }
            }
            guard let total = values["MemTotal:"], let available = values["MemAvailable:"] else { return nil }
            var memory = HostMemory(totalBytes: total, availableBytes: available)
            if let limit = number("memory.max"), let used = number("memory.current"), limit < total {
                memory.totalBytes = limit
                memory.availableBytes = min(available, max(0, limit - used))
            }
            return memory
        }

        /// A figure of our control group.
        private static func number(_ name: String) -> Int64? {
            Int64(SmallFile.text("/sys/fs/cgroup/\(name)").split(separator: "\n").first ?? "")
        }
    }
#endif
