import ArgumentParser
import Queries
import TelemetryModel

/// `fusebox tail`: spans as they are committed.
struct Tail: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follow spans as they are committed; Ctrl+C ends it.",
        discussion: """
            It reads the data file beside the server, and costs the server nothing. A narrow terminal shows no trace ids; --json has all.
            """)

    private static let pause = Duration.milliseconds(250)

    @OptionGroup var common: CommonOptions
    @OptionGroup var filter: SpanFilterOptions

    @Option(name: .shortAndLong, help: "End after this many spans.")
    var count: Int?

    @Flag(help: "One JSON object a line.")
    var json = false

    private static let columns = [
        "trace_id", "span_id", "service_name", "name", "duration_ns", "outcome", "status_code", "end_time_unix_nano",
    ]

    mutating func run() async throws {
        let questions = try StoreQuestions(common)
        let condition = try filter.criteria.condition
        var cursor = try questions.ask { try TailReading.end($0) }
        var left = count ?? .max
        let isTerminal = Terminal.isTerminal(.standardOutput)
        let width = Terminal.columns ?? .max
        var objects = SQLRowWriter(format: .jsonl, escapes: isTerminal, columns: Self.columns)
        if isTerminal { Terminal.write("waiting for spans…\n", to: .standardError) }
        while left > 0 {
            let news = try questions.ask {
                try TailReading.rows(Self.columns.joined(separator: ", "), after: cursor, matching: condition, $0)
            }
            cursor = news.cursor
            if news.skipped > 0 { Terminal.error("\(news.skipped) spans more came than are shown; narrow it with a filter") }
            for row in news.rows.reversed().prefix(left) {
                if json { objects.write(row.map(\.sqlValue)) } else { Terminal.write(Self.line(row, width: width)) }
            }
            left -= min(left, news.rows.count)
            if left > 0 { try await Task.sleep(for: Self.pause) }
        }
    }

    /// All columns of a line, with a name of 32 characters.
    private static let lineWidth = 122
    /// Without the trace id.
    private static let shortLineWidth = lineWidth - 34

    /// One span; the name gives way on a narrower terminal, and the trace id on one where a name could not be read beside it.
    private static func line(_ row: [QueryValue], width: Int) -> String {
        func padded(_ text: String, _ width: Int) -> String {
            let text = Terminal.escaped(text)
            return text.count > width ? text.prefix(width - 1) + "…" : text + String(repeating: " ", count: width - text.count)
        }
        let time = TimeText.iso8601(unixNano: row[7].integer ?? 0).dropFirst(11)
        let mark = row[5].text.flatMap { $0 == "ok" ? nil : $0 } ?? (row[6].integer == 2 ? "error" : "")
        let took = row[4].integer.map(DurationText.short) ?? "not ended"
        let hasID = width >= lineWidth - 14
        let name = min(32, max(12, 32 - (hasID ? lineWidth : shortLineWidth) + width))
        let line =
            "\(time)  \(padded(row[2].text ?? "", 18))  \(padded(row[3].text ?? "", name))  \(padded(took, 9))  \(padded(mark, 8))"
        return line + (hasID ? "  \(row[0].text ?? "")\n" : "\n")
    }
}
