package import TelemetryModel

/// The time that a report is about, [from, until) by the end of spans, and a condition on them.
package struct ReportWindow: Equatable, Sendable {
    /// Nanoseconds since 1970.
    package var fromUnixNano: Int64
    package var untilUnixNano: Int64
    /// An SQL condition over the columns of `spans` that every counted span meets; `nil` for none.
    package var condition: String?

    package init(fromUnixNano: Int64, untilUnixNano: Int64, condition: String? = nil) {
        self.fromUnixNano = max(0, fromUnixNano)
        self.untilUnixNano = untilUnixNano
        self.condition = condition
    }

    package var nanoseconds: Int64 { max(0, untilUnixNano.subtractingSaturated(fromUnixNano)) }

    package var hours: Double { Double(nanoseconds) / 3.6e12 }

    package var json: JSONValue {
        [
            "from_unix_nano": .integer(fromUnixNano), "until_unix_nano": .integer(untilUnixNano),
            "from": .string(TimeText.iso8601(unixNano: fromUnixNano)), "until": .string(TimeText.iso8601(unixNano: untilUnixNano)),
            "where": .optional(condition),
        ]
    }

    /// For people: the times, and the condition.
    package var text: String {
        (fromUnixNano == 0 ? "everything up to " : "\(TimeText.iso8601(unixNano: fromUnixNano)) to ")
            + "\(TimeText.iso8601(unixNano: untilUnixNano))"
            + (condition.map { ", where \($0)" } ?? "")
    }
}
