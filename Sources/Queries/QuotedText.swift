/// Escapes in the quoted texts of Grafana's query languages, which are those of Go.
enum QuotedText {
    /// The character that an escape stands for; `nil` at the end of the query. What has no meaning of its own stands for itself.
    ///
    /// - Parameter take: takes the next character behind the backslash.
    static func escaped(_ take: () -> Character?) throws(QueryError) -> Character? {
        guard let first = take() else { return nil }
        switch first {
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case "a": return "\u{07}"
        case "b": return "\u{08}"
        case "f": return "\u{0C}"
        case "v": return "\u{0B}"
        case "x": return try character(of: 2, "\\x41", upTo: 0x7F, take)
        case "u": return try character(of: 4, "\\u00e9", take)
        case "U": return try character(of: 8, "\\U0001f600", take)
        default: return first
        }
    }

    private static func character(
        of digits: Int, _ example: String, upTo last: UInt32 = .max, _ take: () -> Character?
    ) throws(QueryError) -> Character {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = take()?.hexDigitValue else {
                throw .invalid("an escape in a string of the query must have \(digits) hexadecimal digits, as \(example) has")
            }
            value = value << 4 | UInt32(digit)
        }
        guard value <= last, let scalar = Unicode.Scalar(value) else {
            throw .invalid("an escape in a string of the query names no character: write one beyond ASCII as \\u00e9 or as \\U0001f600")
        }
        return Character(scalar)
    }
}
