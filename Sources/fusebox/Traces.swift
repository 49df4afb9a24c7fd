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
    @OptionGroup var engine: EngineOptions
    @OptionGroup var filter: SpanFilterOptions

    @Option(help: "Only what began since: an age such as 15m, or a time such as 2026-11-21T10:00:00Z.", transform: TimeArgument.init)
    var since: TimeArgument?

    @Option(help: "Only what began before: an age or a time.", transform: TimeArgument.init)
    var until: TimeArgument?

    @Option(help: "Minimum duration of the trace, in milliseconds.")
    var minMs: Double?

    @Option(help: "Maximum duration of the trace, in milliseconds.")
    var maxMs: Double?

    @Flag(help: "Only what still runs: a span that has not ended, or a root that is not stored.")
    var running = false

    @Option(name: .shortAndLong, help: "Traces at most.")
    var limit = 20

    @Option(help: "\(SQLFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: SQLFormat = .table

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit takes 1 to 10000") }
        for (name, value) in [("--min-ms", minMs), ("--max-ms", maxMs)] {
            if let value, TraceSearch.nanoseconds(milliseconds: value) == nil { throw ValidationError("\(name) takes a number of milliseconds") }
        }
    }

    mutating func run() async throws {
        var search = TraceSearch()
        search.criteria = try filter.criteria
        search.limits.isRunning = running
        search.limit = limit
        search.scanSpansMax = .max
        let now = Clock.unixNano()
        let window = try TimeArgument.window(since: since, until: until, nowUnixNano: now)
        if since != nil { search.from = window.from }
        if until != nil { search.to = window.to }
        search.limits.durationMinimum = minMs.flatMap(TraceSearch.nanoseconds(milliseconds:))
        search.limits.durationMaximum = maxMs.flatMap(TraceSearch.nanoseconds(milliseconds:))
        let answer = try StoreQuestions(common, engine).ask(of: search.need) { try search.run($0) }
        guard format == .table else { return writeAll(answer.traces) }
        var rows = SQLRowWriter(
            format: format, escapes: Terminal.isTerminal(.standardOutput),
            columns: ["start", "trace_id", "name", "service", "duration", "state", "spans", "timeouts", "errors", "tokens", "usd"],
            fit: .terminal(
                optional: ["service", "spans", "tokens", "usd", "errors", "timeouts", "state"], whole: ["start", "trace_id", "duration"]))
        for trace in answer.traces {
            rows.write([
                .text(Self.began(trace.startUnixNano)), .text(Self.shortID(trace.traceID)), .text(trace.name),
                .text(trace.service), .text(DurationText.short(trace.durationNanoseconds)), .text(Self.state(trace)), .integer(trace.spanCount),
                .integer(trace.timeoutCount), .integer(trace.errorCount), trace.spending.tokens.map { .integer($0) } ?? .null,
                trace.spending.dollarsText.map { .text($0) } ?? .null,
            ])
        }
        rows.finish()
    }

    private static func state(_ trace: TraceSummary) -> String {
        trace.openSpanCount > 0 ? "running" : !trace.hasRoot ? "no root" : trace.rootStatusCode == 2 ? "failed" : "ok"
    }

    /// A narrower terminal shows `11-28 01:33:58` instead of the whole time.
    private static let wideColumns = 110

    private static func began(_ unixNano: Int64) -> String {
        let text = TimeText.iso8601(unixNano: unixNano)
        guard let columns = Terminal.columns, columns < wideColumns else { return text }
        return String(text.dropFirst(5).prefix(14)).replacing("T", with: " ")
    }

    /// The first digits, which `fusebox trace` takes, where the whole would leave no room for the name.
    private static func shortID(_ id: String) -> String {
        guard let columns = Terminal.columns, columns < 150 else { return id }
        return String(id.prefix(12))
    }

    private func writeAll(_ traces: [TraceSummary]) {
        let names = TraceSummary.names
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
