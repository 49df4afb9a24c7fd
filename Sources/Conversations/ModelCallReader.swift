import TelemetryModel

/// Reads what a span says of a call to a model: the messages, the tools, the error. It knows where frameworks put them; what they
/// put there, `MessageDecoder` reads.
///
/// Of several places that tell of the same side of a call, the first counts: instrumentations write one conversation in two forms.
package struct ModelCallReader {
    private let span: SpanContent
    private var call = ModelCall()

    /// - Parameter fallback: whether a span's general input and output are taken for messages when it has no others.
    package static func read(_ span: SpanContent, fallback: Bool = false) -> ModelCall {
        var reader = ModelCallReader(span: span)
        reader.call.isCut = span.isCut
        reader.readInput()
        reader.readOutput()
        if fallback || span.isModelCall { reader.readGeneral() }
        reader.call.tools = ToolOfferReader.offers(span)
        reader.call.error = TurnErrorReader.error(of: span)
        return reader.call
    }

    private init(span: SpanContent) {
        self.span = span
    }

    private mutating func decode(_ value: JSONValue?, _ side: MessageDecoder.Side, role: Role? = nil) -> [Message] {
        guard let value, !value.isEmpty else { return [] }
        var decoder = MessageDecoder(side)
        let found = decoder.messages(value, role: role)
        if decoder.isCut { call.isCut = true }
        return found
    }

    // MARK: Input

    private mutating func readInput() {
        let attributes = span.attributes
        var found = system(attributes) + decode(attributes["gen_ai.input.messages"], .input)
        for record in details where found.isEmpty {
            found = system(record.attributes) + decode(record.attributes["gen_ai.input.messages"], .input)
        }
        for prefix in ["llm.input_messages.", "gen_ai.prompt."] where found.isEmpty {
            found = decode(NumberedKeys.value(prefix, in: attributes), .input)
        }
        if found.isEmpty { found = recorded(.input) }
        for name in Self.inputs where found.isEmpty { found = decode(attributes[name], .input) }
        // Logfire's events hold both sides.
        for name in ["events", "all_messages_events", "pydantic_ai.all_messages"] where found.isEmpty {
            found = decode(attributes[name], .input)
        }
        // Instructions that stand beside a list without them.
        if let text = attributes.firstText("llm.prompts.system", "gen_ai.prompt.system"), !found.contains(where: { $0.role == .system }) {
            found.insert(Message(role: .system, parts: [.text(text)]), at: 0)
        }
        call.input = found
    }

    private static let inputs = [
        "llm.input_messages", "ai.prompt.messages", "ai.prompt", "langfuse.observation.input", "mlflow.spanInputs", "request_data",
        "raw_input", "gen_ai.prompt", "gcp.vertex.agent.llm_request", "langsmith.inputs",
    ]

    private mutating func system(_ attributes: JSONValue) -> [Message] {
        decode(attributes["gen_ai.system_instructions"], .input, role: .system)
    }

    // MARK: Output

    private mutating func readOutput() {
        let attributes = span.attributes
        var found = decode(attributes["gen_ai.output.messages"], .output)
        for record in details where found.isEmpty { found = decode(record.attributes["gen_ai.output.messages"], .output) }
        for prefix in ["llm.output_messages.", "gen_ai.completion."] where found.isEmpty {
            found = decode(NumberedKeys.value(prefix, in: attributes), .output)
        }
        if found.isEmpty { found = recorded(.output) }
        if found.isEmpty { found = vercel(attributes) }
        for name in Self.outputs where found.isEmpty { found = decode(attributes[name], .output) }
        call.output = found
    }

    private static let outputs = [
        "llm.output_messages", "langfuse.observation.output", "mlflow.spanOutputs", "response_data", "response", "gen_ai.completion",
        "gcp.vertex.agent.llm_response", "langsmith.outputs",
    ]

    /// Vercel's AI SDK writes one message into several attributes.
    private mutating func vercel(_ attributes: JSONValue) -> [Message] {
        var parts: [MessagePart] = []
        if let text = attributes.firstText("ai.response.reasoning") { parts.append(.reasoning(text)) }
        if let text = attributes.firstText("ai.response.text", "ai.result.text") { parts.append(.text(text)) }
        if let object = attributes.firstText("ai.response.object", "ai.result.object") {
            parts.append(.data(JSONValue.string(object).opened))
        }
        let calls = attributes.first("ai.response.toolCalls", "ai.result.toolCalls")?.opened.elements ?? []
        for element in calls.prefix(ConversationLimits.partsMax) { parts += PartDecoder.call(element) }
        guard !parts.isEmpty else { return [] }
        return [Message(role: .assistant, parts: parts, finishReason: attributes.firstText("ai.response.finishReason"))]
    }

    // MARK: Events and log records

    /// OpenTelemetry's event of a whole call, on the span or as a log record.
    private var details: [SpanContent.Record] {
        (span.events + span.logs).filter { $0.name == "gen_ai.client.inference.operation.details" }
    }

    /// Messages that are events or log records of their own, one each.
    private mutating func recorded(_ side: MessageDecoder.Side) -> [Message] {
        var found: [Message] = []
        for record in (span.events + span.logs).prefix(ConversationLimits.recordsMax) {
            guard let told = RecordedMessage.value(record), told.side == side else { continue }
            var decoder = MessageDecoder(side)
            let messages = decoder.messages(told.value, role: told.role)
            if decoder.isCut { call.isCut = true }
            // A stream may be told when it starts and when it ends.
            if told.replaces { found = messages } else { found += messages }
        }
        if found.count > ConversationLimits.messagesMax {
            call.isCut = true
            found.removeSubrange(ConversationLimits.messagesMax...)
        }
        return found
    }

    // MARK: What any span has

    private static let generalInputs = [
        "input.value", "traceloop.entity.input", "gen_ai.task.input", "haystack.component.input", "haystack.pipeline.input_data",
        "user_prompt", "prompt", "input",
    ]
    private static let generalOutputs = [
        "output.value", "traceloop.entity.output", "gen_ai.task.output", "haystack.component.output", "haystack.pipeline.output_data",
        "final_result", "output",
    ]
    /// What coding agents write instead of a prompt that they keep to themselves.
    private static let withheld: Set<String> = ["<REDACTED>", "[REDACTED]", "<redacted>"]

    private mutating func readGeneral() {
        for name in Self.generalInputs where call.input.isEmpty {
            guard let value = span.attributes[name], value.text.map({ !Self.withheld.contains($0) }) ?? true else { continue }
            call.input = decode(value, .input)
        }
        for name in Self.generalOutputs where call.output.isEmpty { call.output = decode(span.attributes[name], .output) }
    }
}
