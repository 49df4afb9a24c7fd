/// Pieces of SQL text: its tokens, and how names are quoted.
enum SQLText {
    struct Token: Equatable {
        enum Kind {
            case word, text, name, number, symbol
            /// `?`, `?1`, `:name`, `@name` or `$name`.
            case parameter
        }

        var kind: Kind
        /// As it stands in the text, but a string without its quotes.
        var value: String
        var range: Range<Int>

        func isWord(_ wanted: String) -> Bool { kind == .word && value.lowercased() == wanted }

        func isSymbol(_ wanted: String) -> Bool { kind == .symbol && value == wanted }
    }

    /// Tokens of a statement that is put into another form; a longer one stays as it is.
    static let rewrittenTokensMax = 4096

    /// A name between backquotes, which SQLite never takes for a string.
    static func quoted(_ name: String) -> String {
        "`" + name.replacing("`", with: "``") + "`"
    }

    /// The tokens of a statement without space and comments; `nil` when it does not end well.
    static func tokens(_ text: [UInt8]) -> [Token]? {
        var tokens: [Token] = []
        var position = 0
        while position < text.count {
            let start = position
            switch text[position] {
            case 0x20, 0x09, 0x0A, 0x0C, 0x0D: position += 1
            case UInt8(ascii: "-") where has(text, position + 1, UInt8(ascii: "-")):
                while position < text.count, text[position] != 0x0A { position += 1 }
            case UInt8(ascii: "/") where has(text, position + 1, UInt8(ascii: "*")):
                position += 2
                while position < text.count, !(text[position] == UInt8(ascii: "*") && has(text, position + 1, UInt8(ascii: "/")))
                {
                    position += 1
                }
                position += 2
            case let quote where quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "`"):
                guard let value = string(text, &position) else { return nil }
                tokens.append(Token(kind: quote == UInt8(ascii: "'") ? .text : .name, value: value, range: start..<position))
            case UInt8(ascii: "["):
                while position < text.count, text[position] != UInt8(ascii: "]") { position += 1 }
                guard position < text.count else { return nil }
                position += 1
                tokens.append(
                    Token(
                        kind: .name, value: String(decoding: text[(start + 1)..<(position - 1)], as: UTF8.self),
                        range: start..<position))
            case let byte where isDigit(byte) || byte == UInt8(ascii: ".") && position + 1 < text.count && isDigit(text[position + 1]):
                passNumber(text, &position)
                tokens.append(token(.number, text, start..<position))
            case UInt8(ascii: "?"), UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "$"):
                position += 1
                while position < text.count, isWord(text[position]) { position += 1 }
                let isNamed = position > start + 1 || text[start] == UInt8(ascii: "?")
                tokens.append(token(isNamed ? .parameter : .symbol, text, start..<position))
            case let byte where isWord(byte):
                while position < text.count, isWord(text[position]) { position += 1 }
                tokens.append(token(.word, text, start..<position))
            case let byte:
                position += 1
                tokens.append(Token(kind: .symbol, value: String(UnicodeScalar(byte)), range: start..<position))
            }
        }
        return tokens
    }

    private static func token(_ kind: Token.Kind, _ text: [UInt8], _ range: Range<Int>) -> Token {
        Token(kind: kind, value: String(decoding: text[range], as: UTF8.self), range: range)
    }

    /// Goes past a number: digits with a fraction and an exponent, and whatever letters stand at its end, which make it none.
    private static func passNumber(_ text: [UInt8], _ position: inout Int) {
        func passDigits() { while position < text.count, isDigit(text[position]) { position += 1 } }
        passDigits()
        if has(text, position, UInt8(ascii: ".")) {
            position += 1
            passDigits()
        }
        if has(text, position, UInt8(ascii: "e")) || has(text, position, UInt8(ascii: "E")) {
            var digits = position + 1
            if has(text, digits, UInt8(ascii: "+")) || has(text, digits, UInt8(ascii: "-")) { digits += 1 }
            if digits < text.count, isDigit(text[digits]) {
                position = digits
                passDigits()
            }
        }
        while position < text.count, isWord(text[position]) { position += 1 }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

    private static func has(_ text: [UInt8], _ position: Int, _ byte: UInt8) -> Bool {
        position < text.count && text[position] == byte
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...0xFF:
            true
        default: false
        }
    }

    /// A quoted string, a doubled quote in it standing for one.
    private static func string(_ text: [UInt8], _ position: inout Int) -> String? {
        let quote = text[position]
        var value: [UInt8] = []
        position += 1
        while position < text.count {
            if text[position] == quote {
                position += 1
                guard has(text, position, quote) else { return String(decoding: value, as: UTF8.self) }
            }
            value.append(text[position])
            position += 1
        }
        return nil
    }
}
