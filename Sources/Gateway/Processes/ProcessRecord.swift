import TelemetryModel

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// What is written down of a process, so that it is found again when this program has restarted.
struct ProcessRecord: Equatable, Sendable {
    var backend: String
    var pid: pid_t
    var startMark: UInt64
    var port: Int
    /// As configured when it was started.
    var command: [String]

    init(backend: String, pid: pid_t, startMark: UInt64, port: Int, command: [String]) {
        self.backend = backend
        self.pid = pid
        self.startMark = startMark
        self.port = port
        self.command = command
    }

    init?(_ text: String) {
        guard let value = try? JSONValue.parse(Array(text.utf8)[...]), let backend = value["backend"]?.text,
            case .integer(let pid) = value["pid"], let pid = pid_t(exactly: pid), pid > 1,
            let startMark = (value["start_mark"]?.text).flatMap({ UInt64($0) }), case .integer(let port) = value["port"],
            (1...65535).contains(port), case .array(let command) = value["command"]
        else { return nil }
        self.init(
            backend: backend, pid: pid, startMark: startMark, port: Int(port), command: command.compactMap(\.text))
    }

    var text: String {
        let value: JSONValue = [
            "backend": .string(backend), "pid": .integer(Int64(pid)), "start_mark": .string("\(startMark)"),
            "port": .integer(Int64(port)), "command": .array(command.map(JSONValue.string)),
        ]
        return value.line + "\n"
    }

    /// The process, if it is still that one.
    var process: ChildProcess? {
        ProcessTable.startMark(pid) == startMark ? ChildProcess(pid: pid, startMark: startMark, isOwn: false) : nil
    }
}

/// The folder in which processes are written down and write what they say; its owner's alone.
struct ProcessFolder: Sendable {
    let path: String

    /// `false` when it cannot be made.
    func create() -> Bool { mkdir(path, 0o700) == 0 || errno == EEXIST }

    func outputPath(_ backend: String) -> String { "\(path)/\(Self.fileName(backend)).log" }

    private func recordPath(_ backend: String) -> String { "\(path)/\(Self.fileName(backend)).json" }

    func records() -> [ProcessRecord] {
        SmallFile.entries(path).filter { $0.hasSuffix(".json") }.compactMap { ProcessRecord(SmallFile.text("\(path)/\($0)")) }
    }

    func write(_ record: ProcessRecord) -> Bool { SmallFile.write(record.text, to: recordPath(record.backend)) }

    func remove(_ backend: String) { unlink(recordPath(backend)) }

    /// Letters, digits, dots within and dashes stay; every other byte becomes its number.
    private static func fileName(_ backend: String) -> String {
        var name = ""
        for (index, byte) in backend.utf8.enumerated() {
            let character = Character(Unicode.Scalar(byte))
            let isPlain =
                byte < 0x80 && (character.isLetter || character.isNumber || character == "-" || (character == "." && index > 0))
            name += isPlain ? String(character) : "_" + String(byte, radix: 16)
        }
        return name
    }
}
