import ArgumentParser
import Queries
import TelemetryModel

/// `fusebox session`: a conversation as messages.
struct Session: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a conversation: what models were told and said, and the tools in between.",
        discussion: """
            Each message is shown once, though every call to a model repeats the conversation so far. `fusebox trace ID --messages` shows \
            one trace's. Sessions are listed by `fusebox sql 'SELECT session_id FROM sessions'`.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var engine: EngineOptions

    @Argument(help: "The session's id.")
    var id: String

    @Flag(help: "As JSON, as /api/session/messages gives it.")
    var json = false

    @Option(help: "Columns; the terminal's without it.")
    var width: Int?

    func validate() throws {
        if let width, !(40...1000).contains(width) { throw ValidationError("--width takes 40 to 1000") }
    }

    mutating func run() throws {
        let questions = try StoreQuestions(common, engine)
        let (id, json) = (id, json)
        if json {
            let bytes = try questions.ask(of: .session(id)) { reader in
                var writer = JSONWriter()
                try ConversationReading.write(session: id, reader, into: &writer)
                return writer.bytes
            }
            let text = String(decoding: bytes, as: UTF8.self)
            return Terminal.write((Terminal.isTerminal(.standardOutput) ? Terminal.escapedJSON(text) : text) + "\n")
        }
        let conversation = try questions.ask(of: .session(id)) { try ConversationReading.conversation(ofSession: id, $0) }
        Terminal.write(ConversationLines(width: width ?? Terminal.columns ?? 100).text(conversation))
    }
}
