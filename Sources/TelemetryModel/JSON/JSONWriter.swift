/// Writes JSON text into a byte buffer: what the SQL columns `attributes`, `events` and `links` and the API show.
public struct JSONWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
    }

    /// Takes back what was written behind the first `count` bytes.
    public mutating func truncate(to count: Int) {
        bytes.removeSubrange(count...)
    }

    /// Writes text as it is: punctuation and numbers.
    public mutating func raw(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    public mutating func raw(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    public mutating func integer(_ value: Int64) {
        bytes.append(contentsOf: String(value).utf8)
    }

    /// A JSON number; what JSON has no number for becomes one of the strings that protobuf's JSON uses.
    public mutating func double(_ value: Double) {
        if value.isNaN {
            raw("\"NaN\"")
        } else if value.isInfinite {
            raw(value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
        } else {
            raw("\(value)")
        }
    }

    public mutating func bool(_ value: Bool) {
        raw(value ? "true" : "false")
    }

    public mutating func string(_ text: String) {
        quoted(text.utf8)
    }

    /// A string from UTF-8 bytes, which are mended where they are not UTF-8.
    public mutating func string(_ text: ArraySlice<UInt8>) {
        if text.allSatisfy({ $0 < 0x80 }) {
            quoted(text)
        } else {
            quoted(String(decoding: text, as: UTF8.self).utf8)
        }
    }

    private mutating func quoted(_ text: some Sequence<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""): raw("\\\"")
            case UInt8(ascii: "\\"): raw("\\\\")
            case 0x0A: raw("\\n")
            case 0x0D: raw("\\r")
            case 0x09: raw("\\t")
            case 0..<0x20, 0x7F:
                raw("\\u00")
                bytes.append(Self.digit(byte >> 4))
                bytes.append(Self.digit(byte & 0xF))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + (value - 10)
    }

    /// Standard base64 in quotes.
    public mutating func base64(_ data: ArraySlice<UInt8>) {
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        bytes.append(UInt8(ascii: "\""))
        alphabet.withUTF8Buffer { letters in
            var index = data.startIndex
            while index < data.endIndex {
                let left = data.endIndex - index
                let first = data[index]
                let second = left > 1 ? data[index + 1] : 0
                let third = left > 2 ? data[index + 2] : 0
                bytes.append(letters[Int(first >> 2)])
                bytes.append(letters[Int((first & 0x3) << 4 | second >> 4)])
                bytes.append(left > 1 ? letters[Int((second & 0xF) << 2 | third >> 6)] : UInt8(ascii: "="))
                bytes.append(left > 2 ? letters[Int(third & 0x3F)] : UInt8(ascii: "="))
                index += 3
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
