import ArgumentParser
import Queries
import TelemetryModel

/// `fusebox tools`: every tool with its calls, timeouts and latency.
struct Tools: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show every tool: calls, timeouts, errors, latency; those with timeouts first.")

    @OptionGroup var common: CommonOptions
    @OptionGroup var engine: EngineOptions

    @Option(help: "Only what began since: an age such as 15m, or a time such as 2026-11-21T10:00:00Z.", transform: TimeArgument.init)
    var since: TimeArgument?

    @Option(help: "Only what began before: an age or a time.", transform: TimeArgument.init)
    var until: TimeArgument?

    @Option(help: "Only tools of this service.")
    var service: String?

    @Option(help: "\(SQLFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: SQLFormat = .table

    mutating func run() async throws {
        let now = Clock.unixNano()
        let window = try TimeArgument.window(since: since, until: until, nowUnixNano: now)
        let found = try StoreQuestions(common, engine).ask(of: .window(window)) { try ToolBoard.rows(window, service: service, $0) }
        var rows = SQLRowWriter(
            format: format, escapes: Terminal.isTerminal(.standardOutput),
            columns: [
                "service_name", "tool_name", "stage", "calls", "ok", "errors", "timeouts", "rejected", "p50_ms", "p95_ms",
                "max_ms", "last",
            ],
            fit: .terminal(optional: ["last", "ok", "max_ms", "rejected", "stage"]))
        for row in found.prefix(Boards.rowsMax) {
            var values = row.prefix(8).map(\.sqlValue)
            for column in 8...10 { values.append(row[column].integer.map { .double(Double($0 / 1000) / 1000) } ?? .null) }
            values.append(row[11].integer.map { .text(TimeText.iso8601(unixNano: $0)) } ?? .null)
            rows.write(values)
        }
        rows.finish()
        if found.count > Boards.rowsMax { Terminal.error("there are more tools than the \(Boards.rowsMax) shown; --service shows one's") }
    }
}
