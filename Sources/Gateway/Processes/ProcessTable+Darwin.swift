#if canImport(Darwin)
    import Darwin
    import GatewayRules

    /// What the system tells of processes, from libproc.
    enum ProcessTable {
        private static let membersMax = 1_024
        private static let descriptorsMax = 16_384

        /// When a process started, in microseconds since 1970; `nil` when there is none of that pid, or it is dead and only not waited for.
        static func startMark(_ pid: pid_t) -> UInt64? {
            var info = proc_bsdinfo()
            let size = Int32(MemoryLayout<proc_bsdinfo>.size)
            guard proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, &info, size) == size, info.pbi_status != UInt32(SZOMB) else {
                return nil
            }
            return info.pbi_start_tvsec &* 1_000_000 &+ info.pbi_start_tvusec
        }

        /// Bytes of memory of a process group that are resident.
        static func residentBytes(group: pid_t) -> Int64 {
            members(group).reduce(0) { sum, pid in
                var info = proc_taskinfo()
                let size = Int32(MemoryLayout<proc_taskinfo>.size)
                guard proc_pidinfo(pid, PROC_PIDTASKINFO, 0, &info, size) == size else { return sum }
                return sum + Int64(clamping: info.pti_resident_size)
            }
        }

        /// Who listens at a port: somebody of the group, or, when nobody of it does, whoever may.
        static func owner(port: Int, group: pid_t) -> Sight.PortOwner {
            members(group).contains { listens($0, port) } ? .child : .nobody
        }

        private static func members(_ group: pid_t) -> [pid_t] {
            var pids = [pid_t](repeating: 0, count: membersMax)
            let bytes = proc_listpids(
                UInt32(PROC_PGRP_ONLY), UInt32(bitPattern: group), &pids, Int32(membersMax * MemoryLayout<pid_t>.size))
            return Array(pids.prefix(max(0, Int(bytes) / MemoryLayout<pid_t>.size))).filter { $0 > 0 }
        }

        private static func listens(_ pid: pid_t, _ port: Int) -> Bool {
            var descriptors = [proc_fdinfo](repeating: proc_fdinfo(), count: descriptorsMax)
            let bytes = proc_pidinfo(
                pid, PROC_PIDLISTFDS, 0, &descriptors, Int32(descriptorsMax * MemoryLayout<proc_fdinfo>.size))
            for descriptor in descriptors.prefix(max(0, Int(bytes) / MemoryLayout<proc_fdinfo>.size))
            where descriptor.proc_fdtype == UInt32(PROX_FDTYPE_SOCKET) {
                var info = socket_fdinfo()
                let size = Int32(MemoryLayout<socket_fdinfo>.size)
                guard proc_pidfdinfo(pid, descriptor.proc_fd, PROC_PIDFDSOCKETINFO, &info, size) == size,
                    info.psi.soi_kind == Int32(SOCKINFO_TCP),
                    info.psi.soi_proto.pri_tcp.tcpsi_state == Int32(TSI_S_LISTEN)
                else { continue }
                let number = UInt16(truncatingIfNeeded: info.psi.soi_proto.pri_tcp.tcpsi_ini.insi_lport)
                if Int(UInt16(bigEndian: number)) == port { return true }
            }
            return false
        }
    }

    /// Memory of this machine.
    struct HostMemory: Equatable, Sendable {
        var totalBytes: Int64
        var availableBytes: Int64

        static func current() -> HostMemory? {
            var total: UInt64 = 0
            var size = MemoryLayout<UInt64>.size
            guard sysctlbyname("hw.memsize", &total, &size, nil, 0) == 0 else { return nil }
            var figures = vm_statistics64()
            var count = mach_msg_type_number_t(MemoryLayout<vm_statistics64>.size / MemoryLayout<integer_t>.size)
            let status = withUnsafeMutablePointer(to: &figures) {
                $0.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                    host_statistics64(mach_host_self(), HOST_VM_INFO64, $0, &count)
                }
            }
            guard status == KERN_SUCCESS else { return nil }
            let pages = Int64(figures.free_count) + Int64(figures.inactive_count) + Int64(figures.purgeable_count)
            return HostMemory(totalBytes: Int64(clamping: total), availableBytes: pages * Int64(getpagesize()))
        }
    }
#endif
