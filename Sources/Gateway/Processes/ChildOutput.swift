import TelemetryModel

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// What a short program prints; for threads that may wait.
struct ChildOutput {
    private static let bytesMax = 1 << 20
    private static let pauseMicroseconds: UInt32 = 5_000
    /// After it was ended, its end is waited for so long: a driver may hold it for ever.
    private static let mournNanoseconds: Int64 = 200_000_000

    /// One that did not end when it was told to. Nothing is started before it is gone.
    private var stuck: ChildProcess?

    /// Runs a program; `nil` when it cannot be run, fails, prints too much or is not done in time.
    mutating func of(_ command: [String], nanoseconds: Int64) -> String? {
        if let stuck, stuck.end() == nil { return nil }
        stuck = nil
        var ends: [Int32] = [-1, -1]
        guard Self.openPipe(&ends) else { return nil }
        defer { close(ends[0]) }
        let child = try? ChildProcess.start(command, output: ends[1])
        close(ends[1])
        guard let child else { return nil }
        let deadline = GatewaySources.uptimeNanoseconds().addingSaturated(nanoseconds)
        let text = Self.read(ends[0], until: deadline)
        if text == nil { child.signal(Signals.kill) }
        let words = Self.end(of: child, by: GatewaySources.uptimeNanoseconds().addingSaturated(Self.mournNanoseconds))
        if words == nil {
            child.signal(Signals.kill)
            stuck = child
        }
        return words == ChildProcess.wordsOfSuccess ? text : nil
    }

    /// A process that another thread starts in this very moment may get it too: then there is no end to read, and the time is over.
    private static func openPipe(_ ends: inout [Int32]) -> Bool {
        guard pipe(&ends) == 0 else { return false }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return true
    }

    private static func read(_ descriptor: Int32, until deadline: Int64) -> String? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let left = deadline.subtractingSaturated(GatewaySources.uptimeNanoseconds())
            guard left > 0 else { return nil }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, Int32(clamping: left / 1_000_000 + 1)) > 0 else { continue }
            let count = Self.systemRead(descriptor, &chunk)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            guard count > 0, bytes.count + count <= bytesMax else { return nil }
            bytes += chunk[..<count]
        }
    }

    private static func systemRead(_ descriptor: Int32, _ chunk: inout [UInt8]) -> Int {
        #if canImport(Darwin)
            Darwin.read(descriptor, &chunk, chunk.count)
        #else
            Glibc.read(descriptor, &chunk, chunk.count)
        #endif
    }

    private static func end(of child: ChildProcess, by deadline: Int64) -> String? {
        while true {
            if let words = child.end() { return words }
            guard GatewaySources.uptimeNanoseconds() < deadline else { return nil }
            usleep(pauseMicroseconds)
        }
    }
}
