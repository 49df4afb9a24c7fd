extension ColumnTable {
    /// Words of a line, apart at spaces; a word in double quotes may hold spaces.
    static func words(_ line: Substring) -> [String] {
        var words: [String] = []
        var word = ""
        var quoted = false
        var started = false
        for character in line {
            if character == "\"" {
                quoted.toggle()
                started = true
            } else if character == " " && !quoted {
                if started { words.append(word) }
                word = ""
                started = false
            } else {
                word.append(character)
                started = true
            }
        }
        if started { words.append(word) }
        return words
    }

    /// The source of a line; `nil` when the words are none.
    mutating func source(_ words: [String]) -> ColumnRule.Source? {
        guard let kind = words.first else { return nil }
        let arguments = Array(words.dropFirst())
        switch (kind, arguments.count) {
        case ("attribute", 1): return .attribute(key: key(arguments[0]))
        case ("unquoted", 1): return .unquoted(key: key(arguments[0]))
        case ("shown", 1): return .shown(key: key(arguments[0]))
        case ("pair", 2): return .pair(first: key(arguments[0]), second: key(arguments[1]))
        case ("path", 2): return .path(first: key(arguments[0]), second: key(arguments[1]))
        case ("numbered", 1): return .numbered(prefix: numberedPrefix(arguments[0] + "."))
        case ("elements", 1): return .elements(key: key(arguments[0]))
        case ("prefixed", 2): return .prefixed(text: arguments[0], key: key(arguments[1]))
        case ("map", 2...): return texts(arguments.dropFirst()).map { .map(key: key(arguments[0]), texts: $0) }
        case ("breakerError", 1): return .breakerError(key: key(arguments[0]))
        case ("atLeast", 2): return Int64(arguments[0]).map { .atLeast(limit: $0, key: key(arguments[1])) }
        case ("millis", 1): return .milliseconds(key: key(arguments[0]))
        case ("timeOffset", 1): return .timeOffset(key: key(arguments[0]))
        case ("plus", 2...): return .plus(keys: arguments.map { key($0) })
        case ("value", 1): return .value(text: arguments[0])
        case ("sum", 2):
            guard let first = Self.column(arguments[0]), let second = Self.column(arguments[1]) else { return nil }
            return .sum(first: first, second: second)
        case ("some", 1): return Self.column(arguments[0]).map { .some(column: $0) }
        case ("status", 2): return Int32(arguments[0]).map { .status(code: $0, value: arguments[1]) }
        case ("present", 1): return .present(key: key(arguments[0]))
        default: return json(kind, arguments) ?? Self.name(kind, arguments) ?? event(kind, arguments)
        }
    }

    private mutating func json(_ kind: String, _ arguments: [String]) -> ColumnRule.Source? {
        let path = { (text: String) in text.split(separator: "/").map(String.init) }
        switch (kind, arguments.count) {
        case ("json", 2): return .json(key: key(arguments[0]), path: path(arguments[1]))
        case ("jsonhead", 2): return .jsonHead(key: key(arguments[0]), member: arguments[1])
        case ("jsonpair", 3): return .jsonPair(key: key(arguments[0]), first: arguments[1], second: arguments[2])
        case ("jsonelements", 2): return .jsonElements(key: key(arguments[0]), path: path(arguments[1]))
        case ("jsonsum", 3...): return .jsonSum(key: key(arguments[0]), paths: arguments.dropFirst().map(path))
        default: return nil
        }
    }

    private static func name(_ kind: String, _ arguments: [String]) -> ColumnRule.Source? {
        switch (kind, arguments.first, arguments.count) {
        case ("name", "whole", 1): .nameWhole
        case ("name", "after", 2): .nameAfter(text: Array(arguments[1].utf8))
        case ("name", "until", 2): .nameUntil(text: Array(arguments[1].utf8))
        case ("name", "head", 2): .nameHead(text: Array(arguments[1].utf8))
        case ("name", "tail", 2): .nameTail(text: Array(arguments[1].utf8))
        default: nil
        }
    }

    private mutating func event(_ kind: String, _ arguments: [String]) -> ColumnRule.Source? {
        switch (kind, arguments.count) {
        case ("event", 2): .event(name: arguments[0], key: key(arguments[1]))
        case ("eventElements", 2): .eventElements(name: arguments[0], key: key(arguments[1]))
        case ("eventValue", 2): .eventValue(name: arguments[0], value: arguments[1])
        case ("eventOffset", 1): .eventOffset(name: arguments[0])
        default: nil
        }
    }

    private func texts(_ arguments: ArraySlice<String>) -> ColumnTexts? {
        var texts = ColumnTexts()
        for argument in arguments {
            let sides = argument.split(separator: "=", maxSplits: 1)
            guard sides.count == 2 else { return nil }
            texts.add(String(sides[0]), meaning: String(sides[1]))
        }
        return texts
    }

    private static func column(_ name: some StringProtocol) -> Column? {
        Column.allCases.first { $0.name == name }
    }

    /// The conditions of a line; `nil` when a word is none.
    mutating func conditions(_ words: [String]) -> [ColumnRule.Condition]? {
        var conditions: [ColumnRule.Condition] = []
        for word in words {
            guard let condition = condition(word) else { return nil }
            conditions.append(condition)
        }
        return conditions
    }

    private mutating func condition(_ word: String) -> ColumnRule.Condition? {
        if word == "root" { return .root }
        if word == "child" { return .child }
        for sign in ["scope:", "scope!:"] where word.hasPrefix(sign) {
            return .scope(prefix: scopePrefix(String(word.dropFirst(sign.count))), isNegated: sign.contains("!"))
        }
        for sign in ["!:=", ":=", "!=*", "=*", "!=", "="] {
            guard let range = word.firstRange(of: sign) else { continue }
            let name = word[..<range.lowerBound]
            let value = String(word[range.upperBound...])
            let isNegated = sign.hasPrefix("!")
            let values = ColumnTexts(value.split(separator: "|").map(String.init))
            if sign.hasSuffix(":=") {
                guard let column = Self.column(name) else { return nil }
                return value == "*"
                    ? .filled(column, isNegated: isNegated) : .column(column, values: values, isNegated: isNegated)
            }
            if sign.hasSuffix("*") { return .attributeSuffix(key: key(String(name)), suffix: value, isNegated: isNegated) }
            return .attribute(key: key(String(name)), values: values, isNegated: isNegated)
        }
        return nil
    }
}
