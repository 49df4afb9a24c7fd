/// The words of a TraceQL query.
enum TraceQLToken: Equatable, Sendable {
    /// A name or a path: `span.http.method`, `rate`, `error`.
    case name(String)
    case text(String)
    case integer(Int64)
    case double(Double)
    /// Nanoseconds: `1.5s`, `1m30s`.
    case duration(Double)
    /// `{`, `}`, `(`, `)`, `,`, `|` and operators.
    case symbol(String)

    /// Bytes of a query.
    private static let queryBytesMax = 16 << 10
    /// Longest first.
    private static let symbols = [
        "!>>", "!<<", "&>>", "&<<", "&&", "||", "!=", "=~", "!~", "!>", "!<", "&>", "&<", "&~", ">=", "<=", ">>", "<<", "{", "}", "(", ")",
        ",", "|", "=", ">", "<", "!", "~", "+", "-", "*", "/", "%", "^",
    ]

    /// The word as a message shows it.
    var shown: String {
        switch self {
        case .name(let text), .text(let text), .symbol(let text): text
        case .integer(let value): "\(value)"
        case .double(let value): "\(value)"
        case .duration(let nanoseconds): "\(nanoseconds) ns"
        }
    }

    static func all(_ query: String) throws(QueryError) -> [TraceQLToken] {
        guard query.utf8.count <= queryBytesMax else { throw .invalid("the query is longer than \(queryBytesMax) bytes") }
        let characters = Array(query)
        var tokens: [TraceQLToken] = []
        var index = 0
        while index < characters.count {
            let character = characters[index]
            if character.isWhitespace {
                index += 1
            } else if character == "\"" || character == "`" {
                tokens.append(.text(try text(characters, &index)))
            } else if isDigit(characters, index) || (character == "." && isDigit(characters, index + 1)) {
                tokens.append(try number(characters, &index))
            } else if let symbol = symbols.first(where: { characters[index...].starts(with: $0) }) {
                tokens.append(.symbol(symbol))
                index += symbol.count
            } else {
                tokens.append(.name(try name(characters, &index)))
            }
        }
        return tokens
    }

    private static func isDigit(_ characters: [Character], _ index: Int) -> Bool {
        index < characters.count && ("0"..."9").contains(characters[index])
    }

    private static func text(_ characters: [Character], _ index: inout Int) throws(QueryError) -> String {
        let quote = characters[index]
        var text = ""
        index += 1
        while index < characters.count, characters[index] != quote {
            if characters[index] == "\\", quote == "\"", index + 1 < characters.count {
                index += 1
                var position = index
                let escaped = try QuotedText.escaped {
                    guard position < characters.count else { return nil }
                    position += 1
                    return characters[position - 1]
                }
                index = position
                if let escaped { text.append(escaped) }
            } else {
                text.append(characters[index])
                index += 1
            }
        }
        guard index < characters.count else { throw .invalid("a string in the query does not end") }
        index += 1
        return text
    }

    private static let units: [String: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "d": 86_400e9,
    ]

    private static func number(_ characters: [Character], _ index: inout Int) throws(QueryError) -> TraceQLToken {
        var total = 0.0
        var hasUnit = false
        repeat {
            var digits = ""
            while index < characters.count, isDigit(characters, index) || characters[index] == "." {
                digits.append(characters[index])
                index += 1
            }
            var unit = ""
            while index < characters.count, characters[index].isLetter || characters[index] == "µ" {
                unit.append(characters[index])
                index += 1
            }
            guard let value = Double(digits.hasPrefix(".") ? "0" + digits : digits) else { throw .invalid("'\(digits)' is not a number") }
            if unit.isEmpty {
                guard !hasUnit else { throw .invalid("a duration in the query ends without its unit") }
                if let integer = Int64(digits) { return .integer(integer) }
                return .double(value)
            }
            guard let scale = units[unit] else { throw .invalid("'\(unit)' is not a unit of time") }
            hasUnit = true
            total += value * scale
        } while isDigit(characters, index)
        return .duration(total)
    }

    /// What ends an attribute's name: operators inside of one are a part of it, as in Tempo.
    private static let ends: Set<Character> = ["{", "}", "(", ")", "=", "~", "!", "<", ">", "&", "|", "^", ",", "\"", "`"]

    /// A path whose parts may be quoted: `span."a key"`. A word without a point is letters, digits, `_` and `:`.
    private static func name(_ characters: [Character], _ index: inout Int) throws(QueryError) -> String {
        var name = ""
        while index < characters.count {
            let character = characters[index]
            if character == "\"", name.hasSuffix(".") {
                name += try text(characters, &index)
            } else if name.contains(".") ? !character.isWhitespace && !ends.contains(character) : character.isLetter || character.isNumber || "._:".contains(character) {
                name.append(character)
                index += 1
            } else {
                break
            }
        }
        guard !name.isEmpty else { throw .invalid("'\(characters[index])' is not expected in the query") }
        return name
    }
}
