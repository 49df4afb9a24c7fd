import TelemetryModel
import Testing

@testable import Queries

@Suite struct QueriesTests {
    @Test func cursorsSurviveText() throws {
        let cursor = TraceCursor(matchUnixNano: 1_795_000_000_000_000_000, traceID: "80f198ee56343ba864fe8b2a57d3eff7")
        #expect(TraceCursor(text: cursor.text) == cursor)
        for text in ["", "1", "x-y", "1-2-3", "99999999999999999999-a"] { #expect(TraceCursor(text: text) == nil) }
    }

    @Test func integersBeyondADoubleAreStrings() {
        func json(_ value: QueryValue) -> String {
            var writer = JSONWriter()
            value.write(into: &writer)
            return String(decoding: writer.bytes, as: UTF8.self)
        }
        #expect(json(.integer(1 << 53)) == "9007199254740992")
        #expect(json(.integer(1 << 53 + 1)) == "\"\(1 << 53 + 1)\"")
        #expect(json(.integer(.min)) == "\"\(Int64.min)\"")
        #expect(json(.null) == "null")
        #expect(json(.blob([0, 255])) == "\"AP8=\"")
    }

    @Test(arguments: [
        (#"{"a":9007199254740992}"#, #"{"a":9007199254740992}"#),
        (#"{"a":9007199254740993,"b":[-9223372036854775808,1.5,1e300,12345678901234567890123]}"#,
            #"{"a":"9007199254740993","b":["-9223372036854775808",1.5,1e300,"12345678901234567890123"]}"#),
        (#"{"a":"9007199254740993 \"9007199254740993","9007199254740993":1}"#, #"{"a":"9007199254740993 \"9007199254740993","9007199254740993":1}"#),
        ("", ""), ("9007199254740993", #""9007199254740993""#), (#""\"#, #""\"#),
    ])
    func integersBeyondADoubleAreStringsInAttributesToo(text: String, exact: String) {
        var writer = JSONWriter()
        writer.exact(text)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == exact)
    }

    @Test func textIsSearchedAsItStands() {
        var criteria = SpanCriteria()
        criteria.text = #"100%_\"#
        #expect(criteria.condition?.values.first == .text(#"%100\%\_\\%"#))
    }

    @Test func toolsWithoutANameGoByTheirStage() {
        var criteria = SpanCriteria()
        criteria.tool = "llm"
        #expect(criteria.condition?.sql == "(tool_name = ? OR (tool_name IS NULL AND stage = ?))")
        criteria.tool = "web_search"
        #expect(criteria.condition?.sql == "tool_name = ?")
    }

    @Test(arguments: [
        ("bad", "00000000000000000000000000000bad"), ("80F198EE56343BA864FE8B2A57D3EFF7", "80f198ee56343ba864fe8b2a57d3eff7"),
    ])
    func traceIDsMayBeShortOrUpperCase(text: String, id: String) {
        #expect(TraceReading.traceID(text)?.hexadecimal == id)
    }

    @Test(arguments: ["", "0", "x", "80f198ee56343ba864fe8b2a57d3eff7a"])
    func whatIsNoTraceIDIsRefused(text: String) {
        #expect(TraceReading.traceID(text) == nil)
    }

    @Test func bucketsAreAsNarrowAsThePointsAllow() {
        let second: Int64 = 1_000_000_000
        #expect(OverviewCache.step(for: 3600 * second, points: 120) == 60 * second)
        #expect(OverviewCache.step(for: 900 * second, points: 120) == 10 * second)
        #expect(OverviewCache.step(for: 0, points: 10) == 10 * second)
        #expect(OverviewCache.step(for: .max, points: 10) == 604_800 * second)
    }

    @Test func percentilesAreByNearestRank() {
        var bucket = OverviewBucket()
        #expect(bucket.runDuration(percentile: 95) == nil)
        bucket.runDurations = (1...100).map(Int64.init).reversed()
        #expect(bucket.runDuration(percentile: 95) == 95)
        #expect(bucket.runDuration(percentile: 50) == 50)
    }
}
