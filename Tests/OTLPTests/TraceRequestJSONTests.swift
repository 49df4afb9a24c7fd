import OTLP
import TelemetryModel
import Testing

/// What is written as OTLP JSON comes back as it was.
@Suite struct TraceRequestJSONTests {
    @Test func aSmallRequestReadsAsTheProtocolSays() throws {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string("svc")])
        builder.beginScope(name: "tests")
        var span = SpanDescription(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), name: "work \"1\"")
        span.startTimeUnixNano = 1_767_225_600_000_000_001
        span.endTimeUnixNano = 1_767_225_600_000_000_002
        span.attributes = ["tokens": .int(-5)]
        builder.append(span)
        let text = String(decoding: try TraceRequestJSON.encode(builder.batch), as: UTF8.self)
        #expect(
            text == """
                {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"svc"}}]},\
                "scopeSpans":[{"scope":{"name":"tests"},"spans":[{"traceId":"00000000000000010000000000000002",\
                "spanId":"0000000000000003","name":"work \\"1\\"","kind":1,"startTimeUnixNano":"1767225600000000001",\
                "endTimeUnixNano":"1767225600000000002","attributes":[{"key":"tokens","value":{"intValue":"-5"}}]}]}]}]}
                """)
    }

    @Test func everyCapturedRequestComesBackTheSame() throws {
        for request in try Captures.all() {
            let batch = try TraceDecoder().decode(request.inflated())
            let json = try TraceRequestJSON.encode(batch)
            let protobuf = try JSONTranscoder.protobuf(json, as: .traceRequest, limit: 64 << 20)
            let again = try TraceDecoder().decode(protobuf)
            #expect(BatchContent(again) == BatchContent(batch), "\(request.name)")
        }
    }
}
