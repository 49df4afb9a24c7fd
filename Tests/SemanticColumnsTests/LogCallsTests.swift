import OTLP
import SemanticColumns
import TelemetryModel
import Testing

/// What log records of agents become that tell of their calls in no other way.
struct LogCallsTests {
    private static let time: Int64 = 1_700_000_000_000_000_000

    /// A request with one record.
    private func request(
        _ attributes: AttributeList, scope: String = "", traceID: TraceID? = nil, spanID: SpanID? = nil, time: Int64 = time
    ) throws -> LogBatch {
        var writer = WireWriter()
        writer.message(1) { resourceLogs in
            resourceLogs.message(1) { $0.attributes(1, ["service.name": "agent"]) }
            resourceLogs.message(2) { scopeLogs in
                scopeLogs.message(1) { $0.lengthDelimited(1, scope.utf8) }
                scopeLogs.message(2) { record in
                    record.fixed64(1, UInt64(time))
                    record.attributes(6, attributes)
                    if let traceID { record.lengthDelimited(9, traceID.bytes) }
                    if let spanID { record.lengthDelimited(10, spanID.bytes) }
                }
            }
        }
        return try LogsDecoder().decode(writer.bytes)
    }

    private func only(_ batch: LogBatch) throws -> (span: SpanRecord, columns: [String: String]) {
        let spans = try #require(LogCalls.spans(of: batch))
        try #require(spans.spans.count == 1)
        return (spans.spans[0], ReadColumns.all(spans)[0])
    }

    private static let response: AttributeList = [
        "event.name": "gemini_cli.api_response", "session.id": "s", "prompt_id": "p", "model": "m", "duration_ms": 800,
        "input_token_count": 12, "output_token_count": 3, "thoughts_token_count": 2, "cached_content_token_count": 4,
    ]

    @Test func aModelCallHasItsTokensItsTimeAndItsConversation() throws {
        let (span, columns) = try only(try request(Self.response))
        #expect(columns["operation"] == "generate_content" && columns["model"] == "m" && columns["session_id"] == "s")
        #expect(columns["input_tokens"] == "12" && columns["output_tokens"] == "5" && columns["cached_tokens"] == "4")
        #expect(columns["told_by_log"] == "1")
        #expect(span.endTimeUnixNano == Self.time && span.startTimeUnixNano == Self.time - 800_000_000)
        #expect(span.traceID.isValid && span.spanID.isValid && !span.parentSpanID.isValid && span.statusCode == 0)
    }

    @Test func theSameRecordIsTheSameSpanAndAPromptIsOneTrace() throws {
        let (first, _) = try only(try request(Self.response))
        let (again, _) = try only(try request(Self.response))
        #expect(first.spanID == again.spanID && first.traceID == again.traceID && first.contentHash == again.contentHash)
        let (later, _) = try only(try request(Self.response, time: Self.time + 1))
        #expect(later.spanID != first.spanID && later.traceID == first.traceID)
        var other = Self.response
        other.append("prompt_id", "q")
        #expect(try only(try request(other)).span.traceID != first.traceID)
    }

    @Test func failuresAreToldByWhatTheEventSays() throws {
        let tool: AttributeList = [
            "event.name": "gemini_cli.tool_call", "function_name": "t", "success": false, "error_type": "boom",
        ]
        let (span, columns) = try only(try request(tool))
        #expect(span.statusCode == 2 && columns["tool_name"] == "t" && columns["error_type"] == "boom")
        let error: AttributeList = ["event.name": "api_error", "model": "m", "error": "Request timed out.", "status_code": "529"]
        let batch = try request(error, scope: "com.anthropic.claude_code.events")
        let spans = try #require(LogCalls.spans(of: batch))
        #expect(spans.string(spans.spans[0].statusMessage) == "Request timed out.")
        // The same name of somebody else is something else.
        #expect(LogCalls.spans(of: try request(error, scope: "other")) == nil)
    }

    @Test func aRecordInsideASpanIsASpanOnlyWhenItKnowsBetter() throws {
        let trace = TraceID(high: 1, low: 2)
        #expect(LogCalls.spans(of: try request(Self.response, traceID: trace, spanID: SpanID(3))) == nil)
        #expect(try only(try request(Self.response, traceID: trace)).span.traceID == trace)
        let result: AttributeList = [
            "event.name": "codex.tool_result", "tool_name": "shell", "success": "false", "duration_ms": "300",
        ]
        let (span, columns) = try only(try request(result, traceID: trace, spanID: SpanID(3)))
        #expect(span.traceID == trace && span.parentSpanID == SpanID(3) && span.statusCode == 2)
        #expect(span.startTimeUnixNano == Self.time - 300_000_000)
        #expect(columns["told_by_log"] == "2" && columns["tool_name"] == "shell")
    }

    @Test func otherRecordsAndHostileOnesMakeNothing() throws {
        #expect(LogCalls.spans(of: try request(["event.name": "gemini_cli.config"])) == nil)
        #expect(LogCalls.spans(of: try request([:])) == nil)
        #expect(LogCalls.spans(of: try request(Self.response, time: 0)) == nil)
        for duration: AttributeValue in [.double(.infinity), .double(1e300), .double(-5), "x", .int(.max)] {
            var attributes = Self.response
            attributes.append("duration_ms", duration)
            let (span, _) = try only(try request(attributes))
            #expect(span.startTimeUnixNano > 0 && span.startTimeUnixNano <= span.endTimeUnixNano)
        }
        var huge = Self.response
        huge.append("output_token_count", .int(.max))
        #expect(try only(try request(huge)).columns["output_tokens"] == nil)
    }

    @Test func theNameOfAnEventIsTheFieldElseTheAttribute() throws {
        let batch = try request(["event.name": "first", "other": 1])
        #expect(batch.string(batch.records[0].eventName) == "first")
        let number = try request(["event.name": 5])
        #expect(number.records[0].eventName.isEmpty)
    }
}
