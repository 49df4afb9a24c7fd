import Testing

@testable import TelemetryModel

@Suite struct TimeTextTests {
    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000Z"),
        (1_767_225_600_000_000_000, "2026-01-01T00:00:00.000Z"),
        (1_709_208_000_123_999_999, "2024-02-29T12:00:00.123Z"),
        (-1_000_000, "1969-12-31T23:59:59.999Z"),
        (Int64.max, "2262-04-11T23:47:16.854Z"),
    ])
    func showsInstantsInUTC(unixNano: Int64, text: String) {
        #expect(TimeText.iso8601(unixNano: unixNano) == text)
    }
}

@Suite struct IdentifierTests {
    @Test func hexadecimalReadsBackInEitherCase() {
        let trace = TraceID(high: 0x0123_4567_89AB_CDEF, low: 1)
        #expect(trace.hexadecimal == "0123456789abcdef0000000000000001")
        #expect(TraceID(hexadecimal: "0123456789ABCDEF0000000000000001") == trace)
        #expect(SpanID(hexadecimal: SpanID(0xFF).hexadecimal) == SpanID(0xFF))
    }

    @Test(arguments: ["", "0123", "0123456789abcdef000000000000000g", "0123456789abcdef00000000000000011"])
    func whatIsNotAnIdIsNone(text: String) {
        #expect(TraceID(hexadecimal: text) == nil)
    }

    @Test func idsCompareAsTheirBytesDo() {
        #expect(TraceID(high: 1, low: .max) < TraceID(high: 2, low: 0))
        #expect(!(TraceID(high: 2, low: 0) < TraceID(high: 1, low: .max)))
    }
}

@Suite struct ByteStringTableTests {
    @Test func numbersStringsByFirstAppearanceWhileItGrows() {
        var table = ByteStringTable()
        let texts = (0..<5000).map { "key.\($0 % 1000)" }
        for text in texts { #expect(table.insert(text) == Int(text.dropFirst(4))) }
        #expect(table.count == 1000)
        table.removeAll()
        #expect(table.count == 0)
        #expect(table.insert("again") == 0)
    }
}

@Suite struct JSONWriterTests {
    @Test func escapesWhatJSONCannotHold() {
        var json = JSONWriter()
        json.string("a\"\\\n\u{1}é")
        #expect(String(decoding: json.bytes, as: UTF8.self) == #""a\"\\\n\u0001é""#)
    }

    @Test(arguments: [([UInt8](), "\"\""), ([0xFF], "\"/w==\""), ([1, 2], "\"AQI=\""), ([1, 2, 3], "\"AQID\"")])
    func writesBase64(bytes: [UInt8], text: String) {
        var json = JSONWriter()
        json.base64(bytes[...])
        #expect(String(decoding: json.bytes, as: UTF8.self) == text)
    }
}
