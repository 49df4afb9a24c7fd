import OTLP
import TelemetryModel
import Testing

/// The wire half of the bad inputs that a server meets: what is refused, what is repaired, what is left out and counted.
struct MalformedRequestTests {
    @Test(
        "Bytes that no protobuf reader takes are refused, each with its reason",
        arguments: [
            // Row 17: JSON, whose brace is the begin of a group.
            (Array("{\"resourceSpans\":[]}".utf8), WireError.truncated),
            // Row 19, 20: noise, and a length that runs past the end.
            ([0xFF, 0xFF, 0xFF], .truncated), ([0x0A, 0x10, 0x61], .truncated), ([0x0A], .truncated),
            // Row 21: varints of eleven bytes, and of 65 bits.
            ([0x08] + [UInt8](repeating: 0x80, count: 11), .wrongWireType(field: 1)),
            ([0x98, 0x06] + [UInt8](repeating: 0x80, count: 11), .varintTooLong),
            ([0x98, 0x06] + [UInt8](repeating: 0xFF, count: 9) + [0x02], .varintTooLong),
            // Row 22: field number 0, a field number that is too large, wire types 6 and 7.
            ([0x00, 0x01], .invalidTag), ([0x02, 0x00], .invalidTag), ([0x80, 0x80, 0x80, 0x80, 0x10, 0x00], .invalidTag),
            ([0x0E], .invalidTag), ([0x9F, 0x06], .invalidTag),
            // Row 23: lengths of 2^63 and more.
            ([0x0A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], .truncated),
            ([0x0A] + [UInt8](repeating: 0xFF, count: 9) + [0x01], .truncated),
            // Row 24: groups without an end, ends without a group, and crossed ones.
            ([0x9B, 0x06], .unbalancedGroup), ([0x9C, 0x06], .unbalancedGroup),
            ([0x9B, 0x06, 0xA3, 0x06, 0x9C, 0x06, 0xA4, 0x06], .unbalancedGroup),
            // Row 26: a field of the schema with another wire type.
            ([0x08, 0x01], .wrongWireType(field: 1)), ([0x0D, 0, 0, 0, 0], .wrongWireType(field: 1)),
        ] as [([UInt8], WireError)])
    func refused(bytes: [UInt8], reason: WireError) {
        #expect(throws: OTLPDecodingError.malformed(reason)) { try TraceDecoder().decode(bytes) }
    }

    @Test(
        "A field of the wrong wire type is refused at every level",
        arguments: [
            TestRequests.span { $0.varint(1, 0) }, TestRequests.span { $0.varint(5, 0) },
            TestRequests.span { $0.lengthDelimited(6, []) }, TestRequests.span { $0.varint(7, 0) },
            TestRequests.span { $0.fixed64(16, 0) }, TestRequests.span { $0.message(15) { $0.lengthDelimited(3, []) } },
            TestRequests.span { $0.message(11) { $0.varint(1, 0) } }, TestRequests.span { $0.message(13) { $0.varint(1, 0) } },
            TestRequests.attribute([0x08, 0x01]), TestRequests.attribute([0x12, 0x01, 0x01]),
            TestRequests.attribute([0x2A, 0x02, 0x08, 0x01]), TestRequests.scope { $0.varint(3, 1) },
            TestRequests.scope { $0.message(1) { $0.varint(1, 1) } },
            // A value that another one replaces, and what is kept of a resource without being looked at.
            TestRequests.span {
                $0.message(9) {
                    $0.lengthDelimited(2, [0x08, 0x01]); $0.lengthDelimited(2, [])
                }
            },
            TestRequests.resource { $0.fixed32(2, 1) }, TestRequests.resource { $0.varint(3, 1) },
            TestRequests.resource { $0.message(3) { $0.varint(2, 1) } },
        ])
    func wrongWireTypes(bytes: [UInt8]) {
        do throws(OTLPDecodingError) {
            _ = try TraceDecoder().decode(bytes)
            Issue.record("taken")
        } catch {
            guard case .malformed(.wrongWireType) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test func everyPrefixOfARequestIsRefusedOrWhole() throws {
        let body = TestRequests.span { $0.lengthDelimited(5, "name".utf8) }
        for count in 1..<body.count {
            #expect(throws: OTLPDecodingError.malformed(.truncated)) { try TraceDecoder().decode(Array(body[..<count])) }
        }
        #expect(try TraceDecoder().decode([]).spans.isEmpty)
        #expect(try TraceDecoder().decode(body).spans.count == 1)
    }

    @Test func unknownFieldsAndGroupsAreSteppedOver() throws {
        // Row 25, at the top and in a span: a varint, a message, fixed ones, and a group with a group in it.
        let group: [UInt8] = [0x9B, 0x06, 0xA3, 0x06, 0x08, 0x01, 0xA4, 0x06, 0x9C, 0x06]
        let body =
            group
            + TestRequests.span { span in
                span.varint(99, 1)
                span.message(98) { $0.varint(1, 1) }
                span.fixed32(97, 1)
                span.fixed64(96, 1)
                span.raw(group)
            }
        #expect(try TraceDecoder().decode(body).spans.count == 1)
    }

    @Test func groupsNestNoDeeperThanTheReaderAllows() throws {
        let deep = { (depth: Int) in
            [[UInt8]](repeating: [0x9B, 0x06], count: depth).flatMap { $0 }
                + [[UInt8]](repeating: [0x9C, 0x06], count: depth).flatMap { $0 }
        }
        #expect(try TraceDecoder().decode(deep(WireReader.groupDepthMax)).spans.isEmpty)
        #expect(throws: OTLPDecodingError.self) { try TraceDecoder().decode(deep(WireReader.groupDepthMax + 1)) }
        #expect(throws: OTLPDecodingError.self) { try TraceDecoder().decode(deep(100_000)) }
    }

    @Test(
        "Row 27: malformed UTF-8 becomes U+FFFD wherever text is read",
        arguments: [([0x61, 0xFF, 0x62], "a\u{FFFD}b"), ([0xC3], "\u{FFFD}"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}")])
    func textIsMended(bytes: [UInt8], expected: String) throws {
        var value = WireWriter()
        value.lengthDelimited(1, bytes)
        let body = TestRequests.span { span in
            span.lengthDelimited(3, bytes)
            span.lengthDelimited(5, bytes)
            span.message(15) { $0.lengthDelimited(2, bytes) }
            span.message(11) { $0.lengthDelimited(2, bytes) }
            span.message(9) { pair in
                pair.lengthDelimited(1, bytes)
                pair.lengthDelimited(2, value.bytes)
            }
        }
        let batch = try TraceDecoder().decode(body)
        let span = try #require(batch.spans.first)
        let attribute = try #require(batch.attributes.first)
        let slices = [
            span.name, span.traceState, span.statusMessage, batch.events.first?.name ?? .empty, attribute.slice,
            batch.keys[Int(attribute.key)],
        ]
        #expect(slices.map(batch.string) == [String](repeating: expected, count: 6))
    }

    @Test(
        "Rows 28 to 31: a span without two valid ids is left out and counted",
        arguments: [
            ([UInt8](1...15), [UInt8](1...8)), ([UInt8](1...17), [UInt8](1...8)),
            ([UInt8](repeating: 0, count: 16), [UInt8](1...8)),
            ([], [UInt8](1...8)), ([UInt8](1...16), [UInt8](1...7)), ([UInt8](1...16), [UInt8](1...9)), ([UInt8](1...16), []),
            ([UInt8](1...16), [UInt8](repeating: 0, count: 8)), ([UInt8](1...32), [UInt8](1...16)),
        ])
    func invalidIDs(traceID: [UInt8], spanID: [UInt8]) throws {
        let batch = try TraceDecoder().decode(
            TestRequests.scope { scope in
                scope.message(2) { span in
                    span.lengthDelimited(1, traceID)
                    span.lengthDelimited(2, spanID)
                    span.message(9) { $0.lengthDelimited(1, "k".utf8) }
                    span.message(11) { $0.lengthDelimited(2, "e".utf8) }
                }
            })
        #expect(batch.rejections.invalidIDs == 1)
        #expect(batch.rejections.total == 1)
        #expect(batch.spans.isEmpty && batch.resources.isEmpty && batch.scopes.isEmpty)
        #expect(batch.attributes.isEmpty && batch.events.isEmpty)
    }

    @Test func missingIDsAreInvalidToo() throws {
        let batch = try TraceDecoder().decode(TestRequests.scope { $0.message(2) { $0.lengthDelimited(5, "x".utf8) } })
        #expect(batch.rejections.invalidIDs == 1)
    }

    @Test(
        "Row 32: a parent that is no id is none, and so is the span itself",
        arguments: [[], [1, 2, 3, 4], [UInt8](repeating: 0, count: 8), [UInt8](1...9), TestRequests.spanID] as [[UInt8]])
    func invalidParents(parent: [UInt8]) throws {
        let batch = try TraceDecoder().decode(TestRequests.span { $0.lengthDelimited(4, parent) })
        #expect(batch.spans.map(\.parentSpanID) == [SpanID(0)])
    }

    @Test func oneBadSpanAmongManyIsLeftOutAlone() throws {
        // Rows 33 and 34.
        let request = { (badEvery: Int) in
            TestRequests.scope { scope in
                for number in 1...512 {
                    scope.message(2) { span in
                        span.lengthDelimited(1, TestRequests.traceID)
                        span.lengthDelimited(2, number % badEvery == 0 ? [1] : SpanID(UInt64(number)).bytes)
                        span.message(9) { $0.lengthDelimited(1, "k\(number)".utf8) }
                    }
                }
            }
        }
        let one = try TraceDecoder().decode(request(300))
        #expect(one.spans.count == 511)
        #expect(one.rejections.invalidIDs == 1)
        #expect(one.attributes.count == 511)
        for span in one.spans {
            let attribute = try #require(one.attributes[span.attributes.indices].first)
            #expect(one.string(one.keys[Int(attribute.key)]) == "k\(span.spanID.value)")
        }
        let all = try TraceDecoder().decode(request(1))
        #expect(all.spans.isEmpty)
        #expect(all.rejections.total == 512)
    }
}
