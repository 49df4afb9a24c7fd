import TelemetryModel

/// Puts what SQLite cannot hand down to a virtual table into a form that it can.
///
/// `attr(attributes, 'key')` becomes a hidden column of `spans`, so that conditions on it skip segments and rows and only that
/// attribute's column is read. Only plain statements are rewritten: with one SELECT, where a name can mean nothing but a column of
/// `spans`.
package enum QueryRewriter {
    package struct Rewritten: Equatable {
        package var text: String
        /// Keys of the attributes whose columns the text names.
        package var attributes: [String]
    }

    /// The statement in its other form; `nil` when it has none.
    package static func rewrite(_ statement: String) -> Rewritten? {
        let bytes = Array(statement.utf8)
        guard let tokens = SQLText.tokens(bytes) else { return nil }
        guard tokens.filter({ $0.isWord("select") }).count == 1, !tokens.contains(where: { $0.isWord("with") }),
            tokens.contains(where: { $0.isWord("spans") || $0.kind == .name && $0.value.lowercased() == "spans" })
        else { return nil }
        var text: [UInt8] = []
        var attributes: [String] = []
        var copied = 0
        var index = 0
        while index < tokens.count {
            guard let call = call(tokens, index) else {
                index += 1
                continue
            }
            text.append(contentsOf: bytes[copied..<tokens[index].range.lowerBound])
            if let table = call.table {
                text.append(contentsOf: bytes[table.range])
                text.append(UInt8(ascii: "."))
            }
            text.append(contentsOf: SQLText.quoted(SpansColumn.attributeName(call.key)).utf8)
            if !attributes.contains(where: call.key.isExactly) { attributes.append(call.key) }
            copied = tokens[call.last].range.upperBound
            index = call.last + 1
        }
        guard !attributes.isEmpty else { return nil }
        text.append(contentsOf: bytes[copied...])
        return Rewritten(text: String(decoding: text, as: UTF8.self), attributes: attributes)
    }

    /// `attr ( [table .] attributes , 'key' )` at a place in the tokens.
    private static func call(_ tokens: [SQLText.Token], _ start: Int) -> (table: SQLText.Token?, key: String, last: Int)? {
        guard tokens[start].isWord("attr"), start + 5 < tokens.count, tokens[start + 1].isSymbol("(") else { return nil }
        var index = start + 2
        var table: SQLText.Token?
        if tokens[index + 1].isSymbol(".") {
            table = tokens[index]
            index += 2
        }
        guard index + 3 < tokens.count, tokens[index].isWord("attributes"), tokens[index + 1].isSymbol(","),
            tokens[index + 2].kind == .text, tokens[index + 3].isSymbol(")"), !tokens[index + 2].value.contains("\0")
        else { return nil }
        return (table, tokens[index + 2].value, index + 3)
    }
}
