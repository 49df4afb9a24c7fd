import TelemetryModel

/// Ids as the field writes them.
enum EvalIdentifier {
    /// 32 hexadecimal digits, with `tr-` or `0x` before them, or as a UUID.
    static func trace(_ text: String) -> TraceID? {
        guard let trace = TraceID(hexadecimal: digits(text)), trace.isValid else { return nil }
        return trace
    }

    /// 16 hexadecimal digits, with `0x` before them or not.
    static func span(_ text: String) -> SpanID? {
        guard let span = SpanID(hexadecimal: digits(text)), span.isValid else { return nil }
        return span
    }

    static func uuid(_ text: String) -> TraceID? {
        guard text.utf8.count == 36, text.filter({ $0 == "-" }).count == 4 else { return nil }
        return trace(text)
    }

    private static func digits(_ text: String) -> String {
        var text = text.lowercased()
        for prefix in ["tr-", "0x"] where text.hasPrefix(prefix) { text = String(text.dropFirst(prefix.count)) }
        return text.filter { $0 != "-" }
    }
}

/// Times as the field writes them.
enum EvalTime {
    /// ISO 8601 with or without a zone, or a number of seconds, milliseconds, microseconds or nanoseconds, told by its size.
    static func unixNano(_ value: JSONValue) -> Int64? {
        switch value {
        case .integer(let integer): return scaled(Double(integer), exact: integer)
        case .double, .digits: return value.number.flatMap { $0.isFinite ? scaled($0, exact: nil) : nil }
        case .string(let text):
            if let integer = Int64(text) { return scaled(Double(integer), exact: integer) }
            if let double = Double(decimal: text), double.isFinite { return scaled(double, exact: nil) }
            return TimeText.unixNano(iso8601: text)
        case .null, .bool, .array, .object: return nil
        }
    }

    /// Seconds have up to 11 digits until the year 5138.
    private static func scaled(_ value: Double, exact: Int64?) -> Int64? {
        guard value > 0, value < 9.2e18 else { return nil }
        let factor: Int64 = value < 1e11 ? 1_000_000_000 : value < 1e14 ? 1_000_000 : value < 1e17 ? 1000 : 1
        if let exact {
            let (time, overflow) = exact.multipliedReportingOverflow(by: factor)
            return overflow ? nil : time
        }
        return Int64(exactly: (value * Double(factor)).rounded())
    }
}
