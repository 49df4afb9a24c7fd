#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Standard output and error, and whether somebody is looking.
enum Terminal {
    enum Stream: Int32 {
        case standardOutput = 1
        case standardError = 2
    }

    static func isTerminal(_ stream: Stream) -> Bool { isatty(stream.rawValue) == 1 }

    /// Columns of the terminal that standard output is; `nil` when it is none.
    static var columns: Int? { size.flatMap { $0.ws_col > 0 ? Int($0.ws_col) : nil } }

    /// Its lines.
    static var lines: Int? { size.flatMap { $0.ws_row > 0 ? Int($0.ws_row) : nil } }

    private static var size: winsize? {
        var size = winsize()
        return ioctl(Stream.standardOutput.rawValue, UInt(TIOCGWINSZ), &size) == 0 ? size : nil
    }

    static var inputIsTerminal: Bool { isatty(0) == 1 }

    /// Writes all of it. A closed pipe ends the process quietly, as other tools do; an output that takes no more for another
    /// reason, such as a full disk, ends it with a message and 1. What cannot be said on standard error is not said.
    static func write(_ text: String, to stream: Stream = .standardOutput) {
        var text = text
        text.withUTF8 { bytes in
            var offset = 0
            while offset < bytes.count {
                guard let start = bytes.baseAddress else { return }
                let count = Foundationless.write(stream.rawValue, start + offset, bytes.count - offset)
                if count < 0 {
                    if errno == EINTR { continue }
                    let code = errno
                    if stream == .standardError { return }
                    if code == EPIPE { exit(0) }
                    error("the output could not be written: \(String(cString: strerror(code)))")
                    exit(1)
                }
                offset += count
            }
        }
    }

    static func error(_ message: String) {
        write("fusebox: \(message)\n", to: .standardError)
    }

    /// Text without what could steer a terminal: control characters, C1 controls and bidirectional overrides become escapes.
    static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isDangerous) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isDangerous(scalar): result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// JSON text in which characters that could steer a terminal are escaped as JSON does.
    static func escapedJSON(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isDangerous) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isDangerous(scalar) && scalar != "\n" {
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isDangerous(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

/// The C function of the same name as `Terminal.write`.
private enum Foundationless {
    static func write(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes, count)
        #else
            Darwin.write(descriptor, bytes, count)
        #endif
    }
}
