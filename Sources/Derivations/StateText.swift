/// Writes a state row's value: one flat JSON object of strings, whole numbers and booleans.
struct StateWriter {
    private var text = "{"

    mutating func add(_ name: String, _ value: Int64) { add(name, raw: "\(value)") }
    mutating func add(_ name: String, _ value: Bool) { add(name, raw: value ? "true" : "false") }

    /// Strings have no controls: they were cleaned as label values, or are made here.
    mutating func add(_ name: String, _ value: String) {
        var escaped = "\""
        for scalar in value.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { escaped.unicodeScalars.append("\\") }
            escaped.unicodeScalars.append(scalar)
        }
        add(name, raw: escaped + "\"")
    }

    private mutating func add(_ name: String, raw: String) {
        text += "\(text.utf8.count > 1 ? "," : "")\"\(name)\":\(raw)"
    }

    func finish() -> String { text + "}" }
}

/// Reads what `StateWriter` wrote. Anything else is `nil`, which the caller takes for a state that is not there.
struct StateReader {
    private var strings: [String: String] = [:]
    private var scalars: [String: String] = [:]

    init?(_ text: String) {
        var cursor = Cursor(bytes: Array(text.utf8))
        guard cursor.take(UInt8(ascii: "{")) else { return nil }
        if cursor.take(UInt8(ascii: "}")), cursor.isAtEnd { return }
        repeat {
            guard let name = cursor.string(), cursor.take(UInt8(ascii: ":")) else { return nil }
            if let value = cursor.string() {
                strings[name] = value
            } else if let value = cursor.scalar() {
                scalars[name] = value
            } else {
                return nil
            }
        } while cursor.take(UInt8(ascii: ","))
        guard cursor.take(UInt8(ascii: "}")), cursor.isAtEnd else { return nil }
    }

    func string(_ name: String) -> String? { strings[name] }
    func integer(_ name: String) -> Int64? { scalars[name].flatMap { Int64($0) } }
    func bool(_ name: String) -> Bool? { scalars[name].flatMap { Bool($0) } }

    private struct Cursor {
        let bytes: [UInt8]
        var position = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { position == bytes.count }

        mutating func take(_ byte: UInt8) -> Bool {
            guard position < bytes.count, bytes[position] == byte else { return false }
            position += 1
            return true
        }

        mutating func string() -> String? {
            guard take(UInt8(ascii: "\"")) else { return nil }
            var content: [UInt8] = []
            while position < bytes.count {
                var byte = bytes[position]
                position += 1
                if byte == UInt8(ascii: "\"") { return String(decoding: content, as: UTF8.self) }
                if byte == UInt8(ascii: "\\") {
                    guard position < bytes.count else { return nil }
                    byte = bytes[position]
                    position += 1
                }
                content.append(byte)
            }
            return nil
        }

        mutating func scalar() -> String? {
            let start = position
            while position < bytes.count, bytes[position] != UInt8(ascii: ","), bytes[position] != UInt8(ascii: "}") {
                position += 1
            }
            return start < position ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
        }
    }
}
