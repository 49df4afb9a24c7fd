package import TelemetryModel

/// A value of a row, or one bound to a parameter.
package enum QueryValue: Equatable, Sendable {
    case null
    case integer(Int64)
    case double(Double)
    case text(String)
    case blob([UInt8])

    package var integer: Int64? {
        if case .integer(let value) = self { return value }
        return nil
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
