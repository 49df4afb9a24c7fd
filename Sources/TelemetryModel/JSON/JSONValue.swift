/// A JSON document as a value, members in their order. For files, reports and the messages of conversations; what every span passes
/// through reads text instead (`JSONText`).
package indirect enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    /// A number as it was written, where that is asked for and an `Int64` does not say the same.
    case digits(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    package struct Member: Equatable, Sendable {
        package var name: String
        package var value: JSONValue

        package init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// A text that is no JSON: what was wrong and where.
    package struct SyntaxError: Error, Equatable, Sendable {
        package var message: String
        /// From 1.
        package var line: Int

        package var isRetryable: Bool { false }
    }

    /// Deeper documents are refused.
    package static let depthMax = 64

    /// The document in the bytes. `NaN` and infinities without quotes are taken, since Python writes them; they become null.
    ///
    /// - Parameter keepsDigits: whether numbers that are no `Int64` stay as they were written, so that they can be shown as sent.
    package static func parse(
        _ bytes: ArraySlice<UInt8>, firstLine: Int = 1, keepsDigits: Bool = false
    ) throws(SyntaxError) -> JSONValue {
        var parser = JSONParser(bytes, firstLine: firstLine, keepsDigits: keepsDigits)
        let value = try parser.value(depth: 0)
        try parser.end()
        return value
    }

    /// The member's value; the last one of that name.
    package subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name.isExactly(name) }?.value
    }

    package var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    package var number: Double? {
        switch self {
        case .integer(let integer): Double(integer)
        case .double(let double): double
        case .digits(let digits): Double(digits)
        default: nil
        }
    }

    package static func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }

    package static func optional(_ number: Double?) -> JSONValue { number.map(JSONValue.double) ?? .null }

    package static func optional(_ number: Int64?) -> JSONValue { number.map(JSONValue.integer) ?? .null }
}

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }

    package init(stringLiteral value: String) { self = .string(value) }

    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
}

// MARK: Writing

extension JSONValue {
    /// On one line, members in their order.
    package var line: String {
        var writer = JSONWriter()
        write(into: &writer, sorted: false, indent: nil, depth: 0)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// On lines of their own, indented by two spaces, with a newline at the end.
    package var pretty: String {
        var writer = JSONWriter()
        write(into: &writer, sorted: false, indent: 2, depth: 0)
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }

    /// RFC 8785: members sorted by their UTF-16 code units, no space, numbers as ECMAScript writes them. The same value is the
    /// same bytes on every machine.
    package var canonical: String {
        var writer = JSONWriter()
        write(into: &writer, sorted: true, indent: nil, depth: 0)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private func write(into writer: inout JSONWriter, sorted: Bool, indent: Int?, depth: Int) {
        switch self {
        case .null: writer.raw("null")
        case .bool(let flag): writer.bool(flag)
        case .integer(let integer): writer.integer(integer)
        case .double(let double): writer.raw(Self.ecmaNumber(double))
        case .digits(let digits): writer.raw(digits)
        case .string(let text): writer.string(text)
        case .array(let values):
            writer.raw("[")
            for (index, value) in values.enumerated() {
                if index > 0 { writer.raw(",") }
                Self.newline(&writer, indent, depth + 1)
                value.write(into: &writer, sorted: sorted, indent: indent, depth: depth + 1)
            }
            if !values.isEmpty { Self.newline(&writer, indent, depth) }
            writer.raw("]")
        case .object(let members):
            let ordered = sorted ? members.sorted { $0.name.utf16.lexicographicallyPrecedes($1.name.utf16) } : members
            writer.raw("{")
            for (index, member) in ordered.enumerated() {
                if index > 0 { writer.raw(",") }
                Self.newline(&writer, indent, depth + 1)
                writer.string(member.name)
                writer.raw(indent == nil ? ":" : ": ")
                member.value.write(into: &writer, sorted: sorted, indent: indent, depth: depth + 1)
            }
            if !ordered.isEmpty { Self.newline(&writer, indent, depth) }
            writer.raw("}")
        }
    }

    private static func newline(_ writer: inout JSONWriter, _ indent: Int?, _ depth: Int) {
        guard let indent else { return }
        writer.raw("\n" + String(repeating: " ", count: indent * depth))
    }

    /// A number as ECMAScript's `Number::toString` writes it; what is not a number becomes null.
    static func ecmaNumber(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        if value == 0 { return "0" }
        // Swift gives the shortest digits that read back as the same number; only their layout differs.
        let parts = "\(value.magnitude)".split(separator: "e", maxSplits: 1)
        let mantissa = parts[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        var digits = String(mantissa[0])
        var fraction = mantissa.count > 1 ? String(mantissa[1]) : ""
        if fraction == "0" { fraction = "" }
        // The value is 0.digits · 10^point.
        var point = digits.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        digits += fraction
        while digits.hasPrefix("0") {
            digits.removeFirst()
            point -= 1
        }
        while digits.hasSuffix("0") { digits.removeLast() }
        let sign = value < 0 ? "-" : ""
        let count = digits.count
        if count <= point && point <= 21 { return sign + digits + String(repeating: "0", count: point - count) }
        if 0 < point && point <= 21 { return sign + digits.prefix(point) + "." + digits.dropFirst(point) }
        if -6 < point && point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        let exponent = point - 1
        let power = exponent < 0 ? "e-\(-exponent)" : "e+\(exponent)"
        return sign + digits.prefix(1) + (count > 1 ? "." + digits.dropFirst(1) : "") + power
    }
}
