import TelemetryModel

/// A value of an answer, as SQLite would give it.
package enum ClickHouseValue: Equatable, Sendable {
    case null
    case integer(Int64)
    case double(Double)
    /// Texts as they are; numbers that neither an integer nor a double holds, as their digits; lists and maps as JSON.
    case text(String)
}

/// How a type of ClickHouse arrives.
enum ClickHouseValueKind: Equatable, Sendable {
    case integer, double, text

    /// - Parameter type: as an answer names it, such as `LowCardinality(Nullable(String))`.
    init(type: String) {
        var type = type[...]
        for wrapper in ["LowCardinality(", "Nullable("] where type.hasPrefix(wrapper) && type.hasSuffix(")") {
            type = type.dropFirst(wrapper.count).dropLast()
        }
        self =
            switch type {
            case "Float32", "Float64", "BFloat16": .double
            case "Bool": .integer
            case _ where (type.hasPrefix("Int") || type.hasPrefix("UInt")) && !type.hasPrefix("Interval"): .integer
            default: .text
            }
    }

    /// What a value of this kind says that stands in an answer as JSON.
    func value(_ json: JSONValue) -> ClickHouseValue {
        switch (json, self) {
        case (.null, _): return .null
        case (.bool(let flag), .text): return .text(flag ? "true" : "false")
        case (.bool(let flag), _): return .integer(flag ? 1 : 0)
        case (.string(let text), .double):
            // `nan`, `inf` and `-inf` stand in quotes. SQLite has no NaN: it is NULL.
            guard let double = Double(text), !double.isNaN else { return .null }
            return .double(double)
        case (.string(let text), _): return .text(text)
        case (.integer(let integer), .double): return .double(Double(integer))
        case (.integer(let integer), .integer): return .integer(integer)
        case (.integer(let integer), .text): return .text("\(integer)")
        case (.double(let double), _): return .double(double)
        case (.digits(let digits), .double): return Double(digits).map(ClickHouseValue.double) ?? .null
        case (.digits(let digits), _): return .text(digits)
        case (.array, _), (.object, _): return .text(json.line)
        }
    }
}

/// The rows of an answer in the format `JSONCompactEachRowWithNamesAndTypes`: a line of names, one of types, then one a row.
package struct ClickHouseRows: Sendable {
    package static let format = "JSONCompactEachRowWithNamesAndTypes"

    /// An answer that is none of this format.
    package struct Problem: Error, Equatable, Sendable {
        package var message: String
        package var isRetryable: Bool { false }
    }

    package let names: [String]
    private let kinds: [ClickHouseValueKind]
    private let lines: [ArraySlice<UInt8>]

    /// - Parameter body: of the answer; empty for a statement that gives nothing.
    package init(_ body: [UInt8]) throws(Problem) {
        var lines = body.split(separator: 0x0A)
        guard !lines.isEmpty else {
            (names, kinds, self.lines) = ([], [], [])
            return
        }
        guard lines.count >= 2 else { throw Problem(message: "it has no line of names and none of types") }
        names = try Self.texts(lines.removeFirst())
        kinds = try Self.texts(lines.removeFirst()).map { ClickHouseValueKind(type: $0) }
        guard names.count == kinds.count else {
            throw Problem(message: "it names \(names.count) columns and \(kinds.count) types")
        }
        self.lines = lines
    }

    package var rowCount: Int { lines.count }

    /// The values of a row, by column.
    package func row(_ index: Int) throws(Problem) -> [ClickHouseValue] {
        guard case .array(let values) = try Self.parse(lines[index]), values.count == kinds.count else {
            throw Problem(message: "row \(index + 1) has not \(kinds.count) values")
        }
        return zip(kinds, values).map { $0.value($1) }
    }

    private static func texts(_ line: ArraySlice<UInt8>) throws(Problem) -> [String] {
        guard case .array(let values) = try parse(line) else { throw Problem(message: "a line of it is not a list") }
        return values.map { $0.text ?? "" }
    }

    private static func parse(_ line: ArraySlice<UInt8>) throws(Problem) -> JSONValue {
        do throws(JSONValue.SyntaxError) {
            return try JSONValue.parse(line, keepsDigits: true)
        } catch {
            throw Problem(message: error.message)
        }
    }
}
