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

/// Moments as people write them, read alike by the command line, the API and agents.
@Suite struct MomentTextTests {
    @Test(arguments: [
        ("now", 0), ("15m", 900), ("-15m", 900), ("15m ago", 900), ("0.5h", 1800), ("90s", 90), ("7d", 604_800), ("0d", 0), ("2w", 1_209_600),
    ] as [(String, Int64)])
    func itReadsAges(text: String, seconds: Int64) throws {
        let now: Int64 = 1_796_136_825_681_000_001
        #expect(try MomentText(text).unixNano(nowUnixNano: now) == now - seconds * 1_000_000_000)
    }

    @Test(arguments: [
        ("0", 0), ("1796136825681261333", 1_796_136_825_681_261_333), ("9223372036854775807", 9_223_372_036_854_775_807),
        ("2026-11-21", 1_795_219_200_000_000_000), ("2026-11-21T10:00:00Z", 1_795_255_200_000_000_000),
        ("2026-11-21T10:00", 1_795_255_200_000_000_000), ("2026-11-21 10:00:00", 1_795_255_200_000_000_000),
        ("2026-11-21t10:00:00z", 1_795_255_200_000_000_000), ("2026-11-21T10:00:00.123456789Z", 1_795_255_200_123_456_789),
        ("2026-11-21T10:00:00+02:00", 1_795_248_000_000_000_000), ("2026-11-21T10:00:00-0230", 1_795_264_200_000_000_000),
        ("2026-11-21T10:00:00+14:00", 1_795_204_800_000_000_000), ("2024-02-29", 1_709_164_800_000_000_000),
        ("2000-02-29", 951_782_400_000_000_000),
    ] as [(String, Int64)])
    func itReadsTimes(text: String, unixNano: Int64) throws {
        #expect(try MomentText(text).unixNano(nowUnixNano: 5) == unixNano)
    }

    @Test(arguments: [
        ("2026-02-31", "no date or time"), ("2026-02-29", "no date or time"), ("1900-02-29", "no date or time"), ("2026-11-31", "no date or time"),
        ("2026-13-01", "no date or time"), ("2026-11-00", "no date or time"), ("2026-11-21T24:00:00Z", "no date or time"),
        ("2026-11-21T10:00:00+25:00", "no date or time"), ("2026-11-21T10:00:00+14:01", "no date or time"),
        ("2026-11-21T10:00:00+02:60", "no date or time"), ("2026-11-21T10:00:00+0:200", "no date or time"),
        ("2026-11-21T10:00:00+02:", "no date or time"), ("1796136825681", "looks like milliseconds"), ("1796136825", "looks like seconds"),
        ("1796136825681261", "looks like microseconds"), ("5", "needs a unit, such as 5m"), ("-5", "an age such as"), ("", "an age such as"),
        ("yesterday", "an age such as"), ("1e9", "an age such as"), ("7D", "an age such as"), (" 5m", "an age such as"), ("5 m", "an age such as"),
        ("1h30m", "an age such as"), ("m", "an age such as"), (".5h", "an age such as"), ("1.2.3h", "an age such as"), ("infs", "an age such as"),
        ("99999999999999999999", "an age such as"), ("400000d", "an age such as"), ("99999999999999999999s", "an age such as"),
    ] as [(String, String)])
    func itRefusesWithWords(text: String, words: String) {
        do {
            Issue.record("\(text) is \(try MomentText(text).unixNano(nowUnixNano: 0))")
        } catch {
            #expect("\(error)".contains(words), "\(text): \(error)")
        }
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
