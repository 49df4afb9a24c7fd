/// Where a column may stand for a call without changing what is compared.
///
/// SQLite converts the sides of a comparison by their affinity. A call has none, so beside a column of texts its value is converted to text; a
/// hidden column has the affinity BLOB, and is compared as it is. Both are alike only where the other side has no affinity either:
/// where it is no column, no subquery and no CAST. Elsewhere, `+` takes the affinity away, and the condition is SQLite's to look at.
extension QueryRewriter {
    /// Whether the call in these tokens is one side of a comparison whose other side has no affinity.
    static func comparesAlike(_ tokens: [SQLText.Token], _ call: ClosedRange<Int>) -> Bool {
        if beginsOperand(tokens, call.lowerBound) { return isComparedAlike(tokens, behind: call.upperBound + 1) }
        guard let left = beforeComparison(tokens, call.lowerBound), let start = constant(tokens, endingAt: left) else { return false }
        return beginsOperand(tokens, start) && endsOperand(tokens, call.upperBound + 1)
    }

    // MARK: Before and behind

    /// Words behind which an expression begins.
    private static let beginnings: Set<String> = [
        "where", "or", "not", "on", "having", "when", "then", "else", "select", "distinct", "by",
    ]

    /// Whether an operand that begins at a place is not the right side of anything.
    private static func beginsOperand(_ tokens: [SQLText.Token], _ place: Int) -> Bool {
        guard place > 0 else { return false }
        let before = tokens[place - 1]
        if before.isSymbol("(") || before.isSymbol(",") { return true }
        guard before.kind == .word else { return false }
        return beginnings.contains(before.value.lowercased()) || before.isWord("and") && !endsBetween(tokens, place - 1)
    }

    /// Words that end an expression.
    private static let endings: Set<String> = [
        "and", "or", "as", "from", "where", "group", "order", "limit", "having", "window", "then", "else", "end", "when", "union", "except",
        "intersect", "on", "join", "left", "right", "full", "inner", "cross",
    ]

    private static func endsOperand(_ tokens: [SQLText.Token], _ place: Int) -> Bool {
        guard place < tokens.count else { return true }
        let token = tokens[place]
        return token.isSymbol(")") || token.isSymbol(",") || token.isSymbol(";")
            || token.kind == .word && endings.contains(token.value.lowercased())
    }

    /// Whether an AND belongs to a BETWEEN before it.
    private static func endsBetween(_ tokens: [SQLText.Token], _ place: Int) -> Bool {
        var depth = 0
        let opening = tokens[..<place].indices.reversed().first { index in
            if tokens[index].isSymbol(")") { depth += 1 }
            if tokens[index].isSymbol("(") { depth -= 1 }
            return depth < 0
        }
        depth = 0
        var open = 0
        for index in (opening.map { $0 + 1 } ?? 0)..<place {
            if tokens[index].isSymbol("(") { depth += 1 }
            if tokens[index].isSymbol(")") { depth -= 1 }
            guard depth == 0 else { continue }
            if tokens[index].isWord("between") { open += 1 }
            if tokens[index].isWord("and"), open > 0 { open -= 1 }
        }
        return open > 0
    }

    // MARK: Comparisons

    /// Whether what stands behind a call compares it with something without affinity, or asks for NULL, or is an operator that converts by itself.
    private static func isComparedAlike(_ tokens: [SQLText.Token], behind place: Int) -> Bool {
        guard place < tokens.count else { return false }
        if let right = behindComparison(tokens, place) { return hasNoAffinity(tokens, right) }
        var place = place
        if tokens[place].isWord("isnull") || tokens[place].isWord("notnull") { return true }
        if tokens[place].isWord("not"), place + 1 < tokens.count {
            place += 1
            if tokens[place].isWord("null") { return true }
        }
        switch tokens[place].value.lowercased() {
        case "like", "glob", "regexp", "match": return tokens[place].kind == .word
        case "between": return isBetweenConstants(tokens, place + 1)
        case "in":
            // The affinity of what is in a list does not matter; that of a subquery does.
            guard let list = group(tokens, place + 1) else { return false }
            return !tokens[list].contains { $0.isWord("select") || $0.isWord("values") || $0.isWord("with") }
        default: return false
        }
    }

    private static func isBetweenConstants(_ tokens: [SQLText.Token], _ place: Int) -> Bool {
        guard hasNoAffinity(tokens, place) else { return false }
        var depth = 0
        for index in place..<tokens.count {
            if tokens[index].isSymbol("(") { depth += 1 }
            if tokens[index].isSymbol(")") { depth -= 1 }
            guard depth >= 0, !tokens[index].isWord("between") else { return false }
            if depth == 0, tokens[index].isWord("and") { return hasNoAffinity(tokens, index + 1) }
        }
        return false
    }

    private static let comparisons: Set<String> = ["=", "==", "<", "<=", ">", ">=", "<>", "!="]

    /// The place behind `=` and its like, or IS, IS NOT, IS NOT DISTINCT FROM; `nil` where none begins at a place.
    private static func behindComparison(_ tokens: [SQLText.Token], _ place: Int) -> Int? {
        var end = place
        if tokens[place].isWord("is") {
            end += 1
            if end < tokens.count, tokens[end].isWord("not") { end += 1 }
            if end + 1 < tokens.count, tokens[end].isWord("distinct"), tokens[end + 1].isWord("from") { end += 2 }
            return end
        }
        var text = ""
        while end < tokens.count, tokens[end].kind == .symbol, "<>=!".contains(tokens[end].value) {
            text += tokens[end].value
            end += 1
        }
        return comparisons.contains(text) ? end : nil
    }

    /// The last token before a comparison that ends before a place.
    private static func beforeComparison(_ tokens: [SQLText.Token], _ place: Int) -> Int? {
        for length in 1...4 where place - length > 0 && behindComparison(tokens, place - length) == place {
            let before = tokens[place - length - 1]
            if before.kind == .symbol, "<>=!".contains(before.value) { continue }
            return place - length - 1
        }
        return nil
    }

    // MARK: Without affinity

    /// Whether an expression that begins at a place begins with a value, a call or a bracket without any column in it. Whatever operator follows, the
    /// whole has no affinity then.
    private static func hasNoAffinity(_ tokens: [SQLText.Token], _ start: Int) -> Bool {
        var place = start
        while place < tokens.count, tokens[place].isSymbol("-") || tokens[place].isSymbol("+") { place += 1 }
        guard place < tokens.count else { return false }
        if isValue(tokens, place) || call(tokens, place) != nil { return true }
        let isCall = tokens[place].kind == .word && place + 1 < tokens.count && tokens[place + 1].isSymbol("(")
        guard isCall || tokens[place].isSymbol("("), let group = group(tokens, isCall ? place + 1 : place) else { return false }
        return (place...(group.upperBound)).allSatisfy { index in
            switch tokens[index].kind {
            case .number, .text, .parameter, .symbol: true
            case .name: false
            case .word: isValue(tokens, index) || isFunction(tokens, index)
            }
        }
    }

    private static func isFunction(_ tokens: [SQLText.Token], _ place: Int) -> Bool {
        guard place + 1 < tokens.count, tokens[place + 1].isSymbol("(") else { return false }
        return !["cast", "in", "exists", "and", "or", "not", "from", "select", "values"].contains(tokens[place].value.lowercased())
    }

    /// A number, a text, a parameter, NULL, TRUE or FALSE, or the first token of a BLOB.
    private static func isValue(_ tokens: [SQLText.Token], _ place: Int) -> Bool {
        let token = tokens[place]
        switch token.kind {
        case .number, .text, .parameter: return true
        case .name, .symbol: return false
        case .word:
            let isBlob = token.isWord("x") && place + 1 < tokens.count && tokens[place + 1].kind == .text
            return isBlob || token.isWord("null") || token.isWord("true") || token.isWord("false")
        }
    }

    /// Where a value or a call on attributes begins that ends at a place; with its sign.
    private static func constant(_ tokens: [SQLText.Token], endingAt end: Int) -> Int? {
        if let start = [end - 5, end - 7].first(where: { $0 >= 0 && call(tokens, $0)?.last == end }) { return start }
        guard isValue(tokens, end) else { return nil }
        let isBlob = tokens[end].kind == .text && end > 0 && tokens[end - 1].isWord("x")
        var start = isBlob ? end - 1 : end
        if start > 1, tokens[start - 1].isSymbol("-"), beginsOperand(tokens, start - 1) { start -= 1 }
        return start
    }

    /// What stands between the bracket at a place and the one that closes it, that one included.
    private static func group(_ tokens: [SQLText.Token], _ opening: Int) -> ClosedRange<Int>? {
        guard opening < tokens.count, tokens[opening].isSymbol("(") else { return nil }
        var depth = 0
        for index in opening..<tokens.count {
            if tokens[index].isSymbol("(") { depth += 1 }
            if tokens[index].isSymbol(")") { depth -= 1 }
            if depth == 0 { return (opening + 1)...index }
        }
        return nil
    }
}
