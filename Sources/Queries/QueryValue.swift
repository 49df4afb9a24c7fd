package import TelemetryModel

/// A value of a row, or one bound to a parameter.
package enum QueryValue: Equatable, Sendable {
    case null
    case integer(Int64)
    case double(Double)
    case text(String)
    case blob([UInt8])

    /// Texts and blobs by their bytes, as in SQL.
    package static func == (left: QueryValue, right: QueryValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.integer(let one), .integer(let other)): one == other
        case (.double(let one), .double(let other)): one == other
        case (.text(let one), .text(let other)): one.isExactly(other)
        case (.blob(let one), .blob(let other)): one == other
        default: false
        }
    }

    package static func optional(_ text: String?) -> QueryValue { text.map(QueryValue.text) ?? .null }

    package var integer: Int64? {
        if case .integer(let value) = self { return value }
        return nil
    }

    package var double: Double? {
        switch self {
        case .double(let value): value
        case .integer(let value): Double(value)
        case .null, .text, .blob: nil
        }
    }

    package var text: String? {
        if case .text(let value) = self { return value }
        return nil
    }

    /// Integers beyond this lose digits in JavaScript and other readers that know only doubles.
    package static let exactIntegerMax: Int64 = 1 << 53

    /// The value as JSON: an integer that a double cannot hold is a string of its digits, a blob is base64.
    package func write(into json: inout JSONWriter) {
        switch self {
        case .null: json.raw("null")
        case .integer(let value) where value.magnitude > UInt64(Self.exactIntegerMax): json.string("\(value)")
        case .integer(let value): json.integer(value)
        case .double(let value): json.double(value)
        case .text(let text): json.string(text)
        case .blob(let bytes): json.base64(bytes[...])
        }
    }
}

extension JSONWriter {
    /// `"name":`, with a comma before it unless it is the first of its object.
    package mutating func key(_ name: String, isFirst: inout Bool) {
        if !isFirst { raw(",") }
        isFirst = false
        string(name)
        raw(":")
    }
}

extension JSONWriter {
    /// Digits of the longest number that a double holds for certain.
    private static let exactDigits = 15

    /// JSON text in which integers that a double cannot hold become strings of their digits, as `QueryValue` writes them.
    package mutating func exact(_ text: String) {
        var text = text
        let parts: [Range<Int>] = text.withUTF8 { Self.longIntegers($0) }
        guard !parts.isEmpty else { return raw(text) }
        let bytes = Array(text.utf8)
        var written = 0
        for part in parts {
            raw(String(decoding: bytes[written..<part.lowerBound], as: UTF8.self))
            string(bytes[part])
            written = part.upperBound
        }
        raw(String(decoding: bytes[written...], as: UTF8.self))
    }

    /// Where integers beyond 2^53 stand outside of strings.
    private static func longIntegers(_ bytes: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                index += 1
                while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
                    index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
                }
                index += 1
            case UInt8(ascii: "-"), 0x30...0x39:
                let start = index
                index += 1
                var isInteger = true
                while index < bytes.count, isNumberByte(bytes[index]) {
                    if !(0x30...0x39).contains(bytes[index]) { isInteger = false }
                    index += 1
                }
                guard isInteger, index - start > exactDigits else { continue }
                let value = Int64(String(decoding: bytes[start..<index], as: UTF8.self))
                if value.map({ $0.magnitude > UInt64(QueryValue.exactIntegerMax) }) ?? true { found.append(start..<index) }
            default: index += 1
            }
        }
        return found
    }

    private static func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "+"), UInt8(ascii: "-"): true
        default: false
        }
    }
}
