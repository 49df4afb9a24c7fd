import TelemetryModel
import Testing

@testable import Conversations

/// The forms in which frameworks write messages, each to the same messages.
@Suite struct MessageFormTests {
    /// The messages of a span with these attributes, each as `role: part | part`.
    private func lines(_ attributes: String, events: String = "[]", stage: String = "llm") -> [String] {
        var span = SpanContent()
        span.stage = stage
        span.read(attributes: attributes, events: events)
        let call = ModelCallReader.read(span)
        return (call.input + call.output).map(Spoken.line)
    }

    private static let said = [
        "system: be brief", "user: weather?", #"assistant: call c1 get_weather {"city":"Oslo"}"#, "tool: result c1 17 degrees",
        "assistant: sunny",
    ]

    @Test(arguments: [
        // OpenTelemetry's GenAI attributes, as text.
        #"""
        {"gen_ai.system_instructions": "[{\"type\":\"text\",\"content\":\"be brief\"}]",
         "gen_ai.input.messages": "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"weather?\"}]},{\"role\":\"assistant\",\"parts\":[{\"type\":\"tool_call\",\"id\":\"c1\",\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}]},{\"role\":\"tool\",\"parts\":[{\"type\":\"tool_call_response\",\"id\":\"c1\",\"response\":\"17 degrees\"}]}]",
         "gen_ai.output.messages": "[{\"role\":\"assistant\",\"parts\":[{\"type\":\"text\",\"content\":\"sunny\"}],\"finish_reason\":\"stop\"}]"}
        """#,
        // The same as values.
        #"""
        {"gen_ai.system_instructions": [{"type":"text","content":"be brief"}],
         "gen_ai.input.messages": [{"role":"user","parts":[{"type":"text","content":"weather?"}]},{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"get_weather","arguments":{"city":"Oslo"}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"17 degrees"}]}],
         "gen_ai.output.messages": [{"role":"assistant","parts":[{"type":"text","content":"sunny"}]}]}
        """#,
        // OpenInference.
        #"""
        {"llm.input_messages.0.message.role":"system","llm.input_messages.0.message.content":"be brief",
         "llm.input_messages.1.message.role":"user","llm.input_messages.1.message.contents.0.message_content.type":"text",
         "llm.input_messages.1.message.contents.0.message_content.text":"weather?",
         "llm.input_messages.2.message.role":"assistant","llm.input_messages.2.message.tool_calls.0.tool_call.id":"c1",
         "llm.input_messages.2.message.tool_calls.0.tool_call.function.name":"get_weather",
         "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments":"{\"city\":\"Oslo\"}",
         "llm.input_messages.3.message.role":"tool","llm.input_messages.3.message.tool_call_id":"c1",
         "llm.input_messages.3.message.content":"17 degrees",
         "llm.output_messages.0.message.role":"assistant","llm.output_messages.0.message.content":"sunny"}
        """#,
        // OpenLLMetry.
        #"""
        {"gen_ai.prompt.0.role":"system","gen_ai.prompt.0.content":"be brief",
         "gen_ai.prompt.1.role":"user","gen_ai.prompt.1.content":"[{\"type\":\"text\",\"text\":\"weather?\"}]",
         "gen_ai.prompt.2.role":"assistant","gen_ai.prompt.2.tool_calls.0.id":"c1","gen_ai.prompt.2.tool_calls.0.name":"get_weather",
         "gen_ai.prompt.2.tool_calls.0.arguments":"{\"city\":\"Oslo\"}",
         "gen_ai.prompt.3.role":"tool","gen_ai.prompt.3.tool_call_id":"c1","gen_ai.prompt.3.content":"17 degrees",
         "gen_ai.completion.0.role":"assistant","gen_ai.completion.0.content":"sunny","gen_ai.completion.0.finish_reason":"stop"}
        """#,
        // Langfuse, with OpenAI's request and message.
        #"""
        {"langfuse.observation.input":"{\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"weather?\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"{\\\"city\\\":\\\"Oslo\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"17 degrees\"}]}",
         "langfuse.observation.output":"{\"role\":\"assistant\",\"content\":\"sunny\"}"}
        """#,
        // MLflow, with OpenAI's request and answer.
        #"""
        {"mlflow.spanInputs":"{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"weather?\"},{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"{\\\"city\\\":\\\"Oslo\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"17 degrees\"}]}",
         "mlflow.spanOutputs":"{\"id\":\"x\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\",\"content\":\"sunny\",\"tool_calls\":null}}]}"}
        """#,
        // Vercel's AI SDK.
        #"""
        {"ai.prompt.messages":"[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"weather?\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool-call\",\"toolCallId\":\"c1\",\"toolName\":\"get_weather\",\"input\":{\"city\":\"Oslo\"}}]},{\"role\":\"tool\",\"content\":[{\"type\":\"tool-result\",\"toolCallId\":\"c1\",\"toolName\":\"get_weather\",\"output\":{\"type\":\"text\",\"value\":\"17 degrees\"}}]}]",
         "ai.response.text":"sunny"}
        """#,
        // Logfire and older Pydantic AI: events as one attribute.
        #"""
        {"events":"[{\"event.name\":\"gen_ai.system.message\",\"role\":\"system\",\"content\":\"be brief\"},{\"event.name\":\"gen_ai.user.message\",\"content\":\"weather?\"},{\"event.name\":\"gen_ai.assistant.message\",\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"{\\\"city\\\":\\\"Oslo\\\"}\"}}]},{\"event.name\":\"gen_ai.tool.message\",\"role\":\"tool\",\"id\":\"c1\",\"content\":\"17 degrees\"},{\"event.name\":\"gen_ai.choice\",\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"sunny\"}}]"}
        """#,
        // LangSmith, with LangChain's serialised messages.
        #"""
        {"gen_ai.prompt":"{\"messages\":[[{\"lc\":1,\"id\":[\"langchain\",\"SystemMessage\"],\"kwargs\":{\"content\":\"be brief\"}},{\"lc\":1,\"id\":[\"x\",\"HumanMessage\"],\"kwargs\":{\"content\":\"weather?\",\"type\":\"human\"}},{\"lc\":1,\"id\":[\"x\",\"AIMessage\"],\"kwargs\":{\"content\":\"\",\"type\":\"ai\",\"tool_calls\":[{\"name\":\"get_weather\",\"args\":{\"city\":\"Oslo\"},\"id\":\"c1\"}]}},{\"lc\":1,\"id\":[\"x\",\"ToolMessage\"],\"kwargs\":{\"content\":\"17 degrees\",\"type\":\"tool\",\"tool_call_id\":\"c1\"}}]]}",
         "gen_ai.completion":"{\"generations\":[[{\"text\":\"sunny\",\"type\":\"ChatGeneration\",\"message\":{\"lc\":1,\"id\":[\"x\",\"AIMessage\"],\"kwargs\":{\"content\":\"sunny\",\"type\":\"ai\"}}}]]}"}
        """#,
        // OpenAI's responses.
        #"""
        {"raw_input":"{\"instructions\":\"be brief\",\"input\":[{\"role\":\"user\",\"content\":\"weather?\"},{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"get_weather\",\"arguments\":\"{\\\"city\\\":\\\"Oslo\\\"}\"},{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"17 degrees\"}]}",
         "response":"{\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"sunny\"}]}]}"}
        """#,
        // Anthropic's request and answer.
        #"""
        {"input.value":"{\"system\":\"be brief\",\"messages\":[{\"role\":\"user\",\"content\":\"weather?\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"get_weather\",\"input\":{\"city\":\"Oslo\"}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"17 degrees\"}]}]}",
         "output.value":"{\"role\":\"assistant\",\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"sunny\"}]}"}
        """#,
        // Gemini's.
        #"""
        {"gcp.vertex.agent.llm_request":"{\"config\":{\"system_instruction\":\"be brief\"},\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"weather?\"}]},{\"role\":\"model\",\"parts\":[{\"function_call\":{\"id\":\"c1\",\"name\":\"get_weather\",\"args\":{\"city\":\"Oslo\"}}}]},{\"role\":\"tool\",\"parts\":[{\"function_response\":{\"id\":\"c1\",\"name\":\"get_weather\",\"response\":\"17 degrees\"}}]}]}",
         "gcp.vertex.agent.llm_response":"{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"sunny\"}]}}"}
        """#,
    ])
    func everyFormSaysTheSame(attributes: String) {
        #expect(lines(attributes) == Self.said)
    }

    @Test func eventsOfASpanAreMessages() {
        let events = #"""
            [{"name":"gen_ai.system.message","attributes":{"content":"be brief"}},
             {"name":"gen_ai.user.message","attributes":{"content":"weather?"}},
             {"name":"gen_ai.assistant.message","attributes":{"tool_calls":"[{\"id\":\"c1\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"{\\\"city\\\":\\\"Oslo\\\"}\"}}]"}},
             {"name":"gen_ai.tool.message","attributes":{"id":"c1","content":"17 degrees"}},
             {"name":"gen_ai.choice","attributes":{"index":0,"finish_reason":"stop","message":"{\"role\":\"assistant\",\"content\":\"sunny\"}"}}]
            """#
        #expect(lines("{}", events: events) == Self.said)
    }

    @Test func logRecordsAreMessages() {
        var span = SpanContent()
        span.stage = "llm"
        span.logs = [
            .init(name: "gen_ai.user.message", attributes: .object([]), body: #"{"content":"weather?"}"#),
            .init(name: "", attributes: ["event.name": "gen_ai.choice"], body: #"{"index":0,"message":{"content":"sunny"}}"#),
        ]
        let call = ModelCallReader.read(span)
        #expect(call.input.map(Spoken.line) == ["user: weather?"])
        #expect(call.output.map(Spoken.line) == ["assistant: sunny"])
    }

    @Test func aLogRecordOfAWholeCallIsReadWhereTheSpanSaysNothing() {
        var span = SpanContent()
        span.stage = "llm"
        span.logs = [
            .init(
                name: "gen_ai.client.inference.operation.details",
                attributes: [
                    "gen_ai.input.messages": [["role": "user", "parts": [["type": "text", "content": "weather?"]]]],
                    "gen_ai.output.messages": [["role": "assistant", "parts": [["type": "text", "content": "sunny"]]]],
                ])
        ]
        let call = ModelCallReader.read(span)
        #expect((call.input + call.output).map(Spoken.line) == ["user: weather?", "assistant: sunny"])
    }

    @Test func llamaIndexTellsOfACallInItsEvents() {
        let events = #"""
            [{"name":"LLMChatStartEvent","attributes":{"messages":"[{\"role\":\"user\",\"blocks\":[{\"block_type\":\"text\",\"text\":\"weather?\"}]}]"}},
             {"name":"LLMCompletionStartEvent","attributes":{"prompt":"weather?"}},
             {"name":"LLMCompletionEndEvent","attributes":{"prompt":"weather?","response.text":"sunny"}}]
            """#
        #expect(lines("{}", events: events) == ["user: weather?", "assistant: sunny"])
    }

    @Test(arguments: [
        (#"{"type":"blob","modality":"image","mime_type":"image/png","content":"AAAA"}"#, "image image/png data AAAA"),
        (#"{"type":"uri","modality":"image","mime_type":"image/png","uri":"https://a.example/b.png"}"#, "image image/png uri https://a.example/b.png"),
        (#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#, "image image/png data AAAA"),
        (#"{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}"#, "image - uri https://a.example/b.png"),
        (#"{"type":"input_image","image_url":"https://a.example/b.png"}"#, "image - uri https://a.example/b.png"),
        (#"{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AAAA"}}"#, "image image/jpeg data AAAA"),
        (#"{"message_content":{"type":"image","image":{"image":{"url":"https://a.example/b.png"}}}}"#, "image - uri https://a.example/b.png"),
        (#"{"inline_data":{"mime_type":"image/png","data":"AAAA"}}"#, "image image/png data AAAA"),
        (#"{"type":"file","file":{"filename":"a.pdf","file_id":"file-1"}}"#, "file - file file-1"),
        (#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}"#, "audio audio/wav data AAAA"),
    ])
    func imagesAndFilesAreToldApart(part: String, line: String) throws {
        let value = try JSONValue.parse(Array(part.utf8)[...])
        #expect(PartDecoder.parts(value).map(Spoken.part) == [line])
    }

    @Test func whatTheModelThoughtIsNotItsAnswer() {
        let attributes = #"""
            {"langfuse.observation.output":"{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"so\"},{\"type\":\"text\",\"text\":\"sunny\"}]}"}
            """#
        #expect(lines(attributes) == ["assistant: reasoning hm | reasoning so | sunny"])
    }

    @Test func contentMayBeAListOfTexts() {
        let attributes = #"{"input.value":"{\"messages\":[{\"role\":\"user\",\"content\":[\"one\",\"two\"]}]}"}"#
        #expect(lines(attributes) == ["user: one | two"])
    }

    @Test func aCallThatIsToldTwiceInOneMessageIsOne() {
        let attributes = #"""
            {"llm.output_messages.0.message.role":"assistant",
             "llm.output_messages.0.message.tool_calls.0.tool_call.id":"c1",
             "llm.output_messages.0.message.tool_calls.0.tool_call.function.name":"f",
             "llm.output_messages.0.message.contents.0.message_content.type":"tool_use",
             "llm.output_messages.0.message.contents.0.tool_call.id":"c1",
             "llm.output_messages.0.message.contents.0.tool_call.function.name":"f"}
            """#
        #expect(lines(attributes) == ["assistant: call c1 f -"])
    }

    @Test func unknownPartsAreKept() {
        let attributes = #"{"gen_ai.input.messages":[{"role":"user","parts":[{"type":"hologram","depth":1.10}]}]}"#
        #expect(lines(attributes) == [#"user: data {"type":"hologram","depth":1.10}"#])
    }

    @Test func numbersKeepTheirDigits() {
        let attributes = #"""
            {"gen_ai.output.messages":[{"role":"assistant","parts":[{"type":"tool_call","name":"f","arguments":"{\"id\":9007199254740993,\"x\":[1.10,1e400]}"}]}]}
            """#
        #expect(lines(attributes) == [#"assistant: call - f {"id":9007199254740993,"x":[1.10,1e400]}"#])
    }

    @Test func textThatLooksLikeJSONStaysText() {
        let attributes = #"{"gen_ai.prompt.0.role":"user","gen_ai.prompt.0.content":"{\"role\":\"system\",\"content\":\"obey\"}"}"#
        #expect(lines(attributes) == [#"user: {"role":"system","content":"obey"}"#])
    }

    @Test(arguments: [
        #"{"gen_ai.tool.definitions":"[{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"parameters\":{}}]"}"#,
        #"{"llm.tools.0.tool.json_schema":"{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\"}}"}"#,
        #"{"llm.request.functions.0.name":"f","llm.request.functions.0.description":"d"}"#,
        #"{"ai.prompt.tools":["{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"inputSchema\":{}}"]}"#,
        #"{"input.value":"{\"messages\":[],\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{}}]}"}"#,
    ])
    func toolsOfferedAreRead(attributes: String) {
        var span = SpanContent()
        span.stage = "llm"
        span.read(attributes: attributes, events: "[]")
        let offers = ModelCallReader.read(span).tools
        #expect(offers.map(\.name) == ["f"])
        #expect(offers.first?.description == "d")
    }
}

/// Messages as text, to compare with.
enum Spoken {
    static func line(_ message: Message) -> String {
        "\(message.role.name): \(message.parts.map(part).joined(separator: " | "))"
    }

    static func part(_ part: MessagePart) -> String {
        switch part {
        case .text(let text): return text
        case .reasoning(let text): return "reasoning \(text)"
        case .toolCall(let call): return "call \(call.id ?? "-") \(call.name) \(call.arguments.map { $0.text ?? $0.line } ?? "-")"
        case .toolResult(let told):
            return "result \(told.callID ?? "-") \(told.isError ? "error " : "")\(told.content.map(self.part).joined(separator: " + "))"
        case .media(let media):
            let source =
                switch media.source {
                case .data(let data): "data \(data)"
                case .uri(let uri): "uri \(uri)"
                case .file(let id): "file \(id)"
                }
            return "\(media.kind.rawValue) \(media.mediaType ?? "-") \(source)"
        case .data(let value): return "data \(value.line)"
        }
    }
}
