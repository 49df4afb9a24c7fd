import ArgumentParser
import Queries
import SpanStore
import TelemetryModel

/// `fusebox traces`: traces by filters, newest first.
struct Traces: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List traces, newest first.",
        discussion: """
            A trace is listed when one of its spans meets every condition. Examples:
              fusebox traces --outcome timeout --tool web_search
              fusebox traces --since 1h --min-ms 5000 --format json
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var filter: SpanFilterOptions

    @Option(help: "Only what began in the last 15m, 6h, 7d, …")
    var since: Age?

    @Option(help: "Only traces that took at least this many milliseconds.")
    var minMs: Double?

    @Option(name: .shortAndLong, help: "Traces at most.")
    var limit = 20

    @Option(help: "\(SQLFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: SQLFormat = .table

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit takes 1 to 10000") }
        if let minMs, !(0...1e12).contains(minMs) { throw ValidationError("--min-ms takes a number of milliseconds") }
    }

    mutating func run() async throws {
        var search = TraceSearch()
        search.criteria = filter.criteria
        search.limit = limit
        search.scanSpansMax = .max
        if let since { search.from = Clock.unixNano() - since.nanoseconds }
        search.durationMinimum = minMs.map { Int64($0 * 1e6) }
        let answer = try StoreQuestions(common).ask { try search.run($0) }
        guard format == .table else { return writeAll(answer.traces) }
        var rows = SQLRowWriter(
            format: format, escapes: Terminal.isTerminal(.standardOutput),
            columns: ["began", "trace_id", "name", "service", "took", "spans", "timeouts", "errors", "tokens"],
            fit: .terminal(optional: ["tokens", "spans", "errors", "service", "timeouts"], whole: ["began", "trace_id", "took"]))
        for trace in answer.traces {
            rows.write([
                .text(Self.began(trace.startUnixNano)), .text(trace.traceID), .text(trace.name),
                .text(trace.service), .text(DurationText.short(trace.durationNanoseconds)), .integer(trace.spanCount),
                .integer(trace.timeoutCount), .integer(trace.errorCount), trace.tokens.map { .integer($0) } ?? .null,
            ])
        }
        rows.finish()
    }

    /// A narrower terminal shows `11-28 01:33:58` instead of the whole time.
    private static let wideColumns = 110

    private static func began(_ unixNano: Int64) -> String {
        let text = TimeText.iso8601(unixNano: unixNano)
        guard let columns = Terminal.columns, columns < wideColumns else { return text }
        return String(text.dropFirst(5).prefix(14)).replacing("T", with: " ")
    }

    private func writeAll(_ traces: [TraceSummary]) {
        let names = [
            "trace_id", "start_time_unix_nano", "end_time_unix_nano", "duration_ns", "service_name", "workflow_name", "name",
            "has_root", "root_status_code", "span_count", "error_count", "timeout_count", "tokens", "session_id", "eval_id",
        ]
        var rows = SQLRowWriter(format: format, escapes: Terminal.isTerminal(.standardOutput), columns: names)
        for trace in traces { rows.write(trace.fields.map(\.1.sqlValue)) }
        rows.finish()
    }
}

/// Durations as people read them.
enum DurationText {
    /// `12.3 ms`: three digits or so.
    static func short(_ nanoseconds: Int64) -> String {
        let value = Double(nanoseconds)
        switch nanoseconds {
        case ..<1000: return "\(nanoseconds) ns"
        case ..<1_000_000: return digits(value / 1e3) + " µs"
        case ..<999_500_000: return digits(value / 1e6) + " ms"
        case ..<120_000_000_000: return digits(value / 1e9) + " s"
        case ..<7_200_000_000_000: return digits(value / 60e9) + " min"
        default: return digits(value / 3600e9) + " h"
        }
    }

    private static func digits(_ value: Double) -> String {
        if value >= 100 { return "\(Int(value.rounded()))" }
        let scale = value >= 10 ? 10.0 : 100.0
        let rounded = (value * scale).rounded() / scale
        return Int(exactly: rounded).map { "\($0)" } ?? "\(rounded)"
    }
}
