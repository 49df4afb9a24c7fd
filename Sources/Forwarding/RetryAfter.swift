import TelemetryModel

/// The header `Retry-After`, in both of its forms.
enum RetryAfter {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Nanoseconds from now on; `nil` for what is neither a number of seconds nor a date. A date that has passed is 0.
    static func nanoseconds(_ text: String?, nowUnixNano: Int64) -> Int64? {
        guard let words = text?.split(separator: " "), let first = words.first else { return nil }
        if words.count == 1, first.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return (Int64(first) ?? .max).multipliedSaturated(by: 1_000_000_000)
        }
        // `Sun, 06 Nov 1994 08:49:37 GMT`; the two older forms of dates are not sent any more.
        guard words.count == 6, words[1].utf8.count == 2, let month = months.firstIndex(of: String(words[2])), words[5] == "GMT",
            let date = TimeText.unixNano(
                iso8601: "\(words[3])-\(month < 9 ? "0" : "")\(month + 1)-\(words[1])T\(words[4])Z")
        else { return nil }
        return max(0, date.subtractingSaturated(nowUnixNano))
    }
}
