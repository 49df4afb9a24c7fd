/// A user's condition, which goes into statements between brackets.
package enum UserCondition {
    /// Why a text cannot stand between brackets as one expression; `nil` where it can.
    ///
    /// Brackets that it closes without having opened them, a second statement, a comment or an open quote would change what stands around it.
    package static func problem(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        guard let tokens = SQLText.tokens(bytes), !bytes.contains(0) else { return "a quote is not closed" }
        guard !tokens.isEmpty else { return "nothing is left" }
        var end = 0
        var depth = 0
        for token in tokens {
            guard isSpace(bytes[end..<token.range.lowerBound]) else { return "a part is a comment" }
            end = token.range.upperBound
            if token.kind == .parameter { return "nothing gives the parameter \(token.value) a value" }
            if token.isSymbol(";") { return "a ; begins another statement" }
            if token.isSymbol("(") { depth += 1 }
            if token.isSymbol(")") { depth -= 1 }
            if depth < 0 { return "a bracket is closed that was not opened" }
        }
        guard isSpace(bytes[end...]) else { return "a part is a comment" }
        return depth == 0 ? nil : "a bracket is not closed"
    }

    private static func isSpace(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { [0x20, 0x09, 0x0A, 0x0C, 0x0D].contains($0) }
    }
}
