import Conversations
import Queries
import TelemetryModel

/// `get_conversation`: what was said in a trace or a session, in its order, each message once.
enum ConversationTool {
    static let tool = Tool(
        name: "get_conversation", title: "A trace or session as a conversation",
        purpose: """
            Read what was said: system, user and assistant messages, tool calls with their arguments and what ran for them, results, turns that \
            failed with their error. Each message stands once, in the order of time. Give trace_id or session, not both.
            """,
        parameters: [
            Parameter("trace_id", .text, "One run; 32 hexadecimal digits."), Parameter("session", .text, "A conversation over several runs, by its id."),
            Parameter("offset", .integer(0...1_000_000), "Items to step over.", fallback: .integer(0)),
            Parameter.limit(30, max: 200, of: "Items"),
            Parameter("text_max", .integer(100...10_000), "Characters of each text.", fallback: .integer(1500)),
        ],
        output: AnswerSchema.object([
            (
                "items",
                [
                    "type": "array", "items": ["type": "object"],
                    "description": "kind is message (role, parts), tool (a call without a message) or failure; span_id is for get_span.",
                ]
            ), ("tools_offered", ["type": "array", "items": ["type": "string"], "description": "Names of the tools that the model was offered."]),
            ("next_offset", AnswerSchema.nextOffset),
            ("incomplete", AnswerSchema.value("boolean", "Something was too large to be read; get_span has what is stored.")),
        ]),
        run: run)

    private static let toolNamesMax = 100

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let arguments = call.arguments
        let session = arguments.text("session")
        let id = try arguments.text("trace_id").map { _ in try arguments.traceID() }
        guard (session == nil) != (id == nil) else {
            throw QueryError.invalid("get_conversation needs either trace_id or session")
        }
        let (offset, limit) = (arguments.integer("offset"), arguments.integer("limit"))
        let textMax = arguments.integer("text_max")
        let need = id.map { SpanNeed.trace($0.hexadecimal) } ?? .session(session ?? "")
        return try await call.read(of: need) { reader in
            let conversation =
                if let id {
                    try ConversationReading.conversation(ofTrace: id, reader)
                } else {
                    try ConversationReading.conversation(ofSession: session ?? "", reader)
                }
            var limits = ConversationText.Limits()
            limits.mediaBytes = 0
            var text = ConversationText(limits: limits)
            var json = JSONWriter()
            json.raw("{")
            text.write(conversation, into: &json)
            json.raw("}")
            guard let value = try? JSONValue.parse(json.bytes[...], keepsDigits: true), case .array(let items)? = value["items"] else {
                throw QueryError.tooLarge("the conversation nests deeper than can be shown here; get_span has its spans")
            }
            var page = Page()
            for item in items.dropFirst(offset).prefix(limit) where !page.append(shown(item, textMax)) { break }
            let next = offset + page.rows.count
            return [
                "items": .array(page.rows),
                "tools_offered": .array(
                    conversation.tools.prefix(toolNamesMax).map { .string(ClippedText.of($0.name, max: 200)) }),
                "next_offset": next < items.count ? .integer(Int64(next)) : .null, "incomplete": .bool(value["truncated"] == .bool(true)),
            ]
        }
    }

    /// An item with its texts cut; where that is still too long, what it is and where the whole is.
    private static func shown(_ item: JSONValue, _ textMax: Int) -> JSONValue {
        for max in [textMax, textMax / 4, 50] {
            let cut = ClippedText.of(item, max: max)
            if cut.line.utf8.count <= Page.bytesMax / 2 { return cut }
        }
        let names = ["kind", "role", "trace_id", "span_id"]
        let kept = names.compactMap { name in item[name].map { JSONValue.Member(name, ClippedText.of($0, max: 200)) } }
        return .object(kept + [.init("omitted", "This item has too many parts to be shown; get_span has the span whole.")])
    }
}
