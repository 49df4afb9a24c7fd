import TelemetryModel

/// What an answer tells of itself: its id, the model that gave it, why it ended, and its tokens.
package struct AnswerFacts: Equatable, Sendable {
    /// Longer texts are left out.
    private static let textBytesMax = 256
    /// Choices that are looked at.
    private static let choicesMax = 128
    /// A longer list of choices of an answer that is not streamed is not read.
    private static let choicesBytesMax = 1 << 20

    private static let answerMembers = [
        "id", "model", "usage", "timings", "choices", "prompt_eval_count", "eval_count", "done_reason", "stop_reason",
    ]

    package var responseID: String?
    package var model: String?
    /// One a choice, in their order.
    package var finishReasons: [String] = []
    package var inputTokens: Int64?
    package var outputTokens: Int64?
    package var cachedTokens: Int64?
    package var reasoningTokens: Int64?

    package init() {}

    /// Takes in a chunk of a stream, or an answer that is not streamed. Says whether it holds a token.
    mutating func take(_ value: JSONValue) -> Bool {
        responseID = responseID ?? Self.text(value["id"])
        model = model ?? Self.text(value["model"])
        if let usage = value["usage"] { take(usage: usage) }
        if let timings = value["timings"] { take(timings: timings) }
        guard case .array(let choices) = value["choices"] else { return false }
        var hasToken = false
        for choice in choices.prefix(Self.choicesMax) {
            if let reason = Self.text(choice["finish_reason"]) { finishReasons.append(reason) }
            if Self.hasToken(choice) { hasToken = true }
        }
        if finishReasons.count > Self.choicesMax { finishReasons.removeLast(finishReasons.count - Self.choicesMax) }
        return hasToken
    }

    /// Takes in a whole answer that is not streamed, by its text. Long parts of it are not read.
    package mutating func take(answer text: [UInt8], _ dialect: Dialect = .openAI) {
        guard let outline = JSONOutline(text) else { return }
        var members: [JSONValue.Member] = []
        for name in Self.answerMembers {
            guard let range = outline[name], range.count <= Self.choicesBytesMax,
                let value = try? JSONValue.parse(text[range])
            else { continue }
            members.append(.init(name, value))
        }
        _ = take(.object(members), dialect)
    }

    /// What a model says, thinks or calls; the role alone, or progress, is no token.
    private static func hasToken(_ choice: JSONValue) -> Bool {
        if isText(choice["text"]) { return true }
        guard let delta = choice["delta"] ?? choice["message"] else { return false }
        for name in ["content", "reasoning_content", "reasoning", "refusal"] where isText(delta[name]) { return true }
        if case .array(let calls) = delta["tool_calls"], !calls.isEmpty { return true }
        if case .object = delta["function_call"] { return true }
        if case .object = delta["audio"] { return true }
        return false
    }

    static func isText(_ value: JSONValue?) -> Bool { value?.text?.isEmpty == false }

    static func text(_ value: JSONValue?) -> String? {
        guard let text = value?.text, !text.isEmpty, text.utf8.count <= textBytesMax else { return nil }
        return text
    }

    private mutating func take(usage: JSONValue) {
        if let count = Self.count(usage["prompt_tokens"]) { inputTokens = count }
        if let count = Self.count(usage["completion_tokens"]) { outputTokens = count }
        if let count = Self.count(usage["prompt_tokens_details"]?["cached_tokens"]) { cachedTokens = count }
        if let count = Self.count(usage["completion_tokens_details"]?["reasoning_tokens"]) { reasoningTokens = count }
    }

    /// llama.cpp's own counts, where no usage came.
    private mutating func take(timings: JSONValue) {
        let cached = Self.count(timings["cache_n"])
        if inputTokens == nil, let fresh = Self.count(timings["prompt_n"]) {
            let (sum, overflow) = fresh.addingReportingOverflow(cached ?? 0)
            if !overflow { inputTokens = sum }
            if cachedTokens == nil { cachedTokens = cached }
        }
        if outputTokens == nil { outputTokens = Self.count(timings["predicted_n"]) }
    }

    static func count(_ value: JSONValue?) -> Int64? {
        guard case .integer(let count) = value, count >= 0 else { return nil }
        return count
    }
}
