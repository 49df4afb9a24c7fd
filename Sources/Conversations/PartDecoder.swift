import TelemetryModel

/// Reads the parts of messages in the forms of OpenTelemetry, OpenAI, Anthropic, Gemini, OpenInference, LangChain, Vercel's AI SDK,
/// LlamaIndex and Haystack. One function reads them all: their words for the same thing do not collide.
enum PartDecoder {
    /// - Parameter depth: of objects around the content.
    static func parts(_ content: JSONValue, depth: Int = 0) -> [MessagePart] {
        guard depth < ConversationLimits.depthMax else { return content.isEmpty ? [] : [.data(content)] }
        switch content {
        case .null: return []
        case .string(let text):
            if text.isEmpty { return [] }
            // Some instrumentations put a list of parts into a text.
            if case .array(let list) = content.opened, !list.isEmpty, list.allSatisfy({ isTyped($0) }) {
                return parts(.array(list), depth: depth + 1)
            }
            return [.text(text)]
        case .array(let list):
            return list.prefix(ConversationLimits.partsMax).flatMap { parts($0, depth: depth + 1) }
        case .object: return object(content, depth: depth)
        case .bool, .integer, .double, .digits: return [.text(content.line)]
        }
    }

    private static func isTyped(_ value: JSONValue) -> Bool {
        value["type"]?.text != nil || value["message_content"] != nil || value["block_type"]?.text != nil
    }

    private static func object(_ value: JSONValue, depth: Int) -> [MessagePart] {
        if let inner = value["message_content"] {
            // OpenInference says there only that a call follows.
            if let call = value["tool_call"] { return self.call(call) }
            return parts(inner, depth: depth + 1)
        }
        switch value.firstText("type", "block_type", "kind") {
        case "text", "input_text", "output_text", "refusal", "summary_text", "text_delta":
            return parts(value.first("text", "content", "refusal") ?? .null, depth: depth + 1)
        case "thinking", "reasoning", "reasoning_text", "thought", "redacted_thinking", "reasoning_content":
            return reasoning(value)
        case "tool_call", "tool_use", "tool-call", "function_call", "server_tool_use", "server_tool_call", "mcp_call":
            return call(value)
        case "tool_call_response", "tool_result", "tool-result", "function_call_output", "server_tool_call_response",
            "web_search_tool_result", "tool_response":
            return result(value, depth: depth)
        default: break
        }
        if let media = MediaDecoder.media(value) { return [.media(media)] }
        return untyped(value, depth: depth)
    }

    /// Parts that are known by their members alone.
    private static func untyped(_ value: JSONValue, depth: Int) -> [MessagePart] {
        if let inner = value.first("tool_call", "function_call", "functionCall") { return call(inner) }
        if let inner = value.first("tool_call_result", "function_response", "functionResponse") { return result(inner, depth: depth) }
        if let inner = value.first("tool_calls"), let list = inner.elements { return list.flatMap { calls($0) } }
        if value["thought"] == .bool(true) { return reasoning(value) }
        if value["reasoning_text"] != nil || value["reasoning"]?.text != nil { return reasoning(value) }
        if let text = value.first("text") { return parts(text, depth: depth + 1) }
        if value["type"] == nil, let content = value.first("content") { return parts(content, depth: depth + 1) }
        return value.isEmpty ? [] : [.data(value)]
    }

    static func reasoning(_ value: JSONValue) -> [MessagePart] {
        if let text = value.firstText("thinking", "reasoning", "reasoning_text", "reasoning_content", "text", "content", "data") {
            return [.reasoning(text)]
        }
        let lines = (value.first("summary", "content")?.elements ?? []).compactMap { $0.text ?? $0["text"]?.text }
        return lines.isEmpty ? [] : [.reasoning(lines.joined(separator: "\n"))]
    }

    // MARK: Tools

    /// A call as an element of a list of calls, with or without a wrapper.
    static func calls(_ value: JSONValue) -> [MessagePart] { call(value["tool_call"] ?? value) }

    static func call(_ value: JSONValue) -> [MessagePart] {
        let function = value["function"] ?? value
        let name = function.firstText("name") ?? value.firstText("name", "toolName", "tool_name")
        let arguments =
            function.first("arguments", "args", "input", "parameters", "kwargs")
            ?? value.first("arguments", "args", "input", "partial_json")
        guard name != nil || arguments != nil else { return value.isEmpty ? [] : [.data(value)] }
        let id = value.firstText("call_id", "id", "toolCallId", "tool_call_id", "tool_use_id")
        return [.toolCall(ToolCall(id: id, name: name ?? "", arguments: arguments?.opened))]
    }

    private static func result(_ value: JSONValue, depth: Int) -> [MessagePart] {
        let content = value.first("response", "result", "output", "content") ?? .null
        let origin = value["origin"]
        let id =
            value.firstText("tool_use_id", "call_id", "tool_call_id", "toolCallId", "id") ?? origin?.firstText("id")
        let name = value.firstText("name", "toolName", "tool_name") ?? origin?.firstText("tool_name")
        let isError = value.first("is_error", "isError", "error") == .bool(true)
        return [.toolResult(ToolResult(callID: id, name: name, content: resultContent(content, depth: depth), isError: isError))]
    }

    /// A result is parts when it says so, and a value otherwise: a tool's own objects are not taken for messages.
    static func resultContent(_ content: JSONValue, depth: Int) -> [MessagePart] {
        switch content {
        case .string, .null: return parts(content, depth: depth + 1)
        case .array(let list) where !list.isEmpty && list.allSatisfy({ isTyped($0) || $0.text != nil }):
            return parts(content, depth: depth + 1)
        case .object where ["text", "json", "content"].contains(content["type"]?.text):
            return content.first("value", "text").map { resultContent($0, depth: depth + 1) } ?? [.data(content)]
        case .object, .array: return content.isEmpty ? [] : [.data(content)]
        case .bool, .integer, .double, .digits: return [.text(content.line)]
        }
    }
}
