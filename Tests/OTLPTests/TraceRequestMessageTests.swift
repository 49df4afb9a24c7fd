import OTLP
import TelemetryModel
import Testing

@testable import TelemetryTesting

struct TraceRequestMessageTests {
    @Test(arguments: Captures.names)
    func capturesSurviveEncodingAndDecoding(name: String) throws {
        for request in try Captures.traces(name) {
            let body = try request.inflated()
            let batch = try TraceDecoder().decode(body)
            let encoded = TraceRequestMessage.encode(batch)
            let again = try TraceDecoder().decode(encoded)
            #expect(BatchContent(again) == BatchContent(batch), "\(request.name)")
            // Nothing of what was captured is lost but empty statuses, which some exporters write.
            #expect(encoded.count <= body.count && encoded.count + 5 * batch.spans.count >= body.count, "\(request.name)")
            #expect(TraceRequestMessage.encode(again) == encoded)
            let oracle = try #require(ProtobufOracle.decodeTraceRequest(encoded))
            #expect(ComparableRequest(batch) == ComparableRequest(oracle))
        }
    }

    @Test func mutatedRequestsThatDecodeSurviveToo() throws {
        var mutations = Mutations(of: try Captures.singleSpans(spansMax: 4), seed: 7)
        var taken = 0
        for _ in 0..<2000 {
            guard let batch = try? TraceDecoder().decode(mutations.next()) else { continue }  // Refused: nothing to encode.
            taken += 1
            let again = try TraceDecoder().decode(TraceRequestMessage.encode(batch))
            #expect(again.rejections.total == 0)
            #expect(BatchContent(again) == BatchContent(batch))
        }
        #expect(taken > 300)
    }

    @Test func nothingIsNoByte() {
        #expect(TraceRequestMessage.encode(SpanBatch(bytes: [])) == [])
    }

    @Test func everythingThatABuilderTakesArrives() throws {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": "s\0s", "host": ["a", 1]], schemaURL: "r")
        builder.beginScope(name: "one", version: "1", attributes: ["k": true], schemaURL: "u")
        builder.append(BuiltSpans.full(1))
        builder.append(BuiltSpans.full(2))
        builder.beginScope(name: "two")
        builder.append(BuiltSpans.full(3))
        builder.beginResource([:])
        builder.append(BuiltSpans.full(4))
        let decoded = try TraceDecoder().decode(TraceRequestMessage.encode(builder.batch))
        #expect(BatchContent(decoded) == BatchContent(builder.batch))
        #expect(decoded.resources.count == 2)
        #expect(decoded.scopes.count == 3)
        #expect(decoded.rejections.total == 0)
    }

    @Test func spansOfAlternatingResourcesStayInOrder() throws {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": "a"])
        builder.append(BuiltSpans.full(1))
        builder.beginResource(["service.name": "b"])
        builder.append(BuiltSpans.full(2))
        var batch = builder.batch
        batch.spans.append(batch.spans[0])
        let decoded = try TraceDecoder().decode(TraceRequestMessage.encode(batch))
        #expect(decoded.spans.map(\.spanID.value) == [1, 2, 1])
        let services = decoded.spans.map { ResourceIdentity(decoded.resources[Int($0.resource)], decoded).serviceName }
        #expect(services == ["a", "b", "a"])
    }
}
