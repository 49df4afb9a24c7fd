import OTLP
import TelemetryModel
import Testing

@testable import TelemetryTesting

/// Holds `TraceDecoder` against libprotobuf-c: where both take the bytes they must see the same spans.
///
/// Permitted differences in content are those of `ComparableSpan`, and inputs with `RepeatedMessages` are left out. Permitted
/// differences in what is taken at all are the two lists below.
struct TraceDecoderDifferentialTests {
    @Test(arguments: Captures.names)
    func capturedRequestsAreReadAlike(name: String) throws {
        for request in try Captures.traces(name) {
            let body = try request.inflated()
            let batch = try TraceDecoder().decode(body)
            let oracle = try #require(ProtobufOracle.decodeTraceRequest(body))
            #expect(batch.rejections.total == 0)
            #expect(!batch.spans.isEmpty)
            #expect(ComparableRequest(batch) == ComparableRequest(oracle), "\(request.name)")
        }
    }

    @Test func mutatedRequestsAreReadAlikeWhereBothReadThem() throws {
        var mutations = Mutations(of: try Captures.singleSpans(spansMax: 12), seed: 20_261_121)
        var counts = (both: 0, neither: 0, oursOnly: 0, theirsOnly: 0)
        for round in 0..<6000 {
            let body = mutations.next()
            let oracle = ProtobufOracle.decodeTraceRequest(body, memoryMax: 16 << 20)
            do throws(OTLPDecodingError) {
                let batch = try TraceDecoder().decode(body)
                guard let oracle else {
                    counts.oursOnly += 1
                    continue
                }
                counts.both += 1
                guard !RepeatedMessages.areFound(in: body) else { continue }
                let (ours, theirs) = (ComparableRequest(batch), ComparableRequest(oracle))
                guard ours == theirs else {
                    Issue.record("round \(round): \(body)")
                    return
                }
            } catch {
                counts.neither += oracle == nil ? 1 : 0
                guard oracle != nil else { continue }
                counts.theirsOnly += 1
                #expect(Self.mayBeOursAlone(error), "round \(round): \(error) for \(body)")
            }
        }
        // The mutations must be neither all harmless nor all fatal, or they would show nothing.
        #expect(counts.both > 1000 && counts.neither > 500, "\(counts)")
        // Groups, length prefixes of more than five bytes, and wrong wire types of fields that only libprotobuf-c knows.
        #expect(counts.oursOnly < 300, "\(counts)")
    }

    /// What ours refuses though libprotobuf-c takes it: booleans of another wire type, varints of more than 64 bits, field
    /// number 0 and those above 2^29-1, values nested deeper than ours may be.
    private static func mayBeOursAlone(_ error: OTLPDecodingError) -> Bool {
        switch error {
        case .malformed(.wrongWireType(field: 2)), .malformed(.varintTooLong), .malformed(.invalidTag), .valueTooDeep, .tooManyKeys: true
        case .malformed: false
        }
    }
}
