package import TelemetryModel

/// A report as a value: sections of rows, in the order in which they are read. The command line and the API write the same one.
package struct ReportDocument: Sendable {
    /// What the report is, such as `cost`.
    package var name: String
    package var window: ReportWindow
    /// One line above the sections; empty for none.
    package var summary = ""
    package var sections: [ReportSection] = []
    /// What the exit code is made of; `nil` for a report that judges nothing.
    package var verdict: Verdict?

    package init(name: String, window: ReportWindow) {
        self.name = name
        self.window = window
    }

    /// How a report that judges ends. Raw values are the exit codes.
    package enum Verdict: Int, Sendable {
        case passed = 0
        case failed = 1
        case insufficient = 3
        case integrity = 4

        package var word: String {
            switch self {
            case .passed: "passed"
            case .failed: "failed"
            case .insufficient: "insufficient data"
            case .integrity: "integrity"
            }
        }

        /// The one that counts of several: integrity, then insufficient data, then failure.
        package static func worst(_ verdicts: [Verdict]) -> Verdict {
            for verdict in [Verdict.integrity, .insufficient, .failed] where verdicts.contains(verdict) { return verdict }
            return .passed
        }
    }
}

/// A table of a report, and the queries that give its figures.
package struct ReportSection: Sendable {
    /// A word for programs, such as `tools`.
    package var key: String
    package var title: String
    /// Sentences under the table: what it leaves out, what a figure means.
    package var notes: [String] = []
    package var columns: [String]
    package var rows: [[ReportValue]] = []
    package var queries: [ReportQuery] = []

    package init(key: String, title: String, columns: [String]) {
        self.key = key
        self.title = title
        self.columns = columns
    }
}

/// A query that `fusebox sql` answers with the figures of a section.
package struct ReportQuery: Equatable, Sendable {
    /// Which figures it gives.
    package var title: String
    package var sql: String

    package init(_ title: String, _ sql: String) {
        self.title = title
        self.sql = sql
    }
}

/// A figure, or a word.
package enum ReportValue: Equatable, Sendable {
    case none
    case text(String)
    case count(Int64)
    /// Nanoseconds, shown as milliseconds.
    case milliseconds(Int64)
    /// Seconds.
    case seconds(Double)
    case dollars(Double)
    /// Any other number; shown with up to this many digits behind the point.
    case number(Double, digits: Int)
    case bytes(Int64)

    package static func optional(_ text: String?) -> ReportValue { text.map { .text($0) } ?? .none }

    package static func optional(dollars: Double?) -> ReportValue { dollars.map { .dollars($0) } ?? .none }

    package static func optional(milliseconds: Int64?) -> ReportValue { milliseconds.map { .milliseconds($0) } ?? .none }

    /// The figure in JSON, whole.
    package var json: JSONValue {
        switch self {
        case .none: .null
        case .text(let text): .string(text)
        case .count(let count), .bytes(let count): .integer(count)
        case .milliseconds(let nanoseconds): .double(Double(nanoseconds) / 1e6)
        case .seconds(let number), .dollars(let number), .number(let number, _): .double(number)
        }
    }

    /// The figure for people.
    package var text: String {
        switch self {
        case .none: "–"
        case .text(let text): text
        case .count(let count): "\(count)"
        case .bytes(let bytes): Self.sized(bytes)
        case .milliseconds(let nanoseconds):
            DecimalText.rounded(Double(nanoseconds) / 1e6, digits: nanoseconds.magnitude < 10_000_000 ? 3 : 1)
        case .seconds(let seconds): DecimalText.rounded(seconds, digits: 3)
        case .dollars(let dollars): DecimalText.rounded(dollars, digits: 4)
        case .number(let number, let digits): DecimalText.rounded(number, digits: digits)
        }
    }

    package var isNumber: Bool {
        switch self {
        case .text: false
        case .none, .count, .milliseconds, .seconds, .dollars, .number, .bytes: true
        }
    }

    private static func sized(_ bytes: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024 && unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return DecimalText.rounded(value, digits: unit == 0 ? 0 : 1) + " " + units[unit]
    }
}

/// Numbers as people read them.
package enum DecimalText {
    /// Rounded half away from zero, zeros behind the point dropped. What is too large for exact digits is shown as it is.
    package static func rounded(_ value: Double, digits: Int) -> String {
        guard value.isFinite else { return "–" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value * scale).rounded()
        guard abs(scaled) < 9e15 else { return JSONValue.double(value).line }
        let whole = Int64(scaled.magnitude)
        let divisor = Int64(scale)
        var fraction = String(whole % divisor)
        fraction = String(repeating: "0", count: max(0, digits - fraction.count)) + fraction
        while fraction.hasSuffix("0") { fraction.removeLast() }
        let sign = scaled < 0 ? "-" : ""
        return sign + "\(whole / divisor)" + (fraction.isEmpty || digits == 0 ? "" : "." + fraction)
    }
}
