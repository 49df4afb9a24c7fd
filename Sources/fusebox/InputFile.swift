import Foundation

/// What a command is given to read: a file, a pipe such as `<(…)` makes, or standard input by the name `-`.
enum InputFile {
    static func open(_ path: String) throws(CommandFailure) -> FileHandle {
        if path == "-" { return .standardInput }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw CommandFailure(.usage, "cannot read the file \(path)")
        }
        return handle
    }

    /// All of it.
    static func bytes(_ path: String) throws(CommandFailure) -> [UInt8] {
        do {
            return [UInt8](try open(path).readToEnd() ?? Data())
        } catch {
            throw CommandFailure(.usage, "cannot read the file \(path)")
        }
    }

    /// All of it, which must be UTF-8.
    static func text(_ path: String) throws(CommandFailure) -> String {
        guard let text = String(validating: try bytes(path), as: UTF8.self) else {
            throw CommandFailure(.usage, "\(path) is not UTF-8 text")
        }
        return text
    }
}
