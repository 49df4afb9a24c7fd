package import SQLite

/// Values for the named parameters of a query, as users write them: text that is a number is bound as one.
package struct SQLParameters: Sendable {
    /// What a query asks for and nobody gave.
    package enum Problem: Error, Equatable, Sendable {
        /// `?` and its like cannot be given by name.
        case unnamed
        /// The name, without its sign.
        case missing(String)

        package var isRetryable: Bool { false }
    }

    /// What a text is bound as.
    package enum Value: Equatable, Sendable {
        case integer(Int64)
        case double(Double)
        case text(String)
    }

    private let texts: [String: String]

    /// Texts by the names of their parameters, without `:`.
    package init(_ texts: [String: String]) {
        self.texts = texts
    }

    /// The two sides of `name=value`; `nil` when it has no name or no `=`.
    package static func assignment(_ text: String) -> (name: String, value: String)? {
        let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2, !sides[0].isEmpty else { return nil }
        return (String(sides[0]), String(sides[1]))
    }

    /// A text is a number when it is written as JSON writes them. `007`, `nan` and `0x10` mean themselves, and so do trace and span
    /// ids, of which some are all digits or look like powers of ten.
    package static func value(of text: String) -> Value {
        if let integer = Int64(text), "\(integer)" == text { return .integer(integer) }
        let bytes = text.utf8
        let isID = (bytes.count == 16 || bytes.count == 32) && bytes.allSatisfy { $0 != UInt8(ascii: ".") && isNumeric($0) }
        guard !isID, bytes.allSatisfy(isNumeric), !hasLeadingZero(text), let double = Double(text), double.isFinite else {
            return .text(text)
        }
        return .double(double)
    }

    private static func isNumeric(_ byte: UInt8) -> Bool {
        UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "+-.eE".utf8.contains(byte)
    }

    private static func hasLeadingZero(_ text: String) -> Bool {
        let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }.prefix(2)
        return digits.count == 2 && digits.first == UInt8(ascii: "0")
            && UInt8(ascii: "0")...UInt8(ascii: "9") ~= digits[digits.index(after: digits.startIndex)]
    }

    /// Binds every parameter of a statement; throws `Problem` or `SQLiteError`.
    package func bind(to statement: Statement) throws {
        for index in 1..<(statement.parameterCount + 1) {
            guard let name = statement.parameterName(index)?.dropFirst() else { throw Problem.unnamed }
            guard let text = texts[String(name)] else { throw Problem.missing(String(name)) }
            switch Self.value(of: text) {
            case .integer(let integer): try statement.bind(index, integer)
            case .double(let double): try statement.bind(index, double)
            case .text(let text): try statement.bind(index, text)
            }
        }
    }
}
