import OTLP
import TelemetryModel
import Testing

@testable import TelemetryTesting

/// What is sent on: requests of log records, batches that are put together of parts, compressed bodies, and what targets answer.
@Suite struct OutgoingRequestTests {
    @Test func logRequestsDecodeToTheSameRecords() throws {
        var mutations = Mutations(of: LogRequests.seeds, seed: 11)
        var taken = 0
        for body in LogRequests.seeds + (0..<1_500).map({ _ in mutations.next() }) {
            // Refused: nothing to encode.
            guard let batch = try? LogsDecoder().decode(body), batch.rejections.total == 0 else { continue }
            taken += 1
            let encoded = LogsRequestMessage.encode(batch)
            let again = try LogsDecoder().decode(encoded)
            #expect(again.rejections.total == 0)
            #expect(ComparableLogs.records(again) == ComparableLogs.records(batch))
            #expect(LogsRequestMessage.encode(again) == encoded)
        }
        #expect(taken > 100)
        #expect(LogsRequestMessage.encode(LogBatch(bytes: [])) == [])
    }

    @Test(arguments: Captures.names)
    func aBatchPutTogetherOfPartsHasTheSameSpansHoweverItWasParted(name: String) throws {
        let batches = try Captures.traces(name).map { try TraceDecoder().decode($0.inflated()) }
        let whole = SpanBatch.combining(batches)
        #expect(whole.spans.count == batches.reduce(0) { $0 + $1.spans.count })
        let encoded = TraceRequestMessage.encode(whole)
        var parts: [SpanBatch] = []
        for batch in batches {
            for index in batch.spans.indices {
                var part = batch
                part.spans = [batch.spans[index]]
                parts.append(part)
            }
        }
        #expect(TraceRequestMessage.encode(SpanBatch.combining(parts)) == encoded)
        // What is decoded of it differs from what came in the order of attributes alone.
        let again = try TraceDecoder().decode(encoded)
        for (sent, came) in zip(again.spans, batches.flatMap { batch in batch.spans.map { (batch, $0) } }) {
            let (batch, span) = came
            #expect(sent.identity == span.identity && again.string(sent.name) == batch.string(span.name))
            #expect(texts(again, sent) == texts(batch, span))
            #expect(sent.events.count == span.events.count && sent.links.count == span.links.count)
            let resource = batch.resources[Int(span.resource)]
            #expect(Array(again.bytes(again.resources[Int(sent.resource)].encoded)) == Array(batch.bytes(resource.encoded)))
        }
    }

    /// Attributes in the order of their keys.
    private func texts(_ batch: SpanBatch, _ span: SpanRecord) -> [String] {
        batch.attributes[span.attributes.indices].map { attribute in
            let value = attribute.kind.isSlice ? "\(Array(batch.bytes(attribute.slice)))" : "\(attribute.payload)"
            return "\(Array(batch.bytes(batch.keys[Int(attribute.key)]))) \(attribute.kind) \(value)"
        }.sorted()
    }

    @Test func compressedBodiesInflateToWhatTheyWereAndAreAlwaysTheSame() throws {
        for body in [[], [7], Array(repeating: 9, count: 100_000), Array("spans and spans".utf8)] as [[UInt8]] {
            for encoding in [ContentEncoding.identity, .gzip, .zstd] {
                let compressed = try #require(Compression.compress(body, encoding))
                #expect(try Inflation.inflate(compressed, encoding, limit: 1 << 20) == body)
                #expect(Compression.compress(body, encoding) == compressed)
            }
        }
        #expect(Compression.compress([1], .deflate) == nil)
    }

    @Test func answersSayWhatWasNotTaken() {
        for (body, type, expected) in [
            (OTLPMessage.exportTraceServiceResponse(rejectedSpans: 3, errorMessage: "why"), "application/x-protobuf", (3, "why")),
            (OTLPMessage.exportLogsServiceResponse(rejectedLogRecords: 2, errorMessage: ""), "application/x-protobuf", (2, "")),
            (OTLPMessage.exportTraceServiceResponse(rejectedSpans: 4, errorMessage: "w", as: .json), "application/json", (4, "w")),
            (
                OTLPMessage.exportLogsServiceResponse(rejectedLogRecords: 0, errorMessage: "a warning", as: .json), "application/json",
                (0, "a warning")
            ),
            ([], "text/html", (0, "")),
        ] as [([UInt8], String, (Int64, String))] {
            #expect(ExportAnswer(body, contentType: type) == ExportAnswer(rejected: expected.0, message: expected.1))
        }
        for (body, type) in [
            ("<html>", "text/html"), ("[]", "application/json"), ("{", "application/json"), ("\u{FF}\u{FF}", "application/x-protobuf"),
        ] {
            #expect(ExportAnswer(Array(body.utf8), contentType: type) == nil, "\(body)")
        }
    }
}
