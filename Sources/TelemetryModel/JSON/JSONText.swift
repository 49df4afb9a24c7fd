/// Finds members and counts elements in JSON text inside attributes, without building it: frameworks put small JSON objects into
/// attribute strings, and one of their members is wanted. Malformed text gives `nil`. Nesting is walked without recursion.
public struct JSONText {
    public enum Value: Equatable, Sendable {
        case text(String)
        case number(String)
        case bool(Bool)
        case null
        /// An object or an array, with where its text lies.
        case container(Range<Int>)

        /// The name of its kind, as SQLite's `json_type` has it.
        ///
        /// - Parameter bytes: what it was found in.
        public func typeName(in bytes: [UInt8]) -> String {
            switch self {
            case .text: "text"
            case .number(let digits): Int64(digits) == nil ? "real" : "integer"
            case .bool(let bool): bool ? "true" : "false"
            case .null: "null"
            case .container(let range): bytes[range].first == UInt8(ascii: "[") ? "array" : "object"
            }
        }
    }

    /// Deeper text is taken as malformed.
    public static let depthMax = 64

    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// The member of that name of the object that the text is.
    public static func member(_ name: String, in bytes: ArraySlice<UInt8>) -> Value? {
        var scan = JSONText(bytes)
        guard scan.take(UInt8(ascii: "{")) else { return nil }
        if scan.take(UInt8(ascii: "}")) { return nil }
        while true {
            guard let key = scan.string(), scan.take(UInt8(ascii: ":")) else { return nil }
            if key.isExactly(name) { return scan.value() }
            guard scan.value() != nil, scan.take(UInt8(ascii: ",")) else { return nil }
        }
    }

    /// The member at the end of a path of names through objects.
    public static func member(_ path: [String], in bytes: ArraySlice<UInt8>) -> Value? {
        var value: Value?
        var object = bytes
        for (index, name) in path.enumerated() {
            value = member(name, in: object)
            guard index + 1 < path.count else { break }
            guard case .container(let range) = value else { return nil }
            object = bytes[range]
        }
        return value
    }

    /// The text that the JSON text is, without its quotes.
    public static func text(in bytes: ArraySlice<UInt8>) -> String? {
        var scan = JSONText(bytes)
        return scan.string()
    }

    /// How many elements the array that the text is has.
    public static func elementCount(in bytes: ArraySlice<UInt8>) -> Int? {
        var scan = JSONText(bytes)
        guard scan.take(UInt8(ascii: "[")) else { return nil }
        if scan.take(UInt8(ascii: "]")) { return 0 }
        var count = 0
        while true {
            guard scan.value() != nil else { return nil }
            count += 1
            if scan.take(UInt8(ascii: "]")) { return count }
            guard scan.take(UInt8(ascii: ",")) else { return nil }
        }
    }

    private var next: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard next == byte else { return false }
        position += 1
        return true
    }

    mutating func string() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = position
        var escaped = false
        while let byte = next, byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\") {
                escaped = true
                position += 1
            }
            position += 1
        }
        guard next != nil else { return nil }
        let raw = bytes[start..<position]
        position += 1
        return escaped ? Self.unescaped(raw) : String(decoding: raw, as: UTF8.self)
    }

    static func unescaped(_ raw: ArraySlice<UInt8>) -> String {
        var units: [UInt16] = []
        var text = ""
        func flush() {
            text += String(decoding: units, as: UTF16.self)
            units.removeAll()
        }
        var index = raw.startIndex
        while index < raw.endIndex {
            guard raw[index] == UInt8(ascii: "\\"), index + 1 < raw.endIndex else {
                flush()
                let start = index
                while index < raw.endIndex, raw[index] != UInt8(ascii: "\\") { index += 1 }
                if index == start { break }
                text += String(decoding: raw[start..<index], as: UTF8.self)
                continue
            }
            let escape = raw[index + 1]
            index += 2
            switch escape {
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "u"):
                let digits = raw[index..<min(index + 4, raw.endIndex)]
                units.append(UInt16(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0xFFFD)
                index = digits.endIndex
            default: units.append(UInt16(escape))
            }
        }
        flush()
        return text
    }

    /// Steps over any value and says what it was.
    mutating func value() -> Value? {
        skipSpace()
        switch next {
        case UInt8(ascii: "\""): return string().map(Value.text)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let start = position
            return skipContainer() ? .container(start..<position) : nil
        case UInt8(ascii: "t"): return literal("true") ? .bool(true) : nil
        case UInt8(ascii: "f"): return literal("false") ? .bool(false) : nil
        case UInt8(ascii: "n"): return literal("null") ? .null : nil
        default:
            let start = position
            while let byte = next,
                (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
                    || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E")
            {
                position += 1
            }
            guard position > start else { return nil }
            return .number(String(decoding: bytes[start..<position], as: UTF8.self))
        }
    }

    private mutating func literal(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard bytes.endIndex - position >= count else { return false }
        let matches = text.withUTF8Buffer { expected in bytes[position..<position + count].elementsEqual(expected) }
        if matches { position += count }
        return matches
    }

    private mutating func skipContainer() -> Bool {
        var depth = 0
        while let byte = next {
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= Self.depthMax else { return false }
                position += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                position += 1
                if depth == 0 { return true }
            case UInt8(ascii: "\""):
                guard string() != nil else { return false }
            default: position += 1
            }
        }
        return false
    }
}
