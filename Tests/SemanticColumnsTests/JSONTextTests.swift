import TelemetryModel
import Testing

/// JSON inside attributes: found or not, never a crash.
struct JSONTextTests {
    @Test(
        "A member is found past anything else",
        arguments: [
            (#"{"k":"v"}"#, .text("v")), (#" { "k" : "v" } "#, .text("v")), (#"{"k":12}"#, .number("12")),
            (#"{"k":-1.5e+3}"#, .number("-1.5e+3")), (#"{"k":true}"#, .bool(true)), (#"{"k":false}"#, .bool(false)),
            (#"{"k":null}"#, .null), (#"{"a":[1,"k",{"k":2}],"b":{"k":3},"k":4}"#, .number("4")),
            (#"{"a":"}\"]","k":1}"#, .number("1")), (#"{"k":1,"k":2}"#, .number("1")), (#"{"\u006b":1}"#, .number("1")),
            (#"{"":1}"#, nil), ("{}", nil), ("[]", nil), ("", nil), ("null", nil), (#"{"k"}"#, nil), (#"{"k":}"#, nil),
            (#"{"k":"v"#, nil), (#"{"a":tru,"k":1}"#, nil), (#"{"a":1 "k":2}"#, nil), (#"{k:1}"#, nil),
            (#"{"a":[1,"k":1}"#, nil),
            ("{\"a\":\"\\", nil), (#"{"a":"#, nil), (#"{"a""#, nil), ("{", nil),
        ] as [(String, JSONText.Value?)])
    func members(text: String, expected: JSONText.Value?) {
        #expect(JSONText.member("k", in: Array(text.utf8)[...]) == expected)
    }

    @Test(
        "Escapes are read as JSON has them",
        arguments: [
            (#"a\"b\\c\/d"#, "a\"b\\c/d"), (#"\b\f\n\r\t"#, "\u{8}\u{C}\n\r\t"), (#"\u00e9\u20ac"#, "é€"),
            (#"\ud83d\ude00"#, "😀"), (#"x\ud83dy"#, "x\u{FFFD}y"), (#"é\n€"#, "é\n€"), (#"\u0000"#, "\0"),
            (#"\uZZZZ"#, "\u{FFFD}"),
        ])
    func escapes(text: String, expected: String) {
        #expect(JSONText.member("k", in: Array(#"{"k":"\#(text)"}"#.utf8)[...]) == .text(expected))
    }

    @Test(
        "Elements of an array are counted, not those inside them",
        arguments: [
            ("[]", 0), ("[ ]", 0), ("[1]", 1), (#"[1,"a,b",[1,2,3],{"x":[1,2]},null]"#, 5), ("[1,]", nil), ("[1", nil),
            ("{}", nil),
            ("", nil), ("[1 2]", nil), (#"["]"]"#, 1),
        ] as [(String, Int?)])
    func elements(text: String, expected: Int?) {
        #expect(JSONText.elementCount(in: Array(text.utf8)[...]) == expected)
    }

    @Test func containersSayWhereTheyLieInTheWhole() {
        let bytes = Array(#"xx{"k":[1,2]}"#.utf8)
        #expect(JSONText.member("k", in: bytes[2...]) == .container(7..<12))
    }

    @Test func deepTextIsMalformedAndOverflowsNothing() {
        let nested = { (depth: Int) in
            "{\"a\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + ",\"k\":1}"
        }
        #expect(JSONText.member("k", in: Array(nested(JSONText.depthMax).utf8)[...]) == .number("1"))
        #expect(JSONText.member("k", in: Array(nested(JSONText.depthMax + 1).utf8)[...]) == nil)
        #expect(JSONText.member("k", in: Array(nested(100_000).utf8)[...]) == nil)
        #expect(JSONText.elementCount(in: [UInt8](repeating: UInt8(ascii: "["), count: 100_000)[...]) == nil)
    }

    @Test func everyPrefixAndEveryByteIsSurvived() {
        let bytes = Array(#"{"a":[1,{"b":"\u00e9\n"},null],"k":{"c":true}}"#.utf8)
        for count in 0..<bytes.count { _ = JSONText.member("k", in: bytes[..<count]) }
        for position in bytes.indices {
            for byte: UInt8 in [0, 0x22, 0x5C, 0x7B, 0x5D, 0x80, 0xFF] {
                var changed = bytes
                changed[position] = byte
                _ = JSONText.member("k", in: changed[...])
                _ = JSONText.elementCount(in: changed[5...])
            }
        }
    }
}
