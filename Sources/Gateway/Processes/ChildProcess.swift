#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A process that the gateway started, now or before its last restart, and the group that it leads.
struct ChildProcess: Equatable, Sendable {
    let pid: pid_t
    /// When it started, as the system counts: with the pid it names one process.
    let startMark: UInt64
    /// Whether this program is its parent, and so waits for it.
    let isOwn: Bool

    /// How the end of one that did its work is told.
    static let wordsOfSuccess = "it exited with 0"

    enum Failure: Error {
        /// It could not be started; why, in words.
        case start(String)
    }

    /// Starts a program with its output at the end of a file. It leads a process group of its own, and has no descriptor of ours.
    static func start(_ command: [String], output: Int32) throws(Failure) -> ChildProcess {
        var actions = SpawnActions.make()
        var attributes = SpawnAttributes.make()
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
        DescriptorTable.closeOnExec()
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = Environment.forChildren.map { strdup($0) } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var pid: pid_t = 0
        let status = posix_spawnp(&pid, command.first ?? "", &actions, &attributes, &arguments, &variables)
        guard status == 0 else { throw .start("\(command.first ?? ""): \(String(cString: strerror(status)))") }
        return ChildProcess(pid: pid, startMark: ProcessTable.startMark(pid) ?? 0, isOwn: true)
    }

    /// `nil` while it runs; else how it ended. One of ours is waited for.
    func end() -> String? {
        guard isOwn else { return ProcessTable.startMark(pid) == startMark ? nil : "it is gone" }
        var status: Int32 = 0
        let waited = waitpid(pid, &status, WNOHANG)
        if waited == 0 { return nil }
        guard waited == pid else { return "it is gone" }
        let signal = status & 0x7f
        return signal == 0 ? "it exited with \((status >> 8) & 0xff)" : "signal \(signal) ended it"
    }

    /// Sends a signal to it and whatever it started.
    func signal(_ number: Int32) {
        // Its group may have outlived it; nobody else gets its number while one of the group lives.
        if kill(-pid, number) != 0 && end() == nil { kill(pid, number) }
    }
}

/// Signals by what they are for.
enum Signals {
    static let terminate = SIGTERM
    static let kill = SIGKILL
}

private enum Environment {
    /// Ours, without our settings: tokens are nobody else's.
    static var forChildren: [String] {
        var variables: [String] = []
        var next = environ
        while let text = next.pointee {
            let variable = String(cString: text)
            if !variable.hasPrefix("FUSEBOX_") { variables.append(variable) }
            next += 1
        }
        return variables
    }
}

/// Descriptors of ours that a child must not have: a copy of a client's connection would keep it open.
private enum DescriptorTable {
    static func closeOnExec() {
        #if canImport(Darwin)
            // Said at the start of each child instead (POSIX_SPAWN_CLOEXEC_DEFAULT).
        #else
            for name in SmallFile.entries("/proc/self/fd") {
                if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
            }
        #endif
    }
}

private enum SpawnActions {
    #if canImport(Darwin)
        static func make() -> posix_spawn_file_actions_t? {
            var actions: posix_spawn_file_actions_t?
            posix_spawn_file_actions_init(&actions)
            return actions
        }
    #else
        static func make() -> posix_spawn_file_actions_t {
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            return actions
        }
    #endif
}

private enum SpawnAttributes {
    #if canImport(Darwin)
        static func make() -> posix_spawnattr_t? {
            var attributes: posix_spawnattr_t?
            posix_spawnattr_init(&attributes)
            var signals = sigset_t()
            sigfillset(&signals)
            posix_spawnattr_setsigdefault(&attributes, &signals)
            sigemptyset(&signals)
            posix_spawnattr_setsigmask(&attributes, &signals)
            posix_spawnattr_setpgroup(&attributes, 0)
            let flags =
                POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_CLOEXEC_DEFAULT
            posix_spawnattr_setflags(&attributes, Int16(flags))
            return attributes
        }
    #else
        static func make() -> posix_spawnattr_t {
            var attributes = posix_spawnattr_t()
            posix_spawnattr_init(&attributes)
            // What this program ignores, such as SIGPIPE, a child would ignore too.
            var signals = sigset_t()
            sigfillset(&signals)
            posix_spawnattr_setsigdefault(&attributes, &signals)
            sigemptyset(&signals)
            posix_spawnattr_setsigmask(&attributes, &signals)
            posix_spawnattr_setpgroup(&attributes, 0)
            posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
            return attributes
        }
    #endif
}
