import TelemetryModel

/// Turns attribute values into a column's type. What does not fit gives `nil`.
enum ColumnConversion {
    /// The longest text that an integer is read from.
    private static let digitsMax = 24

    static func integer(_ value: Double) -> Int64? {
        Int64(exactly: value)
    }

    static func integer(_ text: some Collection<UInt8>) -> Int64? {
        guard text.count <= digitsMax else { return nil }
        let string = trimmed(String(decoding: text, as: UTF8.self))
        if let value = Int64(string) { return value }
        return Double(decimal: string).flatMap(integer)
    }

    static func flag(_ text: some Collection<UInt8>) -> Int64? {
        FlagText.value(text).map { $0 ? 1 : 0 }
    }

    /// Seconds to nanoseconds; `nil` for what is negative, not a number, or more than 292 years.
    static func nanoseconds(seconds: Double) -> Int64? {
        guard seconds.isFinite, seconds >= 0, seconds < 9.2e9 else { return nil }
        return Int64((seconds * 1e9).rounded())
    }

    /// What the spellings of a breaker's state are folded to, the most frequent first.
    static let breakerStates = ["closed", "open", "half_open"]

    /// `closed`, `open` or `half_open` for their spellings in the field; other text lower-cased as it is.
    static func breakerState(_ text: String) -> String {
        let folded = trimmed(text).lowercased()
        switch folded {
        case "closed", "close": return "closed"
        case "open", "opened": return "open"
        case "half_open", "half-open", "halfopen", "half open", "half_opened": return "half_open"
        default: return folded
        }
    }

    /// Names that libraries give the exception of a call which an open breaker refused.
    static func isBreakerError(_ text: String) -> Bool {
        let name = text.lowercased()
        return [
            "circuitbreakeropen", "circuitbreakererror", "circuitbreakerexception", "circuitbreakeropenerror",
            "circuitbreakeropenexception", "callnotpermittedexception", "brokencircuitexception", "isolatedcircuitexception",
        ]
        .contains { name.hasSuffix($0) }
    }

    static func trimmed(_ text: String) -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" || $0 == "\r\n" }
        guard let first = text.first, let last = text.last, isBlank(first) || isBlank(last) else { return text }
        return String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}
