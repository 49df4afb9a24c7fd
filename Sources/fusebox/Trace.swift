import ArgumentParser
import Foundation
import Queries
import TelemetryModel

/// `fusebox trace ID`: one trace as a waterfall.
struct Trace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show one trace as a waterfall.",
        discussion: "The drawing is as wide as the terminal; colours come only on one, and never with NO_COLOR set.")

    @OptionGroup var common: CommonOptions

    @Argument(help: "The trace's id; leading zeros may be left out.")
    var id: String

    @Option(help: "Columns; without it the terminal's, or 100.")
    var width: Int?

    @Flag(help: "The trace as JSON, with all attributes.")
    var json = false

    func validate() throws {
        if let width, !(40...1000).contains(width) { throw ValidationError("--width takes 40 to 1000") }
    }

    mutating func run() async throws {
        guard let trace = TraceReading.traceID(id) else {
            throw CommandFailure(.usage, "'\(Terminal.escaped(id))' is no trace id: 32 hexadecimal digits")
        }
        let questions = try StoreQuestions(common)
        if json {
            let bytes = try questions.ask { reader in
                var writer = JSONWriter()
                try TraceReading.write(trace, attributes: true, reader, into: &writer)
                return writer.bytes
            }
            let text = String(decoding: bytes, as: UTF8.self)
            return Terminal.write((Terminal.isTerminal(.standardOutput) ? Terminal.escapedJSON(text) : text) + "\n")
        }
        let rows = try questions.ask { reader in
            try reader.rows(
                """
                SELECT span_id, parent_span_id, name, start_time_unix_nano, end_time_unix_nano, duration_ns, stage, outcome,
                    status_code, tokens, service_name, tool_name
                FROM spans WHERE trace_id = ?1 ORDER BY start_time_unix_nano, span_id LIMIT \(TraceReading.spansMax)
                """, [.text(trace.hexadecimal)])
        }
        guard !rows.isEmpty else { throw CommandFailure(.failed, TraceReading.notFound(trace).message) }
        let hasColours = Terminal.isTerminal(.standardOutput) && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
        let drawing = WaterfallText(
            rows.map(WaterfallText.Span.init), width: width ?? Terminal.columns ?? 100, hasColours: hasColours)
        Terminal.write(drawing.text(traceID: trace.hexadecimal))
    }
}
