import TelemetryModel
import Testing

@testable import Conversations

/// Conversations over several calls: each message once, in order.
@Suite struct ConversationTests {
    private func call(
        _ id: String, at start: Int64, trace: String = "t1", parent: String? = nil, _ input: [(String, String)], _ output: String?
    ) -> SpanContent {
        var span = SpanContent()
        span.traceID = trace
        span.spanID = id
        span.parentSpanID = parent
        span.stage = "llm"
        span.startUnixNano = start
        var members: [JSONValue.Member] = [
            .init(
                "gen_ai.input.messages",
                .array(input.map { ["role": .string($0.0), "parts": [["type": "text", "content": .string($0.1)]]] }))
        ]
        if let output {
            members.append(
                .init("gen_ai.output.messages", [["role": "assistant", "parts": [["type": "text", "content": .string(output)]]]]))
        }
        span.attributes = .object(members)
        return span
    }

    private func lines(_ spans: [SpanContent]) -> [String] {
        Conversation(spans).items.map { item in
            switch item {
            case .message(let spoken): Spoken.line(spoken.message)
            case .tool(let run): "ran \(run.name)"
            case .failure(let failed): "failed \(failed.error.type ?? "-"): \(failed.error.message ?? "-")"
            }
        }
    }

    @Test func whatACallRepeatsIsShownOnce() {
        let spans = [
            call("a", at: 1, [("system", "s"), ("user", "q1")], "a1"),
            call("b", at: 2, [("system", "s"), ("user", "q1"), ("assistant", "a1"), ("user", "q2")], "a2"),
        ]
        #expect(lines(spans) == ["system: s", "user: q1", "assistant: a1", "user: q2", "assistant: a2"])
    }

    @Test func theSameWordsSaidAgainAreShownAgain() {
        let spans = [
            call("a", at: 1, [("user", "go on")], "ok"),
            call("b", at: 2, [("user", "go on"), ("assistant", "ok"), ("user", "go on")], "ok"),
        ]
        #expect(lines(spans) == ["user: go on", "assistant: ok", "user: go on", "assistant: ok"])
    }

    @Test func theSameQuestionInAnotherTraceIsAskedAgain() {
        let spans = [
            call("a", at: 1, trace: "t1", [("system", "s"), ("user", "hi")], "hello"),
            call("b", at: 2, trace: "t2", [("system", "s"), ("user", "hi")], "hello"),
        ]
        #expect(lines(spans) == ["system: s", "user: hi", "assistant: hello", "user: hi", "assistant: hello"])
    }

    @Test func ofACallInsideAnotherTheInnerOneSpeaks() {
        let spans = [
            call("outer", at: 1, [("user", "q")], "a"), call("inner", at: 2, parent: "outer", [("user", "q")], "a"),
        ]
        let items = Conversation(spans).items
        #expect(lines(spans) == ["user: q", "assistant: a"])
        for case .message(let spoken) in items { #expect(spoken.spanID == "inner") }
    }

    @Test func parentsInARingEnd() {
        let spans = [
            call("a", at: 1, parent: "b", [("user", "q")], "a"), call("b", at: 2, parent: "a", [("user", "q")], "a"),
        ]
        #expect(lines(spans).count <= 4)
    }

    @Test func aFailedTurnSaysWhy() {
        var span = call("a", at: 1, [("user", "q")], nil)
        span.statusCode = 2
        span.statusMessage = "Too many requests"
        span.errorType = "429"
        #expect(lines([span]) == ["user: q", "failed 429: Too many requests"])
    }

    @Test func aFailedTurnWithoutMessagesIsShownToo() {
        var span = SpanContent()
        span.spanID = "a"
        span.stage = "llm"
        span.statusCode = 2
        span.events = [.init(name: "exception", attributes: ["exception.type": "Timeout", "exception.message": "no answer"])]
        #expect(lines([span]) == ["failed Timeout: no answer"])
    }

    @Test func aFailedCallInsideAnotherIsToldOnce() {
        var outer = call("a", at: 1, [("user", "q")], nil)
        outer.statusCode = 2
        outer.errorType = "Timeout"
        var inner = SpanContent()
        inner.traceID = "t1"
        inner.spanID = "b"
        inner.parentSpanID = "a"
        inner.stage = "llm"
        inner.statusCode = 2
        inner.errorType = "timeout_error"
        #expect(lines([outer, inner]) == ["user: q", "failed Timeout: -"])
    }

    @Test func aToolThatAMessageCallsStandsInTheMessage() {
        var first = call("a", at: 1, [("user", "q")], nil)
        guard case .object(let members) = first.attributes else { return }
        first.attributes = .object(
            members + [
                .init(
                    "gen_ai.output.messages",
                    [["role": "assistant", "parts": [["type": "tool_call", "id": "c1", "name": "f", "arguments": ["x": .integer(1)]]]]])
            ])
        var tool = SpanContent()
        tool.traceID = "t1"
        tool.spanID = "b"
        tool.toolName = "f"
        tool.startUnixNano = 2
        tool.durationNanoseconds = 5
        tool.attributes = ["gen_ai.tool.call.id": "c1", "gen_ai.tool.call.result": "done"]
        var other = tool
        other.spanID = "c"
        other.toolName = "g"
        other.attributes = .object([])
        let spans = [first, tool, other]
        #expect(lines(spans) == ["user: q", #"assistant: call c1 f {"x":1}"#, "ran g"])
        guard case .message(let spoken) = Conversation(spans).items[1] else { return }
        #expect(spoken.runs[0]?.spanID == "b")
        #expect(spoken.runs[0]?.result == [.text("done")])
    }

    @Test func aTraceWithoutModelCallsIsTakenByItsRoot() {
        var root = SpanContent()
        root.spanID = "a"
        root.attributes = ["input.value": "question", "output.value": "answer"]
        #expect(lines([root]) == ["user: question", "assistant: answer"])
    }

    @Test func whatIsWrittenIsJSONAndLongTextsSayWhatIsMissing() throws {
        var limits = ConversationText.Limits()
        limits.textBytes = 4
        var writer = JSONWriter()
        writer.raw("{")
        var text = ConversationText(limits: limits)
        text.write(Conversation([call("a", at: 1, [("user", "123456")], "ok")]), into: &writer)
        writer.raw("}")
        let value = try JSONValue.parse(writer.bytes[...])
        let part = value["items"]?.elements?.first?["parts"]?.elements?.first
        #expect(part?["text"] == "1234")
        #expect(part?["omitted_bytes"] == .integer(2))
        #expect(value["truncated"] == .bool(true))
    }

    /// Whatever is sent, the reader ends, and says nothing twice for it.
    @Test func brokenValuesEnd() {
        let deep = String(repeating: "[", count: 63) + String(repeating: "]", count: 63)
        let wide = "[" + Array(repeating: #"{"role":"user","content":"x"}"#, count: 5000).joined(separator: ",") + "]"
        for text in [deep, wide, "[", "{}", "null", #"[{"role":1}]"#, #"{"messages":{"messages":{"messages":3}}}"#, #"[[[["a"]]]]"#] {
            for key in ["gen_ai.input.messages", "gen_ai.prompt", "input.value", "langfuse.observation.input", "events"] {
                var span = SpanContent()
                span.stage = "llm"
                span.attributes = .object([.init(key, .string(text))])
                let call = ModelCallReader.read(span)
                #expect(call.input.count <= ConversationLimits.messagesMax)
            }
        }
    }
}
