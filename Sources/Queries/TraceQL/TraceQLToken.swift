/// The words of a TraceQL query.
enum TraceQLToken: Equatable {
    /// A name or a path: `span.http.method`, `rate`, `error`.
    case name(String)
    case text(String)
    /// A number with its unit, if it had one: `1.5s` is 1.5 and `s`.
    case number(Double, unit: String)
    /// `{`, `}`, `(`, `)`, `,`, `|` and operators.
    case symbol(String)

    /// Bytes of a query.
    private static let queryBytesMax = 16 << 10
    private static let symbols = ["&&", "||", "!=", "=~", "!~", ">=", "<=", "{", "}", "(", ")", ",", "|", "=", ">", "<", "!"]

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
            } else if character.isNumber || (character == "." && index + 1 < characters.count && characters[index + 1].isNumber)
                || (character == "-" && index + 1 < characters.count && characters[index + 1].isNumber)
            {
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

    private static func text(_ characters: [Character], _ index: inout Int) throws(QueryError) -> String {
        let quote = characters[index]
        var text = ""
        index += 1
        while index < characters.count, characters[index] != quote {
            if characters[index] == "\\", quote == "\"", index + 1 < characters.count {
                index += 1
                switch characters[index] {
                case "n": text.append("\n")
                case "t": text.append("\t")
                default: text.append(characters[index])
                }
            } else {
                text.append(characters[index])
            }
            index += 1
        }
        guard index < characters.count else { throw .invalid("a string in the query does not end") }
        index += 1
        return text
    }

    private static func number(_ characters: [Character], _ index: inout Int) throws(QueryError) -> TraceQLToken {
        var digits = ""
        if characters[index] == "-" {
            digits = "-"
            index += 1
        }
        while index < characters.count, characters[index].isNumber || characters[index] == "." {
            digits.append(characters[index])
            index += 1
        }
        var unit = ""
        while index < characters.count, characters[index].isLetter || characters[index] == "µ" {
            unit.append(characters[index])
            index += 1
        }
        guard let value = Double(digits.hasPrefix(".") ? "0" + digits : digits) else {
            throw .invalid("'\(digits)' is no number")
        }
        return .number(value, unit: unit)
    }

    /// A path whose parts may be quoted: `span."a key"`.
    private static func name(_ characters: [Character], _ index: inout Int) throws(QueryError) -> String {
        var name = ""
        while index < characters.count {
            let character = characters[index]
            if character == "\"", name.hasSuffix(".") {
                name += try text(characters, &index)
            } else if character.isLetter || character.isNumber || "._-:/@#$".contains(character) {
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
