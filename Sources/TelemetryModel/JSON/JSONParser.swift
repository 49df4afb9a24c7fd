/// Reads JSON text into values. Recursion is bounded by `JSONValue.depthMax`.
struct JSONParser {
    private let bytes: ArraySlice<UInt8>
    private var position: Int
    private let firstLine: Int
    private let keepsDigits: Bool

    init(_ bytes: ArraySlice<UInt8>, firstLine: Int, keepsDigits: Bool = false) {
        self.bytes = bytes
        position = bytes.startIndex
        self.firstLine = firstLine
        self.keepsDigits = keepsDigits
    }

    private var next: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

    private func error(_ message: String) -> JSONValue.SyntaxError {
        let lines = bytes[bytes.startIndex..<min(position, bytes.endIndex)].reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
        return JSONValue.SyntaxError(message: message, line: firstLine + lines)
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func end() throws(JSONValue.SyntaxError) {
        skipSpace()
        guard next == nil else { throw error("there is more behind the end of the JSON value") }
    }

    mutating func value(depth: Int) throws(JSONValue.SyntaxError) -> JSONValue {
        skipSpace()
        guard depth <= JSONValue.depthMax else { throw error("JSON nested deeper than \(JSONValue.depthMax)") }
        switch next {
        case nil: throw error("the JSON ends too early")
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t") where literal("true"): return .bool(true)
        case UInt8(ascii: "f") where literal("false"): return .bool(false)
        case UInt8(ascii: "n") where literal("null"): return .null
        case UInt8(ascii: "N") where literal("NaN"), UInt8(ascii: "I") where literal("Infinity"),
            UInt8(ascii: "-") where literal("-Infinity"):
            return .null
        default: return try number()
        }
    }

    private mutating func literal(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard bytes.endIndex - position >= count else { return false }
        let matches = text.withUTF8Buffer { expected in bytes[position..<position + count].elementsEqual(expected) }
        if matches { position += count }
        return matches
    }

    private mutating func number() throws(JSONValue.SyntaxError) -> JSONValue {
        let start = position
        while let byte = next,
            (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
                || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E")
        {
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if let integer = Int64(text), !text.hasPrefix("+"), !keepsDigits || text == "\(integer)" { return .integer(integer) }
        guard let double = Double(text), double.isFinite || keepsDigits else {
            throw error(text.isEmpty ? "this is no JSON value" : "'\(text)' is no JSON number")
        }
        return keepsDigits ? .digits(text) : .double(double)
    }

    private mutating func array(depth: Int) throws(JSONValue.SyntaxError) -> JSONValue {
        position += 1
        var values: [JSONValue] = []
        skipSpace()
        if next == UInt8(ascii: "]") {
            position += 1
            return .array([])
        }
        while true {
            values.append(try value(depth: depth + 1))
            if try closes(UInt8(ascii: "]")) { return .array(values) }
        }
    }

    private mutating func object(depth: Int) throws(JSONValue.SyntaxError) -> JSONValue {
        position += 1
        var members: [JSONValue.Member] = []
        skipSpace()
        if next == UInt8(ascii: "}") {
            position += 1
            return .object([])
        }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw error("a JSON member needs a name in quotes") }
            let name = try string()
            skipSpace()
            guard next == UInt8(ascii: ":") else { throw error("a JSON member needs a colon behind its name") }
            position += 1
            members.append(.init(name, try value(depth: depth + 1)))
            if try closes(UInt8(ascii: "}")) { return .object(members) }
        }
    }

    /// Steps over a comma (`false`) or the closing bracket (`true`).
    private mutating func closes(_ bracket: UInt8) throws(JSONValue.SyntaxError) -> Bool {
        skipSpace()
        guard let byte = next, byte == bracket || byte == UInt8(ascii: ",") else {
            throw error("the JSON lacks a comma or a closing bracket")
        }
        position += 1
        return byte == bracket
    }

    private mutating func string() throws(JSONValue.SyntaxError) -> String {
        position += 1
        let start = position
        var isEscaped = false
        while let byte = next, byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\") {
                isEscaped = true
                position += 1
            }
            position += 1
        }
        guard position < bytes.endIndex else {
            position = start
            throw error("a JSON string does not end")
        }
        let raw = bytes[start..<position]
        position += 1
        return isEscaped ? JSONText.unescaped(raw) : String(decoding: raw, as: UTF8.self)
    }
}
