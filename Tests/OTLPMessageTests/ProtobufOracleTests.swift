import Testing

@testable import TelemetryTesting

/// The oracle must itself be right, and must survive what would overflow libprotobuf-c's stack.
struct ProtobufOracleTests {
    @Test func emptyRequestHasNothing() {
        #expect(ProtobufOracle.decodeTraceRequest([]) == OracleRequest(resourceSpans: []))
    }

    @Test func everyFieldArrives() throws {
        let attribute = message(1, Array("k".utf8)) + message(2, message(1, Array("v".utf8)))
        let event = [0x09] + littleEndian(5) + message(2, Array("e".utf8)) + message(3, attribute) + [0x20, 1]
        let link =
            message(1, [UInt8](repeating: 1, count: 16)) + message(2, [UInt8](repeating: 2, count: 8))
            + message(3, Array("ts".utf8)) + message(4, attribute) + [0x28, 2, 0x35, 3, 0, 0, 0]
        let span =
            message(1, [UInt8](1...16)) + message(2, [UInt8](1...8)) + message(3, Array("a=b".utf8)) + message(4, [9])
            + message(5, Array("na\0me".utf8)) + [0x30, 99, 0x39] + littleEndian(7) + [0x41] + littleEndian(8)
            + message(9, attribute) + [0x50, 10] + message(11, event) + [0x60, 12] + message(13, link) + [0x70, 14]
            + message(15, message(2, Array("bad".utf8)) + [0x18, 2]) + [0x85, 0x01, 1, 1, 0, 0]
        let scope = message(1, Array("s".utf8)) + message(2, Array("1".utf8)) + message(3, attribute) + [0x20, 4]
        let resource = message(1, attribute) + [0x10, 5]
        let scopeSpans = message(1, scope) + message(2, span) + message(3, Array("u".utf8))
        let bytes = message(1, message(1, resource) + message(2, scopeSpans) + message(3, Array("r".utf8)))

        let expectedAttribute = [OracleRequest.Attribute(key: text("k"), value: .string(text("v")), keyStringIndex: 0)]
        #expect(
            ProtobufOracle.decodeTraceRequest(bytes)
                == OracleRequest(resourceSpans: [
                    .init(
                        resource: .init(attributes: expectedAttribute, droppedAttributesCount: 5), schemaURL: text("r"),
                        scopeSpans: [
                            .init(
                                scope: .init(
                                    name: text("s"), version: text("1"), attributes: expectedAttribute,
                                    droppedAttributesCount: 4),
                                schemaURL: text("u"),
                                spans: [
                                    .init(
                                        traceID: [UInt8](1...16), spanID: [UInt8](1...8), parentSpanID: [9],
                                        traceState: text("a=b"), flags: 257, name: text("na"), kind: 99,
                                        startTimeUnixNano: 7, endTimeUnixNano: 8, attributes: expectedAttribute,
                                        droppedAttributesCount: 10,
                                        events: [
                                            .init(
                                                timeUnixNano: 5, name: text("e"), attributes: expectedAttribute,
                                                droppedAttributesCount: 1)
                                        ],
                                        droppedEventsCount: 12,
                                        links: [
                                            .init(
                                                traceID: [UInt8](repeating: 1, count: 16),
                                                spanID: [UInt8](repeating: 2, count: 8), traceState: text("ts"),
                                                attributes: expectedAttribute, droppedAttributesCount: 2, flags: 3)
                                        ],
                                        droppedLinksCount: 14, status: .init(code: 2, message: text("bad")))
                                ])
                        ])
                ]))
    }

    @Test func everyKindOfValueArrives() {
        let values: [([UInt8], OracleRequest.Value)] = [
            ([], .empty),
            (message(1, Array("é\0".utf8)), .string(Array("é".utf8))),
            ([0x10, 1], .bool(true)),
            ([0x18] + [UInt8](repeating: 0xFF, count: 9) + [1], .int(-1)),
            ([0x21] + littleEndian(Double.nan.bitPattern), .double(bitPattern: Double.nan.bitPattern)),
            (message(5, message(1, [0x10, 0]) + message(1, [])), .array([.bool(false), .empty])),
            (
                message(6, message(1, message(1, text("k")) + [0x18, 7])),
                .keyValueList([.init(key: text("k"), value: nil, keyStringIndex: 7)])
            ),
            (message(7, [0, 0xFF]), .bytes([0, 0xFF])),
            ([0x40, 3], .stringIndex(3)),
            ([0x40, 3, 0x18, 4], .int(4)),
        ]
        for (bytes, expected) in values {
            let request = ProtobufOracle.decodeTraceRequest(requestWithResourceAttribute(bytes))
            #expect(request?.resourceSpans.first?.resource?.attributes.first?.value == expected)
        }
    }

    @Test func deepValuesAreRefusedBeforeTheyAreUnpacked() {
        #expect(ProtobufOracle.decodeTraceRequest(requestWithResourceAttribute(nested(64))) != nil)
        #expect(ProtobufOracle.decodeTraceRequest(requestWithResourceAttribute(nested(65))) == nil)
        #expect(ProtobufOracle.decodeTraceRequest(requestWithResourceAttribute(nested(65)), valueDepthMax: 65) != nil)
        #expect(ProtobufOracle.decodeTraceRequest(requestWithResourceAttribute(nested(10_000))) == nil)
        #expect(ProtobufOracle.decodeTraceRequest(requestWithResourceAttribute(nested(10_000, keyed: true))) == nil)
    }

    @Test func memoryIsBounded() {
        let spans = (0..<10_000).flatMap { _ in message(2, []) }
        let bytes = message(1, message(2, spans))
        #expect(ProtobufOracle.decodeTraceRequest(bytes, memoryMax: 1 << 20) == nil)
        #expect(ProtobufOracle.decodeTraceRequest(bytes)?.resourceSpans.first?.scopeSpans.first?.spans.count == 10_000)
    }

    @Test(
        arguments: [
            [0xFF, 0xFF, 0xFF], [0x0A, 0x10, 0x61], [0x0A], [0x0B, 0x0C], [0x09, 1, 2],
            [0x08] + [UInt8](repeating: 0x80, count: 11), [0x00, 0x01],
            [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        ] as [[UInt8]])
    func brokenBytesAreRefused(bytes: [UInt8]) {
        #expect(ProtobufOracle.decodeTraceRequest(bytes) == nil)
    }

    @Test func judgesLikeTheLibraryWhereTheLibraryIsOdd() {
        let value = { (bytes: [UInt8]) -> OracleRequest.Value? in
            let request = ProtobufOracle.decodeTraceRequest(self.requestWithResourceAttribute(bytes))
            return request?.resourceSpans.first?.resource?.attributes.first?.value
        }
        // A group is refused even where it is unknown.
        #expect(ProtobufOracle.decodeTraceRequest([0x9B, 0x06, 0x9C, 0x06]) == nil)
        // A length prefix of six bytes is refused, though it says 0.
        #expect(ProtobufOracle.decodeTraceRequest([0x9A, 0x06, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]) == nil)
        // Bits above the 64th are dropped.
        #expect(value([0x18] + [UInt8](repeating: 0xFF, count: 9) + [0x7F]) == .int(-1))
        // Known fields of the wrong wire type are refused, except booleans, whose bytes are taken for a varint.
        #expect(ProtobufOracle.decodeTraceRequest([0x08, 0x01]) == nil)
        #expect(value([0x08, 0x01]) == nil)
        #expect(value(message(3, [1])) == nil)
        #expect(value(message(2, [1])) == .bool(true))
        // Of a message field that comes twice, lists and strings are merged but numbers are those of the last.
        let first = message(1, text("a")) + message(3, message(1, text("k"))) + [0x20, 1]
        let last = message(2, text("b")) + message(3, message(1, text("l")))
        let twice = message(1, message(2, message(1, first) + message(1, last)))
        let scope = ProtobufOracle.decodeTraceRequest(twice)?.resourceSpans.first?.scopeSpans.first?.scope
        #expect(scope?.name == text("a"))
        #expect(scope?.version == text("b"))
        #expect(scope?.attributes.map(\.key) == [text("k"), text("l")])
        #expect(scope?.droppedAttributesCount == 0)
    }

    @Test func mutatedRequestsNeverCrash() {
        var generator = SplitMix(state: 7)
        let seed = requestWithResourceAttribute(nested(5)) + requestWithResourceAttribute(nested(3, keyed: true))
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator))
            _ = ProtobufOracle.decodeTraceRequest(bytes, memoryMax: 1 << 20)
        }
    }

    /// A value of `depth` values, each the only element of the next.
    private func nested(_ depth: Int, keyed: Bool = false) -> [UInt8] {
        var value: [UInt8] = []
        for _ in 1..<depth {
            value = keyed ? message(6, message(1, message(2, value))) : message(5, message(1, value))
        }
        return value
    }

    private func requestWithResourceAttribute(_ value: [UInt8]) -> [UInt8] {
        message(1, message(1, message(1, message(2, value))))
    }

    private func message(_ field: UInt8, _ content: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var remaining = content.count
        while remaining >= 0x80 {
            length.append(UInt8(truncatingIfNeeded: remaining) | 0x80)
            remaining >>= 7
        }
        return [field << 3 | 2] + length + [UInt8(remaining)] + content
    }

    private func littleEndian(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private func text(_ string: String) -> [UInt8] { Array(string.utf8) }
}

/// A small seeded generator, so that a failing run can be repeated.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
