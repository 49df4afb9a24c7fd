import TelemetryModel

/// Puts what SQLite cannot hand down to a virtual table into a form that it can.
///
/// `attr(attributes, 'key')`, like `attr_type`, becomes a hidden column of `spans`, so that conditions on it skip segments and rows and only that
/// attribute's column is read. What is compared stays the same (`comparesAlike`). It is rewritten where the name can mean nothing but a column of `spans`: in a statement with one SELECT, or
/// in a SELECT whose FROM says so.
package enum QueryRewriter {
    package struct Rewritten: Equatable {
        package var text: String
        /// The columns that the text names.
        package var attributes: [AttributeColumn]
    }

    /// The statement in its other form; `nil` when it has none.
    package static func rewrite(_ statement: String) -> Rewritten? {
        let bytes = Array(statement.utf8)
        guard let tokens = SQLText.tokens(bytes), tokens.count <= SQLText.rewrittenTokensMax else { return nil }
        guard tokens.contains(where: isSpans), !GroupingRewriter.hidesSource(tokens, [GroupingSource.spans.name: .spans]),
            !tokens.contains(where: mayNameCall)
        else { return nil }
        let isPlain = tokens.count { $0.isWord("select") } == 1 && !tokens.contains { $0.isWord("with") }
        var text: [UInt8] = []
        var attributes: [AttributeColumn] = []
        var copied = 0
        var index = 0
        while index < tokens.count {
            guard let call = call(tokens, index), isPlain || isOfSpans(tokens, index, call.table) else {
                index += 1
                continue
            }
            text.append(contentsOf: bytes[copied..<tokens[index].range.lowerBound])
            if !comparesAlike(tokens, index...call.last) { text.append(contentsOf: " +".utf8) }
            if let table = call.table {
                text.append(contentsOf: bytes[table.range])
                text.append(UInt8(ascii: "."))
            }
            text.append(contentsOf: SQLText.quoted(call.column.name).utf8)
            if !attributes.contains(call.column) { attributes.append(call.column) }
            copied = tokens[call.last].range.upperBound
            index = call.last + 1
        }
        guard !attributes.isEmpty else { return nil }
        text.append(contentsOf: bytes[copied...])
        return Rewritten(text: String(decoding: text, as: UTF8.self), attributes: attributes)
    }

    /// `attr ( [table .] attributes , 'key' )`, or the same of `attr_type`, at a place in the tokens.
    static func call(_ tokens: [SQLText.Token], _ start: Int) -> (table: SQLText.Token?, column: AttributeColumn, last: Int)? {
        guard let name = AttributeColumn.Call.allCases.first(where: { tokens[start].isWord($0.rawValue) }), start + 5 < tokens.count, tokens[start + 1].isSymbol("(") else { return nil }
        var index = start + 2
        var table: SQLText.Token?
        if tokens[index + 1].isSymbol(".") {
            table = tokens[index]
            index += 2
        }
        guard index + 3 < tokens.count, tokens[index].isWord("attributes"), tokens[index + 1].isSymbol(","),
            tokens[index + 2].kind == .text, tokens[index + 3].isSymbol(")"), !tokens[index + 2].value.contains("\0")
        else { return nil }
        return (table, AttributeColumn(tokens[index + 2].value, name), index + 3)
    }

    private static func isSpans(_ token: SQLText.Token) -> Bool {
        token.isWord("spans") || token.kind == .name && token.value.lowercased() == "spans"
    }

    /// Whether a token may be the name of a column that is named by the text of a call, which would have another name in the other form.
    private static func mayNameCall(_ token: SQLText.Token) -> Bool {
        token.isWord("natural") || token.kind == .name && token.value.contains("(") && token.value.lowercased().contains("attr")
    }

    /// Words that end a FROM.
    private static let ends: Set<String> = ["where", "group", "having", "order", "limit", "window", "union", "except", "intersect"]

    /// Whether `attributes`, or `table.attributes`, is that of `spans` in the SELECT that a place stands in.
    private static func isOfSpans(_ tokens: [SQLText.Token], _ place: Int, _ table: SQLText.Token?) -> Bool {
        guard let from = from(tokens, place) else { return false }
        var names: [String] = []
        var depth = 0
        for (offset, token) in tokens[from].enumerated() {
            if token.isSymbol("(") { depth += 1 }
            if token.isSymbol(")") { depth -= 1 }
            guard depth == 0, isSpans(token) else { continue }
            var next = from.lowerBound + offset + 1
            if next < from.upperBound, tokens[next].isWord("as") { next += 1 }
            let hasName = next < from.upperBound && (tokens[next].kind == .name || tokens[next].kind == .word && !joins.contains(tokens[next].value.lowercased()))
            names.append(hasName ? tokens[next].value.lowercased() : "spans")
        }
        if let table { return names.contains(table.value.lowercased()) }
        // Alone in its FROM.
        return names.count == 1 && from.count <= 3 && isSpans(tokens[from.lowerBound])
    }

    private static let joins: Set<String> = ["join", "left", "right", "full", "inner", "outer", "cross", "natural", "on", "using", "indexed", "not"]

    /// The tokens behind the FROM of the innermost SELECT around a place.
    private static func from(_ tokens: [SQLText.Token], _ place: Int) -> Range<Int>? {
        var depth = 0
        guard
            let select = tokens[..<place].indices.reversed().first(where: { index in
                if tokens[index].isSymbol(")") { depth += 1 }
                if tokens[index].isSymbol("("), depth > 0 { depth -= 1 }
                return depth == 0 && tokens[index].isWord("select")
            })
        else { return nil }
        depth = 0
        var start: Int?
        for index in (select + 1)..<tokens.count {
            if tokens[index].isSymbol("(") { depth += 1 }
            if tokens[index].isSymbol(")") { depth -= 1 }
            let isEnd = depth < 0 || depth == 0 && (tokens[index].isSymbol(";") || ends.contains(tokens[index].value.lowercased()))
            if isEnd { return start.map { $0..<index } }
            if depth == 0, tokens[index].isWord("from") { start = index + 1 }
        }
        return start.map { $0..<tokens.count }
    }
}
