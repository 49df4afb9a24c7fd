#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// What a process writes: a file that it appends to, so that it can go on writing while this program restarts. Its end is kept here.
struct OutputFile {
    /// Bytes that are kept of it.
    static let keptBytesMax = 64 << 10
    /// The file is emptied when it is longer.
    private static let fileBytesMax: Int64 = 4 << 20

    let descriptor: Int32
    private var position: Int64
    private(set) var kept: [UInt8] = []
    /// Bytes that came since the file was opened.
    private(set) var count: UInt64 = 0

    /// `nil` when it cannot be opened.
    init?(path: String) {
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        position = max(0, Self.size(descriptor) - Int64(Self.keptBytesMax))
    }

    func close() { _ = DescriptorClosing.close(descriptor) }

    /// What was kept is a former process's.
    mutating func forget() {
        _ = read()
        kept = []
    }

    /// Reads what came; says whether there was any.
    mutating func read() -> Bool {
        let size = Self.size(descriptor)
        if size < position { position = 0 }
        if size - position > Int64(Self.keptBytesMax) { position = size - Int64(Self.keptBytesMax) }
        var chunk = [UInt8](repeating: 0, count: Self.keptBytesMax)
        let room = chunk.count
        let got = pread(descriptor, &chunk, room, off_t(position))
        guard got > 0 else { return false }
        position += Int64(got)
        count &+= UInt64(got)
        kept += chunk[..<got]
        if kept.count > Self.keptBytesMax { kept.removeFirst(kept.count - Self.keptBytesMax) }
        if position > Self.fileBytesMax, ftruncate(descriptor, 0) == 0 { position = 0 }
        return true
    }

    private static func size(_ descriptor: Int32) -> Int64 {
        var info = stat()
        return fstat(descriptor, &info) == 0 ? Int64(info.st_size) : 0
    }
}

private enum DescriptorClosing {
    static func close(_ descriptor: Int32) -> Int32 {
        #if canImport(Darwin)
            Darwin.close(descriptor)
        #else
            Glibc.close(descriptor)
        #endif
    }
}
