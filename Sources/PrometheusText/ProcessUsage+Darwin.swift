#if canImport(Darwin)
    import Darwin

    extension ProcessUsage {
        /// Asks libproc. It tells the size of the descriptor table but not how many are open, so that is left out.
        static func current() -> ProcessUsage {
            var info = proc_taskallinfo()
            let size = Int32(MemoryLayout<proc_taskallinfo>.size)
            guard proc_pidinfo(getpid(), PROC_PIDTASKALLINFO, 0, &info, size) == size else { return ProcessUsage() }
            return ProcessUsage(
                virtualMemoryBytes: Int(clamping: info.ptinfo.pti_virtual_size),
                residentMemoryBytes: Int(clamping: info.ptinfo.pti_resident_size),
                startTimeSeconds: Double(info.pbsd.pbi_start_tvsec) + Double(info.pbsd.pbi_start_tvusec) / 1e6,
                threads: Int(info.ptinfo.pti_threadnum))
        }
    }
#endif
