import OTLP
import TelemetryModel
import Testing

@testable import TelemetryTesting

/// Requests of log records, written field by field.
enum LogRequests {
    /// A request with one scope, whose records `body` writes into field 2.
    static func scope(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        var writer = WireWriter()
        writer.message(1) { envelope in
            envelope.message(1) { resource in
                resource.message(1) { pair in
                    pair.lengthDelimited(1, "service.name".utf8)
                    pair.message(2) { $0.lengthDelimited(1, "agent".utf8) }
                }
            }
            envelope.message(2) { scope in
                scope.message(1) { $0.lengthDelimited(1, "logger".utf8) }
                body(&scope)
            }
        }
        return writer.bytes
    }

    /// A request with one record.
    static func record(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        scope { $0.message(2, body) }
    }

    /// Records of all that a record may hold: seeds of mutations.
    static let seeds: [[UInt8]] = [
        record { full(&$0) { $0.lengthDelimited(1, "could not reach the tool".utf8) } },
        record {
            full(&$0) { body in body.message(6) { $0.attributes(1, ["why": "timeout", "tries": 3, "parts": ["a", 1.5]]) } }
        },
        record { full(&$0) { body in body.message(5) { list in list.message(1) { $0.varint(3, 7) } } } },
        record { full(&$0) { $0.lengthDelimited(7, [0, 1, 2, 255]) } },
        record { full(&$0) { $0.fixed64(4, 2.5.bitPattern) } },
        record { full(&$0) { $0.varint(2, 1) } },
        scope { scope in
            for number in 0..<3 {
                scope.message(2) { record in
                    record.fixed64(11, 5_000 + UInt64(number))
                    record.message(5) { $0.varint(3, UInt64(bitPattern: Int64(-number))) }
                }
            }
        },
    ]

    private static func full(_ record: inout WireWriter, _ body: (inout WireWriter) -> Void) {
        record.fixed64(1, 1_000)
        record.varint(2, 17)
        record.lengthDelimited(3, "ERROR".utf8)
        record.message(5, body)
        record.attributes(6, ["exception.type": "TimeoutError", "deep": ["k": ["x", true]], "n": 42])
        record.varint(7, 2)
        record.fixed32(8, 1)
        record.lengthDelimited(9, TestRequests.traceID)
        record.lengthDelimited(10, TestRequests.spanID)
        record.fixed64(11, 2_000)
        record.lengthDelimited(12, "exception".utf8)
    }
}

/// Holds `LogsDecoder` against libprotobuf-c, and looks at what it refuses and bounds.
struct LogsDecoderTests {
    @Test func goodRequestsAreReadAlike() throws {
        for body in LogRequests.seeds {
            let batch = try LogsDecoder().decode(body)
            let oracle = try #require(ProtobufOracle.decodeLogsRequest(body))
            #expect(batch.rejections.total == 0)
            #expect(!batch.records.isEmpty)
            #expect(ComparableLogs.records(batch) == ComparableLogs.records(oracle))
        }
    }

    @Test(
        "A field of the wrong wire type is refused in a resource too, which is kept as it came",
        arguments: [
            TestRequests.resource { $0.fixed64(2, 1) }, TestRequests.resource { $0.varint(3, 1) },
            TestRequests.resource { $0.message(3) { $0.varint(2, 1) } },
            TestRequests.resource { $0.message(1) { $0.message(2) { $0.varint(1, 1) } } },
        ])
    func wrongWireTypes(bytes: [UInt8]) {
        #expect(throws: OTLPDecodingError.self) { try LogsDecoder().decode(bytes) }
    }

    @Test func mutatedRequestsAreReadAlikeWhereBothReadThem() throws {
        var mutations = Mutations(of: LogRequests.seeds, seed: 20_261_128)
        var counts = (both: 0, neither: 0, oursOnly: 0, theirsOnly: 0)
        for round in 0..<6000 {
            let body = mutations.next()
            let oracle = ProtobufOracle.decodeLogsRequest(body, memoryMax: 16 << 20)
            do throws(OTLPDecodingError) {
                let batch = try LogsDecoder().decode(body)
                guard let oracle else {
                    counts.oursOnly += 1
                    continue
                }
                counts.both += 1
                guard !RepeatedMessages.areFound(inLogs: body) else { continue }
                guard ComparableLogs.records(batch) == ComparableLogs.records(oracle) else {
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
        #expect(counts.both > 1000 && counts.neither > 500, "\(counts)")
        #expect(counts.oursOnly < 300, "\(counts)")
    }

    /// As of spans.
    private static func mayBeOursAlone(_ error: OTLPDecodingError) -> Bool {
        switch error {
        case .malformed(.wrongWireType(field: 2)), .malformed(.varintTooLong), .malformed(.invalidTag), .valueTooDeep, .tooManyKeys: true
        case .malformed: false
        }
    }

    @Test func anInvalidIdMakesARecordOutsideOfATrace() throws {
        for (trace, span) in [
            ([UInt8](), TestRequests.spanID), ([1, 2, 3], TestRequests.spanID), ([UInt8](repeating: 0, count: 16), []),
        ] {
            let batch = try LogsDecoder().decode(
                LogRequests.record { record in
                    record.lengthDelimited(9, trace)
                    record.lengthDelimited(10, span)
                })
            #expect(batch.rejections.total == 0)
            let record = try #require(batch.records.first)
            #expect(!record.traceID.isValid && !record.spanID.isValid)
        }
    }

    @Test func oneBadRecordLeavesTheOthers() throws {
        let body = LogRequests.scope { scope in
            scope.message(2) { $0.fixed64(1, .max) }
            scope.message(2) { $0.lengthDelimited(5, TestRequests.nested(80)) }
            scope.message(2) { $0.message(5) { $0.lengthDelimited(7, [UInt8](repeating: 1, count: 2 << 20)) } }
            scope.message(2) { $0.message(5) { $0.lengthDelimited(1, "kept".utf8) } }
        }
        let batch = try LogsDecoder().decode(body)
        #expect(batch.rejections.timesOutOfRange == 1)
        #expect(batch.rejections.tooDeep == 1)
        #expect(batch.rejections.tooLarge == 1)
        #expect(batch.records.map { batch.string($0.body.slice) } == ["kept"])
    }

    @Test func recordsPastTheBoundAreCounted() throws {
        var limits = LogsDecoder.Limits()
        limits.recordsMax = 3
        let body = LogRequests.scope { scope in
            for _ in 0..<5 { scope.lengthDelimited(2, []) }
        }
        let batch = try LogsDecoder(limits: limits).decode(body)
        #expect(batch.records.count == 3)
        #expect(batch.rejections.tooMany == 2)
    }

    @Test func attributesPastTheBoundAreCountedInTheRecord() throws {
        let body = LogRequests.record { record in
            record.varint(7, 5)
            for number in 0..<1030 { record.attributes(6, ["k\(number)": 1]) }
        }
        let record = try #require(try LogsDecoder().decode(body).records.first)
        #expect(record.attributes.count == 1024)
        #expect(record.droppedAttributesCount == 11)
    }

    @Test func malformedTextIsMended() throws {
        let body = LogRequests.record { record in
            record.lengthDelimited(3, [0x45, 0xFF])
            record.message(5) { $0.lengthDelimited(1, [0xC3, 0x28]) }
        }
        let batch = try LogsDecoder().decode(body)
        let record = try #require(batch.records.first)
        #expect(batch.string(record.severityText) == "E\u{FFFD}")
        #expect(batch.string(record.body.slice) == "\u{FFFD}(")
    }

    @Test func aTruncatedRequestIsRefused() {
        let body = LogRequests.seeds[0]
        for count in [body.count - 1, body.count / 2] {
            #expect(throws: OTLPDecodingError.self) { try LogsDecoder().decode(Array(body.prefix(count))) }
        }
    }

    @Test func redactionReachesEveryTextOfARecord() throws {
        var rules = RedactionRules()
        rules.add(key: "password")
        try rules.add(pattern: "sesame[0-9]+")
        let body = LogRequests.record { record in
            record.lengthDelimited(3, "sesame1".utf8)
            record.message(5) { body in body.message(6) { $0.attributes(1, ["a": "xsesame2x", "password": "open"]) } }
            record.attributes(6, ["password": "hidden", "sesame3": 1, "list": ["sesame4"]])
            record.lengthDelimited(12, "sesame5".utf8)
        }
        let redacted = try Redactor(rules).redacted(body, as: .logsRequest)
        let text = String(decoding: redacted, as: UTF8.self)
        #expect(!text.contains("sesame") && !text.contains("open") && !text.contains("hidden"))
        #expect(try LogsDecoder().decode(redacted).records.count == 1)
    }
}
