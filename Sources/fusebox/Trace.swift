import ArgumentParser
import Foundation
import Queries
import TelemetryModel

/// `fusebox trace ID`: one trace as a waterfall.
struct Trace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show one trace as a waterfall.",
        discussion: """
            The drawing is as wide as the terminal; colours come only on one, and never with NO_COLOR set. The figures in percent say how \
            much of the trace's duration each span is responsible for: its own time on the critical path.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var engine: EngineOptions

    @Argument(help: "The trace's id; leading zeros may be left out.")
    var id: String

    @Option(help: "Columns; without it the terminal's, or 100.")
    var width: Int?

    @Flag(help: "The trace as JSON, with all attributes.")
    var json = false

    @Flag(help: "What models were told and said, as messages.")
    var messages = false

    func validate() throws {
        if let width, !(40...1000).contains(width) { throw ValidationError("--width takes 40 to 1000") }
    }

    mutating func run() async throws {
        let questions = try StoreQuestions(common, engine)
        let trace = try Self.find(id, questions)
        if messages {
            let conversation = try questions.ask(of: .trace(trace.hexadecimal)) { try ConversationReading.conversation(ofTrace: trace, $0) }
            return Terminal.write(ConversationLines(width: width ?? Terminal.columns ?? 100).text(conversation))
        }
        if json {
            let bytes = try questions.ask(of: .trace(trace.hexadecimal)) { reader in
                var writer = JSONWriter()
                try TraceReading.write(trace, attributes: true, reader, into: &writer)
                return writer.bytes
            }
            let text = String(decoding: bytes, as: UTF8.self)
            return Terminal.write((Terminal.isTerminal(.standardOutput) ? Terminal.escapedJSON(text) : text) + "\n")
        }
        let (rows, count, path) = try questions.ask(of: .trace(trace.hexadecimal)) { reader in
            let rows = try reader.rows(
                """
                SELECT span_id, parent_span_id, name, start_time_unix_nano, end_time_unix_nano, duration_ns, stage, outcome,
                    status_code, tokens, service_name, tool_name, kind
                FROM spans WHERE trace_id = ?1 ORDER BY start_time_unix_nano, rowid LIMIT \(TraceReading.spansMax)
                """, [.text(trace.hexadecimal)])
            return (rows, try TraceReading.count(trace, reader), try TraceReading.criticalPath(trace, reader))
        }
        guard !rows.isEmpty else { throw CommandFailure(.failed, TraceReading.notFound(trace).message) }
        let hasColours = Terminal.isTerminal(.standardOutput) && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
        let drawing = WaterfallText(
            rows.map(WaterfallText.Span.init), of: count, path: path, width: width ?? Terminal.columns ?? 100, hasColours: hasColours)
        Terminal.write(drawing.text(traceID: trace.hexadecimal))
    }

    /// The trace that is meant: by its id, by how it begins, or by the id of one of its spans.
    private static func find(_ text: String, _ questions: StoreQuestions) throws -> TraceID {
        guard let digits = IdentityFind.digits(text) else {
            throw CommandFailure(
                .usage, "'\(Terminal.escaped(text))' is not an id: \(IdentityFind.digitsMin) to 32 hexadecimal digits")
        }
        let found = try questions.ask(of: .identity(digits)) { try IdentityFind.find(digits, $0) }
        let ids = Set(found.map(\.traceID))
        guard ids.count < 2 else {
            throw CommandFailure(.usage, "\(ids.count) traces begin with '\(digits)': \(ids.sorted().prefix(5).joined(separator: ", "))")
        }
        guard let id = ids.first.flatMap({ TraceID(hexadecimal: $0) }) else {
            throw CommandFailure(.failed, "no trace or span begins with '\(digits)'; it may have been pruned, or not arrived yet")
        }
        return id
    }
}
