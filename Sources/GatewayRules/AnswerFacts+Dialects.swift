package import TelemetryModel

extension AnswerFacts {
    /// Takes in a part of a stream, or of an answer that is not streamed, in a dialect. Says whether it holds a token.
    package mutating func take(_ value: JSONValue, _ dialect: Dialect) -> Bool {
        switch dialect {
        case .openAI: take(value)
        case .ollama: take(ollama: value)
        case .anthropic: take(anthropic: value)
        }
    }

    private mutating func take(ollama value: JSONValue) -> Bool {
        model = model ?? Self.text(value["model"])
        if let count = Self.count(value["prompt_eval_count"]) { inputTokens = count }
        if let count = Self.count(value["eval_count"]) { outputTokens = count }
        if let reason = Self.text(value["done_reason"]), finishReasons.isEmpty { finishReasons = [reason] }
        for text in [value["response"], value["thinking"], value["message"]?["content"], value["message"]?["thinking"]]
        where Self.isText(text) { return true }
        if case .array(let calls) = value["message"]?["tool_calls"], !calls.isEmpty { return true }
        return false
    }

    private mutating func take(anthropic value: JSONValue) -> Bool {
        // A stream begins with the message without its content; an answer that is not streamed is the whole of it.
        let message = value["message"] ?? value
        responseID = responseID ?? Self.text(message["id"])
        model = model ?? Self.text(message["model"])
        for reason in [message["stop_reason"], value["delta"]?["stop_reason"]] {
            if let reason = Self.text(reason) { finishReasons = [reason] }
        }
        for usage in [message["usage"], value["usage"]] { if let usage { take(anthropicUsage: usage) } }
        let delta = value["delta"]
        for name in ["text", "thinking", "partial_json"] where Self.isText(delta?[name]) { return true }
        // The name of a tool that is called is the first that is said of it.
        return value["content_block"]?["type"] == .string("tool_use")
    }

    private mutating func take(anthropicUsage usage: JSONValue) {
        let read = Self.count(usage["cache_read_input_tokens"])
        let written = Self.count(usage["cache_creation_input_tokens"])
        // What was read from and written to a cache is not in the count of the input, and is in that of spans.
        if let fresh = Self.count(usage["input_tokens"]) {
            inputTokens = fresh.addingSaturated(read ?? 0).addingSaturated(written ?? 0)
        }
        if let read { cachedTokens = read }
        if let count = Self.count(usage["output_tokens"]) { outputTokens = count }
    }
}
