import TelemetryModel

/// Reads messages out of what frameworks put into one value: a message, a list of them, or the request or answer of a provider's API.
///
/// Forms that are told apart: OpenAI's chat and responses, Anthropic's messages, Gemini's contents, LangChain's serialised messages,
/// OpenTelemetry's and OpenInference's, and lists of texts.
struct MessageDecoder {
    /// Whether what is read went to the model or came from it.
    enum Side {
        case input, output

        var role: Role { self == .input ? .user : .assistant }
    }

    let side: Side
    private(set) var isCut = false
    /// Values looked at, so that no input makes the reader go round.
    private var looks = 0
    private static let looksMax = 100_000

    init(_ side: Side) {
        self.side = side
    }

    /// The messages in a value. Texts that are JSON are opened.
    ///
    /// - Parameter role: of what has none of its own.
    mutating func messages(_ value: JSONValue, role: Role? = nil) -> [Message] {
        var found: [Message] = []
        read(value.opened, role ?? side.role, depth: 0, into: &found)
        if found.count > ConversationLimits.messagesMax {
            isCut = true
            found.removeSubrange(ConversationLimits.messagesMax...)
        }
        return found
    }

    private mutating func read(_ value: JSONValue, _ role: Role, depth: Int, into found: inout [Message]) {
        looks += 1
        guard depth < ConversationLimits.depthMax, looks < Self.looksMax, found.count <= ConversationLimits.messagesMax else {
            isCut = true
            return
        }
        switch value {
        case .null: break
        case .string(let text):
            if !text.isEmpty { found.append(Message(role: role, parts: [.text(text)])) }
        case .array(let list): readList(list, role, depth: depth, into: &found)
        case .object: readObject(value, role, depth: depth, into: &found)
        case .bool, .integer, .double, .digits: found.append(Message(role: role, parts: [.text(value.line)]))
        }
    }

    /// Elements that are no messages of their own are the parts of one.
    private mutating func readList(_ list: [JSONValue], _ role: Role, depth: Int, into found: inout [Message]) {
        var parts: [MessagePart] = []
        func flush() {
            if !parts.isEmpty { found.append(Message(role: role, parts: parts)) }
            parts = []
        }
        for element in list.prefix(ConversationLimits.messagesMax + 1) {
            let element = element.opened
            if element.text != nil || Self.isPart(element) {
                if parts.count < ConversationLimits.partsMax { parts += PartDecoder.parts(element) } else { isCut = true }
            } else {
                flush()
                read(element, role, depth: depth + 1, into: &found)
            }
        }
        flush()
        if list.count > ConversationLimits.messagesMax + 1 { isCut = true }
    }

    private static let partTypes: Set<String> = [
        "text", "input_text", "output_text", "thinking", "tool_call", "tool_use", "tool-call", "tool_call_response", "tool_result",
        "tool-result", "image", "image_url", "blob", "uri", "file", "input_image", "reasoning",
    ]

    private static func isPart(_ value: JSONValue) -> Bool {
        guard value["role"] == nil, value["message"] == nil, value["kwargs"] == nil else { return false }
        if value["type"]?.text == "reasoning", value["summary"] != nil { return false }
        if let type = value["type"]?.text { return partTypes.contains(type) && value["data"]?["content"] == nil }
        return value["message_content"] != nil
    }

    private mutating func readObject(_ value: JSONValue, _ role: Role, depth: Int, into found: inout [Message]) {
        if let message = Self.message(value, role) {
            if !message.parts.isEmpty { found.append(message) }
            return
        }
        if readWrapped(value, role, depth: depth, into: &found) { return }
        if readContainer(value, role, depth: depth, into: &found) { return }
        let parts = PartDecoder.parts(value)
        if !parts.isEmpty { found.append(Message(role: role, parts: parts)) }
    }

    // MARK: Around messages

    private mutating func readWrapped(_ value: JSONValue, _ role: Role, depth: Int, into found: inout [Message]) -> Bool {
        // A choice of an answer, a generation of LangChain's, an element of OpenInference's lists.
        if let inner = value["message"], inner.text == nil, !inner.isNull {
            let first = found.count
            read(inner, role, depth: depth + 1, into: &found)
            if let reason = value.firstText("finish_reason"), found.count > first { found[found.count - 1].finishReason = reason }
            return true
        }
        // LangChain's serialised objects.
        if value["lc"] != nil, let inner = value["kwargs"], !inner.isNull {
            var named = inner
            if named["type"] == nil, let name = value["id"]?.elements?.last?.text, case .object(let members) = inner {
                named = .object(members + [JSONValue.Member("type", .string(name))])
            }
            read(named, role, depth: depth + 1, into: &found)
            return true
        }
        if let inner = value["data"], inner["content"] != nil, let type = value["type"]?.text {
            if let message = Self.message(inner, Role(name: type), as: Role(name: type)) {
                if !message.parts.isEmpty { found.append(message) }
                return true
            }
        }
        // A candidate of Gemini's.
        if let inner = value["content"], inner["role"]?.text != nil {
            read(inner, role, depth: depth + 1, into: &found)
            return true
        }
        if let inner = value["update"], inner["messages"] != nil {
            read(inner, role, depth: depth + 1, into: &found)
            return true
        }
        return false
    }

    private static let instructions = ["system", "instructions", "system_instruction", "systemInstruction", "system_prompt"]
    private static let inputs = ["messages", "input_messages", "contents", "input", "inputs", "prompt", "prompts", "history", "kwargs"]
    private static let outputs = [
        "choices", "output_messages", "candidates", "generations", "replies", "output", "outputs", "messages", "response", "responses",
        "completion",
    ]

    /// A request or an answer of an API: its instructions, then the first list that it has.
    private mutating func readContainer(_ value: JSONValue, _ role: Role, depth: Int, into found: inout [Message]) -> Bool {
        var isContainer = false
        if side == .input {
            for name in Self.instructions {
                guard let text = value[name] ?? value["config"]?[name], !text.isEmpty else { continue }
                isContainer = true
                let parts = text["parts"].map { PartDecoder.parts($0) } ?? PartDecoder.parts(text)
                if !parts.isEmpty { found.append(Message(role: .system, parts: parts)) }
                break
            }
        }
        for name in side == .input ? Self.inputs : Self.outputs {
            guard let list = value[name], !list.isEmpty else { continue }
            read(list.opened, role, depth: depth + 1, into: &found)
            return true
        }
        return isContainer
    }

    // MARK: One message

    /// The message that the object is; `nil` when it is something else.
    private static func message(_ value: JSONValue, _ role: Role, as known: Role? = nil) -> Message? {
        if let item = responseItem(value) { return item }
        guard let speaker = known ?? speaker(value) else { return nil }
        var parts = PartDecoder.reasoning(of: value)
        let content = value.first("parts", "content", "contents", "blocks", "_content", "text") ?? .null
        parts += PartDecoder.parts(content)
        parts = Array(parts.prefix(ConversationLimits.partsMax))
        addCalls(value, &parts)
        if let refusal = value.firstText("refusal") { parts.append(.text(refusal)) }
        var message = Message(role: speaker, name: value.firstText("name"), parts: parts, finishReason: value.firstText("finish_reason"))
        if speaker == .tool { message.parts = results(value, parts) }
        // Anthropic's tools answer as the user.
        if speaker == .user, !parts.isEmpty, parts.allSatisfy({ if case .toolResult = $0 { true } else { false } }) {
            message.role = .tool
        }
        return message
    }

    private static func speaker(_ value: JSONValue) -> Role? {
        if let name = value.firstText("role", "_role") { return Role(name: name) }
        if let event = value.firstText("event.name"), event.hasPrefix("gen_ai."), event.hasSuffix(".message") {
            return Role(name: String(event.dropFirst(7).dropLast(8)))
        }
        // LangChain's, whose type is the role.
        guard let type = value.firstText("type"), value["content"] != nil else { return nil }
        let role = Role(name: type)
        if case .other = role { return nil }
        return role
    }

    /// Items of OpenAI's responses that are no messages there.
    private static func responseItem(_ value: JSONValue) -> Message? {
        guard value["role"] == nil else { return nil }
        switch value["type"]?.text {
        case "function_call", "mcp_call", "custom_tool_call": return Message(role: .assistant, parts: PartDecoder.call(value))
        case "function_call_output", "custom_tool_call_output": return Message(role: .tool, parts: PartDecoder.parts(value))
        case "reasoning" where value["summary"] != nil: return Message(role: .assistant, parts: PartDecoder.reasoning(value))
        default: return nil
        }
    }

    private static func addCalls(_ value: JSONValue, _ parts: inout [MessagePart]) {
        var known = Set(parts.compactMap { part in if case .toolCall(let call) = part { call.id } else { nil } })
        var lists = value.first("tool_calls")?.opened.elements ?? []
        if lists.isEmpty { lists = value["additional_kwargs"]?["tool_calls"]?.elements ?? [] }
        if let single = value.first("function_call") { lists.append(single) }
        for element in lists.prefix(ConversationLimits.partsMax) {
            for part in PartDecoder.calls(element) {
                if case .toolCall(let call) = part, let id = call.id, !known.insert(id).inserted { continue }
                parts.append(part)
            }
        }
    }

    /// What a tool says is a result, also where only the message says so.
    private static func results(_ value: JSONValue, _ parts: [MessagePart]) -> [MessagePart] {
        if parts.contains(where: { if case .toolResult = $0 { true } else { false } }) { return parts }
        let content = value.first("content", "contents", "parts", "text").map { PartDecoder.resultContent($0, depth: 0) } ?? parts
        let isError = value["status"]?.text == "error"
        return [
            .toolResult(
                ToolResult(callID: value.firstText("tool_call_id", "id"), name: value.firstText("name"), content: content, isError: isError))
        ]
    }
}

extension PartDecoder {
    /// What a message says beside its content of what the model thought.
    fileprivate static func reasoning(of message: JSONValue) -> [MessagePart] {
        let kwargs = message["additional_kwargs"]
        let text = message.firstText("reasoning_content", "reasoning", "thinking") ?? kwargs?.firstText("reasoning_content")
        return text.map { [.reasoning($0)] } ?? []
    }
}
