import TelemetryModel

/// Events and log records that are a message each.
struct RecordedMessage {
    var side: MessageDecoder.Side
    var value: JSONValue
    /// Of what has none of its own.
    var role: Role
    /// Whether it tells all of its side anew.
    var replaces = false

    /// The message that the record is; `nil` when it is something else.
    static func value(_ record: SpanContent.Record) -> RecordedMessage? {
        let own = record.attributes
        let name = record.name.isEmpty ? own.firstText("event.name") ?? "" : record.name
        switch name {
        case "gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message":
            let role = Role(name: String(name.dropFirst(7).dropLast(8)))
            return RecordedMessage(side: .input, value: withRole(content(record), role), role: role)
        case "gen_ai.choice":
            return RecordedMessage(side: .output, value: choice(content(record)), role: .assistant)
        case "gen_ai.content.prompt":
            return own.first("gen_ai.prompt").map { RecordedMessage(side: .input, value: $0, role: .user) }
        case "gen_ai.content.completion":
            return own.first("gen_ai.completion").map { RecordedMessage(side: .output, value: $0, role: .assistant) }
        case "LLMChatStartEvent", "LLMCompletionStartEvent":
            return llamaIndex(own, ["messages", "prompt"], "messages.", .input)
        case "LLMChatEndEvent", "LLMCompletionEndEvent":
            return llamaIndex(own, ["response.message", "response.text", "response"], "response.message.blocks.", .output)
        default: return codingAgent(name, own)
        }
    }

    /// The record's body when it is an object, else its attributes.
    private static func content(_ record: SpanContent.Record) -> JSONValue {
        let body = (record.body ?? .null).opened
        if case .object(let members) = body, !members.isEmpty { return body }
        if let text = body.text, !text.isEmpty, record.attributes["content"] == nil { return ["content": .string(text)] }
        return record.attributes
    }

    private static func withRole(_ value: JSONValue, _ role: Role) -> JSONValue {
        guard value["role"]?.text == nil, case .object(let members) = value else { return value }
        return .object(members.filter { $0.name != "role" } + [.init("role", .string(role.name))])
    }

    private static func choice(_ value: JSONValue) -> JSONValue {
        if let message = value["message"]?.opened {
            // A text where a message belongs.
            guard let text = message.text else {
                return ["message": withRole(message, .assistant), "finish_reason": value["finish_reason"] ?? .null]
            }
            return ["role": "assistant", "content": .string(text), "tool_calls": value["tool_calls"] ?? .null]
        }
        return withRole(value, .assistant)
    }

    private static func llamaIndex(
        _ own: JSONValue, _ names: [String], _ prefix: String, _ side: MessageDecoder.Side
    ) -> RecordedMessage? {
        if let list = NumberedKeys.value(prefix, in: own) {
            return RecordedMessage(side: side, value: list, role: side.role, replaces: true)
        }
        for name in names {
            if let value = own[name], !value.isEmpty {
                return RecordedMessage(side: side, value: value, role: side.role, replaces: true)
            }
        }
        return nil
    }

    /// What coding agents tell in log records: the prompt, and the answer where they are told to.
    private static func codingAgent(_ name: String, _ own: JSONValue) -> RecordedMessage? {
        if name.hasSuffix("user_prompt"), let text = own.firstText("prompt"), !text.hasPrefix("<REDACTED"), !text.hasPrefix("[REDACTED") {
            return RecordedMessage(side: .input, value: ["role": "user", "content": .string(text)], role: .user)
        }
        if name.hasSuffix("api_response"), let text = own.firstText("response_text") {
            return RecordedMessage(side: .output, value: .string(text), role: .assistant)
        }
        if name.hasSuffix("assistant_response"), let text = own.firstText("response", "content", "text") {
            return RecordedMessage(side: .output, value: ["role": "assistant", "content": .string(text)], role: .assistant)
        }
        return nil
    }
}
