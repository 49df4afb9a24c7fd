package import TelemetryModel

/// What a request says of itself in its body: the few members that the gateway reads, and where they lie.
package struct ModelRequest: Sendable {
    /// What is asked for.
    package enum Operation: String, Sendable {
        case chat
        case textCompletion = "text_completion"
        case embeddings
    }

    /// Bytes of a token, about.
    private static let bytesPerToken = 4
    /// Longer values of members that go into spans are left out.
    private static let valueBytesMax = 256

    package let operation: Operation
    package let dialect: Dialect
    package let model: String
    package let isStreamed: Bool
    /// The client asked for token counts in the stream.
    package let wantsUsage: Bool
    /// The client wants to see how its prompt gets on, before any token.
    package let wantsProgress: Bool
    package let promptTokens: Int
    /// What spans tell of it: `gen_ai.request.…`.
    package let attributes: AttributeList
    package private(set) var body: [UInt8]
    private let outline: JSONOutline

    /// Reads a body, or says what is wrong with it.
    package init(_ route: ModelRoute, body: [UInt8]) throws(GatewayRefusal) {
        guard let outline = JSONOutline(body) else { throw .invalidRequest("the body is not a JSON object") }
        func value(_ name: String) -> JSONValue? {
            guard let range = outline[name], range.count <= Self.valueBytesMax else { return nil }
            return try? JSONValue.parse(body[range])
        }
        guard let model = value("model")?.text, !model.isEmpty else {
            throw .invalidRequest("the body must name the model: \"model\": \"…\", of at most \(Self.valueBytesMax) bytes")
        }
        operation = route.operation
        dialect = route.dialect
        self.body = body
        self.outline = outline
        self.model = model
        // Ollama streams unless it is told not to.
        let streams = route.dialect == .ollama ? value("stream") != .bool(false) : value("stream") == .bool(true)
        isStreamed = streams && route.operation != .embeddings
        wantsUsage = value("stream_options")?["include_usage"] == .bool(true)
        wantsProgress = value("return_progress") == .bool(true)
        let prompt = ["messages", "prompt", "input", "tools", "system"].reduce(0) { $0 + (outline[$1]?.count ?? 0) }
        promptTokens = prompt / Self.bytesPerToken
        attributes = Self.attributes(value)
    }

    private static func attributes(_ value: (String) -> JSONValue?) -> AttributeList {
        var list = AttributeList()
        for (member, key) in [
            ("max_completion_tokens", "gen_ai.request.max_tokens"), ("max_tokens", "gen_ai.request.max_tokens"),
            ("seed", "gen_ai.request.seed"), ("top_k", "gen_ai.request.top_k"), ("n", "gen_ai.request.choice.count"),
        ] where !list.elements.contains(where: { $0.key == key }) {
            if case .integer(let number) = value(member) { list.append(key, .int(number)) }
        }
        for (member, key) in [
            ("temperature", "gen_ai.request.temperature"), ("top_p", "gen_ai.request.top_p"),
            ("frequency_penalty", "gen_ai.request.frequency_penalty"),
            ("presence_penalty", "gen_ai.request.presence_penalty"),
        ] {
            if let number = value(member)?.number { list.append(key, .double(number)) }
        }
        return list
    }

    /// What spans tell of it, without the prompt.
    package var withoutBody: ModelRequest {
        var request = self
        request.body = []
        return request
    }

    /// Whether token counts that the client did not ask for are asked for, and taken out of the stream again.
    package func addsUsage(_ backend: BackendPlan) -> Bool {
        dialect == .openAI && isStreamed && backend.asksForUsage && outline["stream_options"] == nil
    }

    /// The body as it is sent to a backend: the client's bytes but for the model's name, where another one is configured, and the
    /// wish for token counts.
    package func body(for backend: BackendPlan) -> [UInt8] {
        var edits: [(range: Range<Int>, text: String)] = []
        if let name = backend.upstreamModel, name != model, let range = outline["model"] {
            edits.append((range, JSONValue.string(name).line))
        }
        if addsUsage(backend) {
            edits.append((outline.end..<outline.end, ",\"stream_options\":{\"include_usage\":true}"))
        }
        var result: [UInt8] = []
        result.reserveCapacity(body.count + 64)
        var position = 0
        for edit in edits.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            result += body[position..<edit.range.lowerBound]
            result += edit.text.utf8
            position = edit.range.upperBound
        }
        return result + body[position...]
    }
}
