import COTLP
import OTLP
import Testing

/// Decodes what was encoded with the C library's own reader.
struct OTLPMessageTests {
    @Test func nothingToSayIsNoByte() {
        #expect(OTLPMessage.exportTraceServiceResponse(rejectedSpans: 0, errorMessage: "") == [])
        #expect(OTLPMessage.exportMetricsServiceResponse(rejectedDataPoints: 0, errorMessage: "") == [])
        #expect(OTLPMessage.exportLogsServiceResponse(rejectedLogRecords: 0, errorMessage: "") == [])
    }

    @Test func partialSuccessHasTheSameBytesForEverySignal() {
        let expected: [UInt8] = [0x0A, 0x08, 0x08, 0x02, 0x12, 0x04, 0x6E, 0x6F, 0x70, 0x65]
        #expect(OTLPMessage.exportTraceServiceResponse(rejectedSpans: 2, errorMessage: "nope") == expected)
        #expect(OTLPMessage.exportMetricsServiceResponse(rejectedDataPoints: 2, errorMessage: "nope") == expected)
        #expect(OTLPMessage.exportLogsServiceResponse(rejectedLogRecords: 2, errorMessage: "nope") == expected)
    }

    @Test func warningHasAMessageAndNoCount() {
        #expect(OTLPMessage.exportTraceServiceResponse(rejectedSpans: 0, errorMessage: "hm") == [0x0A, 4, 0x12, 2, 0x68, 0x6D])
    }

    @Test func countWithoutMessage() {
        #expect(OTLPMessage.exportTraceServiceResponse(rejectedSpans: 300, errorMessage: "") == [0x0A, 3, 0x08, 0xAC, 0x02])
    }

    @Test func statusBytes() {
        #expect(OTLPMessage.status(code: .invalidArgument, message: "m") == [0x08, 0x03, 0x12, 0x01, 0x6D])
        #expect(OTLPMessage.status(code: .ok, message: "") == [])
    }

    @Test(arguments: [
        ("", ""), ("plain", "plain"), ("ünï \u{1F600}", "ünï \u{1F600}"), ("a\0b\0", "a\u{FFFD}b\u{FFFD}"),
        (String(repeating: "x", count: 70_000), String(repeating: "x", count: 70_000)),
    ])
    func messagesSurviveDecoding(message: String, expected: String) throws {
        let bytes = OTLPMessage.exportTraceServiceResponse(rejectedSpans: .max, errorMessage: message)
        let response = try #require(
            opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack(nil, bytes.count, bytes))
        defer { opentelemetry__proto__collector__trace__v1__export_trace_service_response__free_unpacked(response, nil) }
        let partial = try #require(response.pointee.partial_success)
        #expect(partial.pointee.rejected_spans == .max)
        #expect(String(cString: try #require(partial.pointee.error_message)) == expected)

        let statusBytes = OTLPMessage.status(code: .unavailable, message: message)
        let status = try #require(google__rpc__status__unpack(nil, statusBytes.count, statusBytes))
        defer { google__rpc__status__free_unpacked(status, nil) }
        #expect(status.pointee.code == 14)
        #expect(String(cString: try #require(status.pointee.message)) == expected)
        #expect(status.pointee.n_details == 0)
    }

    @Test func jsonCountsAreStringsAndNamesAreCamelCase() {
        #expect(
            json(OTLPMessage.exportTraceServiceResponse(rejectedSpans: 2, errorMessage: "nope", as: .json))
                == #"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"nope"}}"#)
        #expect(
            json(OTLPMessage.exportMetricsServiceResponse(rejectedDataPoints: 2, errorMessage: "", as: .json))
                == #"{"partialSuccess":{"rejectedDataPoints":"2"}}"#)
        #expect(
            json(OTLPMessage.exportLogsServiceResponse(rejectedLogRecords: 0, errorMessage: "w", as: .json))
                == #"{"partialSuccess":{"errorMessage":"w"}}"#)
        #expect(json(OTLPMessage.exportTraceServiceResponse(rejectedSpans: 0, errorMessage: "", as: .json)) == "{}")
        #expect(json(OTLPMessage.status(code: .invalidArgument, message: "m", as: .json)) == #"{"code":3,"message":"m"}"#)
    }

    @Test func jsonStringsAreEscaped() {
        #expect(
            json(OTLPMessage.status(code: .internal, message: "\"\\\n\r\t\u{1}\u{1F}\0é", as: .json))
                == #"{"code":13,"message":"\"\\\n\r\t\u0001\u001f"# + "\u{FFFD}é\"}")
    }

    @Test func contentTypesAreBare() {
        #expect(OTLPMessage.Encoding.protobuf.contentType == "application/x-protobuf")
        #expect(OTLPMessage.Encoding.json.contentType == "application/json")
    }

    private func json(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
