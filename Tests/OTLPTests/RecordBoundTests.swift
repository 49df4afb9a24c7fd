import OTLP
import TelemetryModel
import Testing

/// No request may make us hold much more than it weighs itself.
struct RecordBoundTests {
    /// Bytes of records for each byte of a request. The worst is an event without a field: 2 bytes on the wire, 32 as a record.
    private static let multipleMax = 16

    @Test("Floods of the smallest things cost a bounded multiple of the request", arguments: Flood.allCases)
    func flood(_ flood: Flood) throws {
        var request = WireWriter()
        flood.write(to: &request)
        let body = request.bytes
        let batch = try TraceDecoder().decode(body)
        #expect(Self.recordBytes(batch) <= Self.multipleMax * body.count, "\(body.count) bytes")
        // Mended text is at most three times what came.
        #expect(batch.bytes.count <= 4 * body.count)
    }

    @Test func recordsOfOneRequestHaveACapWhateverItsSize() throws {
        var limits = TraceDecoder.Limits()
        limits.attributesMax = 1_500
        limits.eventsMax = 1_200
        var request = WireWriter()
        request.message(1) { resource in
            resource.message(2) { scope in
                for number in 1...4 {
                    scope.smallestSpan(number) { span in
                        for key in 0..<500 { span.message(9) { $0.lengthDelimited(1, Array("\(key)".utf8)) } }
                        span.flood(11, 500)
                    }
                }
            }
        }
        let batch = try TraceDecoder(limits: limits).decode(request.bytes)
        #expect(batch.spans.count == 4)
        #expect(batch.attributes.count == 1_500)
        #expect(batch.events.count == 1_200)
        #expect(batch.spans.map(\.droppedAttributesCount) == [0, 0, 0, 500])
        #expect(batch.spans.map(\.droppedEventsCount) == [0, 0, 300, 500])
    }

    @Test func envelopesWithoutSpansLeaveNoAttributesBehind() throws {
        var request = WireWriter()
        request.message(1) { $0.message(1) { $0.flood(1, 1_000) } }
        request.message(1) { envelope in
            envelope.message(1) { $0.flood(1, 2) }
            envelope.message(2) { $0.smallestSpan(1) { $0.flood(9, 1) } }
        }
        // Its only span has no ids.
        request.message(1) { envelope in
            envelope.message(1) { $0.flood(1, 5) }
            envelope.message(2) { $0.message(2) { $0.flood(9, 7) } }
        }
        request.spans(1) { $0.message(9) { $0.lengthDelimited(1, Array("own".utf8)) } }
        let batch = try TraceDecoder().decode(request.bytes)
        #expect(batch.spans.count == 2 && batch.rejections.invalidIDs == 1)
        #expect(batch.attributes.count == 4)
        #expect(batch.resources.map(\.attributes.count) == [2, 0])
        let keys = batch.spans.map { batch.attributes[$0.attributes.indices].map { batch.string(batch.keys[Int($0.key)]) } }
        #expect(keys == [[""], ["own"]])
    }

    /// What a column cannot hold is counted: nothing of a span vanishes in silence.
    @Test func ofAttributesWithOneKeyASpanKeepsTheLastAndCountsTheOthers() throws {
        func attribute(_ key: String, _ value: Int64) -> ArraySlice<UInt8> {
            var writer = WireWriter()
            writer.lengthDelimited(1, key.utf8)
            writer.message(2) { $0.anyValue(.int(value)) }
            return writer.bytes[...]
        }
        var request = WireWriter()
        // The first span is refused and must not be taken for part of the next.
        request.message(1) { $0.message(2) { $0.message(2) { $0.lengthDelimited(9, attribute("a", 9)) } } }
        request.spans(2) { span in
            for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5), ("b", 6)] as [(String, Int64)] {
                span.lengthDelimited(9, attribute(key, value))
            }
            span.varint(10, 7)
        }
        let batch = try TraceDecoder().decode(request.bytes)
        for span in batch.spans {
            let found = batch.attributes[span.attributes.indices].map { "\(batch.string(batch.keys[Int($0.key)]))=\($0.payload)" }
            #expect(found == ["a=5", "b=6", "c=4"])
            #expect(span.droppedAttributesCount == 3 + 7)
        }
    }

    @Test func distinctKeysOfOneRequestHaveALimitThatItsAnswerNames() throws {
        func request(keys: Int) -> [UInt8] {
            var request = WireWriter()
            request.spans((keys + 999) / 1_000) { _ in }
            for start in stride(from: 0, to: keys, by: 1_000) {
                request.spans(1) { span in
                    for key in start..<min(start + 1_000, keys) {
                        span.message(9) { $0.lengthDelimited(1, Array("key \(key)".utf8)) }
                    }
                }
            }
            return request.bytes
        }
        let limit = TraceDecoder.Limits().keysMax
        #expect(try TraceDecoder().decode(request(keys: limit)).keys.count == limit)
        let error = #expect(throws: OTLPDecodingError.self) { try TraceDecoder().decode(request(keys: limit + 1)) }
        #expect(error == .tooManyKeys(limit: limit))
        #expect(error?.message.contains("\(limit)") == true)
    }

    private static func recordBytes(_ batch: SpanBatch) -> Int {
        batch.keys.count * MemoryLayout<ByteSlice>.stride + batch.resources.count * MemoryLayout<ResourceRecord>.stride
            + batch.scopes.count * MemoryLayout<ScopeRecord>.stride + batch.spans.count * MemoryLayout<SpanRecord>.stride
            + batch.attributes.count * MemoryLayout<AttributeRecord>.stride
            + batch.events.count * MemoryLayout<EventRecord>.stride + batch.links.count * MemoryLayout<ByteSlice>.stride
    }
}

/// Requests of as many small things as fit.
enum Flood: CaseIterable {
    case spans, resources, scopes, resourceAttributes, scopeAttributes, validSpans, envelopesOfOneSpan, spanAttributes
    case spanAttributesPastTheLimit, events, eventsPastTheLimit, eventAttributes, links, differentKeys, brokenText

    func write(to request: inout WireWriter) {
        switch self {
        case .spans: request.message(1) { $0.message(2) { $0.flood(2, 200_000) } }
        case .resources: request.flood(1, 200_000)
        case .scopes: request.message(1) { $0.flood(2, 200_000) }
        case .resourceAttributes: request.message(1) { $0.message(1) { $0.flood(1, 200_000) } }
        case .scopeAttributes: request.message(1) { $0.message(2) { $0.message(1) { $0.flood(3, 200_000) } } }
        case .validSpans: request.spans(5_000) { _ in }
        case .envelopesOfOneSpan: for _ in 1...3_000 { request.spans(1) { _ in } }
        case .spanAttributes: request.spans(100) { $0.flood(9, 1_024) }
        case .spanAttributesPastTheLimit: request.spans(1) { $0.flood(9, 200_000) }
        case .events: request.spans(100) { $0.flood(11, 1_024) }
        case .eventsPastTheLimit: request.spans(1) { $0.flood(11, 200_000) }
        case .eventAttributes: request.spans(1) { $0.message(11) { $0.flood(3, 200_000) } }
        case .links: request.spans(1) { $0.flood(13, 200_000) }
        case .differentKeys:
            request.spans(50) { span in
                for number in 0..<1_000 {
                    span.message(9) { $0.lengthDelimited(1, [UInt8(number & 0x7F), UInt8(number >> 7), 0x61]) }
                }
            }
        case .brokenText:
            request.spans(1) { span in
                for _ in 0..<100 { span.lengthDelimited(5, [UInt8](repeating: 0xFF, count: 1_000)) }
            }
        }
    }
}

extension WireWriter {
    /// Empty messages in that field.
    fileprivate mutating func flood(_ field: Int, _ count: Int) {
        for _ in 0..<count { lengthDelimited(field, []) }
    }

    /// One scope of spans with nothing but ids and what `body` adds.
    fileprivate mutating func spans(_ count: Int, _ body: (inout WireWriter) -> Void) {
        message(1) { resource in
            resource.message(2) { scope in
                for number in 1...count { scope.smallestSpan(number, body) }
            }
        }
    }

    fileprivate mutating func smallestSpan(_ number: Int, _ body: (inout WireWriter) -> Void = { _ in }) {
        message(2) { span in
            span.lengthDelimited(1, TestRequests.traceID)
            span.lengthDelimited(2, SpanID(UInt64(number)).bytes)
            body(&span)
        }
    }
}
