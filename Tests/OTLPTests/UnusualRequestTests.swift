import OTLP
import TelemetryModel
import Testing

/// Requests that are odd but are taken: nesting, empty and repeated things, times and sizes at their limits.
struct UnusualRequestTests {
    @Test(arguments: [false, true])
    func valuesNestToTheLimitAndNoFurther(keyed: Bool) throws {
        // Row 49. Far past the limit nothing may overflow the stack.
        for depth in [1, 45, 64] {
            let batch = try TraceDecoder().decode(TestRequests.attribute(TestRequests.nested(depth, keyed: keyed)))
            #expect(batch.attributes.map(\.kind) == [keyed ? .keyValueList : .array])
        }
        for depth in [65, 66, 10_000] {
            #expect(throws: OTLPDecodingError.valueTooDeep(limit: 64)) {
                try TraceDecoder().decode(TestRequests.attribute(TestRequests.nested(depth, keyed: keyed)))
            }
        }
    }

    @Test(arguments: NestedIn.allCases)
    func depthIsLimitedInScopesEventsAndLinksToo(place: NestedIn) throws {
        let pair = { (depth: Int) in
            var writer = WireWriter()
            writer.lengthDelimited(2, TestRequests.nested(depth))
            return writer.bytes
        }
        #expect(throws: Never.self) { try TraceDecoder().decode(place.request(pair(64))) }
        #expect(throws: OTLPDecodingError.valueTooDeep(limit: 64)) { try TraceDecoder().decode(place.request(pair(65))) }
    }

    @Test func emptyValuesAndKeysAreKeptAndOfRepeatedKeysTheLast() throws {
        // Row 51. A column holds one value of a span; the others are counted.
        let batch = try TraceDecoder().decode(
            TestRequests.span { span in
                span.message(9) { _ in }
                span.message(9) { $0.lengthDelimited(1, "k".utf8) }
                span.attributes(9, ["k": 7, "k": "last"])
            })
        #expect(batch.attributes.map(\.kind) == [.empty, .string])
        #expect(batch.attributes.map { batch.string(batch.keys[Int($0.key)]) } == ["", "k"])
        #expect(batch.spans.map(\.droppedAttributesCount) == [2])
        #expect(batch.keys.count == 2)
    }

    @Test func stringTableIndexIsAnEmptyValue() throws {
        // Row 52. It is a member of the oneof: what was set before it is gone, what comes after it counts.
        let kinds = try [[0x40, 3], [0x18, 4, 0x40, 3], [0x40, 3, 0x18, 4]].map {
            try TraceDecoder().decode(TestRequests.attribute($0)).attributes.map(\.kind)
        }
        #expect(kinds == [[.empty], [.empty], [.int]])
    }

    @Test(
        "Row 53: times that make no sense are kept, and the duration is never negative",
        arguments: [(2_000, 1_000, 0), (0, 1_000, 1_000), (0, 0, nil), (1_000, 0, nil)] as [(UInt64, UInt64, Int64?)])
    func oddTimes(start: UInt64, end: UInt64, duration: Int64?) throws {
        let batch = try TraceDecoder().decode(
            TestRequests.span { span in
                span.fixed64(7, start)
                span.fixed64(8, end)
            })
        let span = try #require(batch.spans.first)
        #expect(span.startTimeUnixNano == Int64(start) && span.endTimeUnixNano == Int64(end))
        #expect(span.durationNanoseconds == duration)
    }

    @Test(
        "Row 54: a time past 2262 does not trap; the span is left out and counted",
        arguments: [(7, UInt64.max, 1), (8, UInt64.max, 1), (7, 1 << 63, 1), (8, UInt64(Int64.max), 0)] as [(Int, UInt64, Int)])
    func timesOutOfRange(field: Int, time: UInt64, rejected: Int) throws {
        let batch = try TraceDecoder().decode(TestRequests.span { $0.fixed64(field, time) })
        #expect(batch.rejections.timesOutOfRange == rejected)
        #expect(batch.spans.count == 1 - rejected)
    }

    @Test func eventTimesAreClamped() throws {
        let batch = try TraceDecoder().decode(TestRequests.span { $0.message(11) { $0.fixed64(1, .max) } })
        #expect(batch.events.map(\.timeUnixNano) == [.max])
    }

    @Test func kindsAndCodesOutOfRangeAreKept() throws {
        // Row 55, and the largest varint in each.
        let batch = try TraceDecoder().decode(
            TestRequests.span { span in
                span.varint(6, 99)
                span.message(15) { $0.varint(3, 7) }
            })
        #expect(batch.spans.map(\.kind) == [99])
        #expect(batch.spans.map(\.statusCode) == [7])
        let largest = try TraceDecoder().decode(TestRequests.span { $0.varint(6, .max) })
        #expect(largest.spans.map(\.kind) == [-1])
    }

    @Test func longTextIsCutBetweenScalars() throws {
        // Row 79. "é" is two bytes, so that the limit falls into one of them.
        let long = "x" + String(repeating: "é", count: 5 << 20)
        var value = WireWriter()
        value.anyValue(.string(long))
        let batch = try TraceDecoder().decode(TestRequests.attribute(value.bytes))
        let attribute = try #require(batch.attributes.first)
        #expect(Int(attribute.slice.count) == (1 << 20) - 1)
        #expect(String(validating: batch.bytes(attribute.slice), as: UTF8.self)?.last == "é")
    }

    @Test func whatIsPastACountIsDroppedAndCounted() throws {
        // Row 79 again, with what the client says it dropped itself.
        let batch = try TraceDecoder().decode(
            TestRequests.span { span in
                span.varint(10, 7)
                for number in 0..<10_000 { span.attributes(9, ["k\(number)": 1]) }
                span.varint(12, 8)
                for _ in 0..<1_030 { span.message(11) { $0.lengthDelimited(2, "e".utf8) } }
                span.varint(14, 9)
                span.message(13) { $0.lengthDelimited(1, [1]) }
                for _ in 0..<1_030 {
                    span.message(13) { link in
                        link.lengthDelimited(1, TestRequests.traceID)
                        link.lengthDelimited(2, TestRequests.spanID)
                    }
                }
            })
        let span = try #require(batch.spans.first)
        #expect(span.attributes.count == 1024 && span.droppedAttributesCount == 7 + 10_000 - 1024)
        #expect(span.events.count == 1024 && span.droppedEventsCount == 8 + 6)
        #expect(span.links.count == 1024 && span.droppedLinksCount == 9 + 6 + 1)
    }

    @Test func droppedCountsNeverOverflowAndTheLastIsMeant() throws {
        let batch = try TraceDecoder().decode(
            TestRequests.span { span in
                for field in [10, 12, 14] {
                    span.varint(field, 5)
                    span.varint(field, UInt64(UInt32.max))
                }
                span.message(13) { $0.lengthDelimited(1, [1]) }
            })
        let span = try #require(batch.spans.first)
        #expect([span.droppedAttributesCount, span.droppedEventsCount, span.droppedLinksCount] == [.max, .max, .max])
    }

    @Test func valuesTooLargeToKeepAreDropped() throws {
        var limits = TraceDecoder.Limits()
        limits.valueBytesMax = 100
        let batch = try TraceDecoder(limits: limits).decode(
            TestRequests.span { span in
                span.attributes(9, ["bytes": .bytes([UInt8](repeating: 1, count: 101)), "kept": .bytes([1])])
                span.message(11) { $0.lengthDelimited(2, [UInt8](repeating: 0x61, count: 200)) }
            })
        let span = try #require(batch.spans.first)
        #expect(span.attributes.count == 1 && span.droppedAttributesCount == 1)
        #expect(span.events.count == 0 && span.droppedEventsCount == 1)
    }

    @Test func ofAScopeThatComesTwiceTheLastCountsWhole() throws {
        // Found by fuzzing: the name of the first stayed, though what is kept encoded is the second.
        let batch = try TraceDecoder().decode(
            TestRequests.scope { scope in
                scope.message(1) { $0.lengthDelimited(1, "first".utf8) }
                scope.message(1) { $0.lengthDelimited(2, "2".utf8) }
                scope.message(2) { TestRequests.valid(&$0) }
            })
        let scope = try #require(batch.scopes.first)
        #expect(batch.string(scope.name) == "" && batch.string(scope.version) == "2")
        let again = try TraceDecoder().decode(TraceRequestMessage.encode(batch))
        #expect(BatchContent(again) == BatchContent(batch))
    }

    @Test func envelopesMayComeAfterTheirSpans() throws {
        var writer = WireWriter()
        writer.message(1) { resource in
            resource.message(2) { scope in
                scope.message(2) { TestRequests.valid(&$0) }
                scope.message(1) { $0.lengthDelimited(1, "late".utf8) }
            }
            resource.message(1) { $0.attributes(1, ["service.name": "late too"]) }
        }
        let batch = try TraceDecoder().decode(writer.bytes)
        #expect(batch.scopes.map { batch.string($0.name) } == ["late"])
        #expect(batch.resources.map { ResourceIdentity($0, batch).serviceName } == ["late too"])
    }
}

/// Where an attribute may be besides a span.
enum NestedIn: CaseIterable {
    case resource, scope, event, link

    /// A request with that encoded `KeyValue` there.
    func request(_ pair: [UInt8]) -> [UInt8] {
        switch self {
        case .resource:
            var writer = WireWriter()
            writer.message(1) { $0.message(1) { $0.lengthDelimited(1, pair) } }
            return writer.bytes
        case .scope: return TestRequests.scope { $0.message(1) { $0.lengthDelimited(3, pair) } }
        case .event: return TestRequests.span { $0.message(11) { $0.lengthDelimited(3, pair) } }
        case .link: return TestRequests.span { $0.message(13) { $0.lengthDelimited(4, pair) } }
        }
    }
}
