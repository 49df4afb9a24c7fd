import Foundation

/// Lines to a file that is empty or to standard output. Used by one thread.
final class LineOutput {
    private let file: FileHandle?

    init(path: String?) throws {
        guard let path else {
            file = nil
            return
        }
        guard let handle = FileHandle(forWritingAtPath: path) else { throw CommandFailure(.failed, "cannot write \(path)") }
        file = handle
    }

    /// A line with its end.
    func write(text: String) throws {
        guard let file else { return Terminal.write(text) }
        do {
            try file.write(contentsOf: Data(text.utf8))
        } catch {
            throw CommandFailure(.failed, "the file could not be written: \(error.localizedDescription)")
        }
    }

    func write(_ line: [UInt8]) throws {
        guard let file else { return Terminal.write(String(decoding: line, as: UTF8.self) + "\n") }
        do {
            try file.write(contentsOf: Data(line) + [UInt8(ascii: "\n")])
        } catch {
            throw CommandFailure(.failed, "the file could not be written: \(error.localizedDescription)")
        }
    }

    func close() throws {
        do {
            try file?.close()
        } catch {
            throw CommandFailure(.failed, "the file could not be written: \(error.localizedDescription)")
        }
    }
}
