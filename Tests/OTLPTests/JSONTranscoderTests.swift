import OTLP
import TelemetryModel
import Testing

/// OTLP/JSON against the protobuf bytes that say the same.
struct JSONTranscoderTests {
    private func protobuf(_ json: String, as root: MessageName = .traceRequest) throws -> [UInt8] {
        try JSONTranscoder.protobuf(Array(json.utf8), as: root, limit: 1 << 20)
    }

    /// The span that the JSON members make, in protobuf.
    private func span(_ members: String) throws -> [UInt8] {
        try protobuf(#"{"resourceSpans":[{"scopeSpans":[{"spans":[{\#(members)}]}]}]}"#)
    }

    private func expected(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        TestRequests.scope { $0.message(2, body) }
    }

    private func value(_ json: String) throws -> [UInt8] {
        try protobuf(json, as: .anyValue)
    }

    @Test func aWholeSpanBecomesTheBytesOfItsProtobufForm() throws {
        let json = try span(
            #"""
            "traceId":"0102030405060708090A0b0c0d0e0f10","spanId":"0102030405060708","traceState":"a=b","parentSpanId":"1112131415161718",
            "name":"né \"x\"","kind":2,"startTimeUnixNano":"1544712660000000001","endTimeUnixNano":1544712660000000002,
            "attributes":[{"key":"k","value":{"stringValue":"v"}},{"key":"n","value":{"intValue":"-5"}}],
            "droppedAttributesCount":1,"events":[{"timeUnixNano":"3","name":"e"}],"links":[{"traceId":"01","spanId":"","flags":768}],
            "status":{"message":"m","code":2},"flags":257
            """#)
        let bytes = expected { span in
            span.lengthDelimited(1, TestRequests.traceID)
            span.lengthDelimited(2, TestRequests.spanID)
            span.lengthDelimited(3, "a=b".utf8)
            span.lengthDelimited(4, [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18])
            span.lengthDelimited(5, "né \"x\"".utf8)
            span.varint(6, 2)
            span.fixed64(7, 1_544_712_660_000_000_001)
            span.fixed64(8, 1_544_712_660_000_000_002)
            span.message(9) { pair in
                pair.lengthDelimited(1, "k".utf8)
                pair.message(2) { $0.lengthDelimited(1, "v".utf8) }
            }
            span.message(9) { pair in
                pair.lengthDelimited(1, "n".utf8)
                pair.message(2) { $0.varint(3, UInt64(bitPattern: -5)) }
            }
            span.varint(10, 1)
            span.message(11) { event in
                event.fixed64(1, 3)
                event.lengthDelimited(2, "e".utf8)
            }
            span.message(13) { link in
                link.lengthDelimited(1, [1])
                link.fixed32(6, 768)
            }
            span.message(15) { status in
                status.lengthDelimited(2, "m".utf8)
                status.varint(3, 2)
            }
            span.fixed32(16, 257)
        }
        #expect(json == bytes)
    }

    @Test("Both spellings of names are taken, unknown fields and nulls are skipped, white space does not matter")
    func lenience() throws {
        let plain = try span(#""startTimeUnixNano":"5","droppedEventsCount":3"#)
        #expect(try span(#""start_time_unix_nano":5,"dropped_events_count":"3""#) == plain)
        #expect(
            try span(#" "start\u0054imeUnixNano" : 5 , "x":{"y":[1,{"z":null}]} , "name":null,"droppedEventsCount":3.0e0"#)
                == plain)
        #expect(try span(#""name":"","kind":0,"startTimeUnixNano":"5","flags":0,"droppedEventsCount":3"#) == plain)
        #expect(try protobuf("{}") == [])
        #expect(try protobuf(#"{"resourceSpans":[]} "#) == [])
        #expect(try protobuf(#"{"resourceSpans":[{"extra":1}],"resource_spans":[{}]}"#) == [0x0A, 0, 0x0A, 0])
    }

    @Test(
        "Enumerations are integers, and their names are taken",
        arguments: [("2", 2), (#""SPAN_KIND_SERVER""#, 2), ("99", 99), (#""3""#, 3), (#""SPAN_KIND_CONSUMER""#, 5)])
    func enumerations(json: String, kind: UInt64) throws {
        #expect(try span(#""kind":\#(json)"#) == expected { $0.varint(6, kind) })
    }

    @Test(
        "Values of every kind",
        arguments: [
            (#"{"stringValue":""}"#, [0x0A, 0]), (#"{"boolValue":false}"#, [0x10, 0]), (#"{"intValue":0}"#, [0x18, 0]),
            (#"{"intValue":"-9223372036854775808"}"#, [0x18] + [UInt8](repeating: 0x80, count: 9) + [1]),
            (#"{"doubleValue":"Infinity"}"#, [0x21, 0, 0, 0, 0, 0, 0, 0xF0, 0x7F]),
            (#"{"doubleValue":-1e400}"#, [0x21, 0, 0, 0, 0, 0, 0, 0xF0, 0xFF]),
            (#"{"doubleValue":"1.5"}"#, [0x21, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F]),
            (#"{"bytesValue":"-_8="}"#, [0x3A, 2, 0xFB, 0xFF]), (#"{"bytes_value":"+/8"}"#, [0x3A, 2, 0xFB, 0xFF]),
            (#"{"bytesValue":""}"#, [0x3A, 0]), (#"{"stringValueStrindex":4}"#, [0x40, 4]), ("{}", []),
            (#"{"arrayValue":{"values":[{"boolValue":true},{},null]}}"#, [0x2A, 8, 0x0A, 2, 0x10, 1, 0x0A, 0, 0x0A, 0]),
            (#"{"kvlistValue":{"values":[{"key":"k"}]}}"#, [0x32, 5, 0x0A, 3, 0x0A, 1, 0x6B]),
            (#"{"stringValue":"\ud83d\ude00\u00e9\n"}"#, [0x0A, 7, 0xF0, 0x9F, 0x98, 0x80, 0xC3, 0xA9, 0x0A]),
            (#"{"stringValue":"\ud83d"}"#, [0x0A, 3, 0xEF, 0xBF, 0xBD]),
        ] as [(String, [UInt8])])
    func values(json: String, bytes: [UInt8]) throws {
        #expect(try value(json) == bytes)
    }

    @Test(
        "What is no JSON, or of another type than the field, refuses the request",
        arguments: [
            "", " ", "null", "[]", #""x""#, "1", "{", #"{"a""#, "{}x", "{}{}", #"{"a":1,}"#, #"{"a":01}"#, #"{"a":+1}"#,
            #"{"a":.5}"#,
            #"{"a":"\#u{1}"}"#, #"{"a":nul}"#, #"{"resourceSpans":{}}"#, #"{"resourceSpans":[1]}"#, #"{"resourceSpans":[[]]}"#,
            #"{"resourceSpans":[{}"#, "{'a':1}", #"{a:1}"#, #"{"a":"\x"}"#, #"{"a":"\u12"}"#, "\u{FEFF}{}",
        ])
    func refused(json: String) {
        #expect(throws: JSONDecodingError.self) { try protobuf(json) }
    }

    @Test(
        "Numbers out of range, fractions where none can be, and wrong types refuse the request",
        arguments: [
            #""startTimeUnixNano":1.5"#, #""startTimeUnixNano":"abc""#, #""startTimeUnixNano":-1"#, #""startTimeUnixNano":""#,
            #""startTimeUnixNano":18446744073709551616"#, #""startTimeUnixNano":1e20"#, #""startTimeUnixNano":true"#,
            #""kind":"NOPE""#, #""kind":1.5"#, #""kind":4294967296"#, #""name":5"#, #""attributes":{}"#, #""traceId":5"#,
            #""attributes":[{"key":"k","value":{"intValue":"9223372036854775808"}}]"#,
            #""attributes":[{"key":"k","value":{"bytesValue":"*"}}]"#, #""attributes":[{"key":"k","value":{"bytesValue":"a"}}]"#,
            #""attributes":[{"key":"k","value":{"boolValue":1}}]"#,
            #""attributes":[{"key":"k","value":{"doubleValue":"0x1p3"}}]"#,
            #""attributes":[{"key":"k","value":"v"}]"#, #""droppedAttributesCount":-1"#, #""flags":4294967296"#,
        ])
    func wrongValues(members: String) {
        #expect(throws: JSONDecodingError.self) { try span(members) }
    }

    @Test(
        "Integers are exact however they are written",
        arguments: [
            ("1544712660000000000", 1_544_712_660_000_000_000), (#""18446744073709551615""#, UInt64.max), ("1e3", 1000),
            ("1.5e1", 15), ("1500e-2", 15), ("1544712660.123456789e9", 1_544_712_660_123_456_789), ("10.0", 10), ("-0", 0),
            ("0e999999999999", 0), ("100000000000000000000e-2", 1_000_000_000_000_000_000),
        ] as [(String, UInt64)])
    func exactIntegers(json: String, time: UInt64) throws {
        let bytes = try span(#""startTimeUnixNano":\#(json)"#)
        #expect(bytes == expected { if time != 0 { $0.fixed64(7, time) } })
    }

    @Test("An id that is no hexadecimal text is written as none, so that its span alone is refused")
    func idsThatAreNone() throws {
        for id in ["AAECAwQFBgcICQoLDA0ODw==", "0x02", "zz", "012", "\\u0030\\u0031"] {
            #expect(try span(#""traceId":"\#(id)""#) == expected { _ in })
        }
        let batch = try TraceDecoder().decode(
            span(#""traceId":"AAECAwQFBgcICQoLDA0ODw==","spanId":"0102030405060708""#))
        #expect(batch.spans.isEmpty && batch.rejections.invalidIDs == 1)
    }

    @Test func nestingIsBoundedWhereverItStands() throws {
        let open = String(repeating: "[", count: 100_000)
        #expect(throws: JSONDecodingError.tooDeep(offset: 260)) { try protobuf(#"{"x":"# + open) }
        for depth in [45, 64] {
            let array = #"{"arrayValue":{"values":["#
            let json = String(repeating: array, count: depth) + "{}" + String(repeating: "]}}", count: depth)
            #expect(try value(json) == TestRequests.nested(depth))
        }
        let deep = String(repeating: #"{"arrayValue":{"values":["#, count: 10_000)
        #expect(throws: JSONDecodingError.self) { try value(deep) }
    }

    @Test func anOutputPastTheLimitIsRefused() {
        let bounds = String(repeating: "1,", count: 1000) + "1"
        let json =
            #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"explicitBounds":[\#(bounds)]}]}}]}]}]}"#
        #expect(throws: JSONDecodingError.tooLarge(limit: 4096)) {
            try JSONTranscoder.protobuf(Array(json.utf8), as: .metricsRequest, limit: 4096)
        }
        #expect(throws: Never.self) { try JSONTranscoder.protobuf(Array(json.utf8), as: .metricsRequest, limit: 9000) }
    }

    @Test func everyPrefixOfARequestIsRefused() {
        let json = Array(#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a\u00e9","flags":1}]}]}]}"#.utf8)
        for count in json.indices {
            #expect(throws: JSONDecodingError.self) {
                try JSONTranscoder.protobuf(Array(json[..<count]), as: .traceRequest, limit: 1000)
            }
        }
    }
}
