import TelemetryModel
import Testing

@testable import AgentProtocol

@Suite struct ToolTests {
    /// More than an answer may have, whatever is in a span: twice the rows, and what stands around them.
    private static let answerBytesMax = 64 << 10

    private static func long(_ count: Int) -> String { String(repeating: "é\"\n", count: count) }

    @Test func everyToolAnswersOverAnEmptyStore() async throws {
        let fixture = try await AgentFixture([])
        for tool in ToolCatalog.tools where !["get_trace", "get_conversation", "get_span", "query_sql", "compare_windows"].contains(tool.name) {
            let answer = try await fixture.call(tool.name)
            #expect(!answer.isError, "\(tool.name): \(answer.text)")
        }
        let comparison = try await fixture.call("compare_windows", ["a_since": "2h", "b_since": "1h"])
        #expect(!comparison.isError, "\(comparison.text)")
    }

    @Test func aTreeIsReadInOrderAndInPages() async throws {
        let fixture = try await AgentFixture(
            [AgentFixture.span(1, "root")] + (2...40).map { AgentFixture.span($0, "child \($0)", parent: $0 % 2 == 0 ? 1 : $0 - 1) })
        var names: [String] = []
        var offset = JSONValue.integer(0)
        while offset != .null {
            let page = try await fixture.call(
                "get_trace", ["trace_id": .string(AgentFixture.trace), "offset": offset, "limit": .integer(7)])
            guard case .array(let spans)? = page.value["spans"] else { break }
            names += spans.compactMap { $0["name"]?.text }
            offset = page.value["next_offset"] ?? .null
        }
        #expect(names == ["root"] + (2...40).map { "child \($0)" })
    }

    @Test func aLongTextIsCutAndReadThroughPieceByPiece() async throws {
        let text = Self.long(20_000)
        let fixture = try await AgentFixture([AgentFixture.span(1, Self.long(3000), ["prompt": .string(text), "b": .string(Self.long(9))])])
        let ids: [JSONValue.Member] = [
            .init("trace_id", .string(AgentFixture.trace)), .init("span_id", .string(SpanID(1).hexadecimal)),
        ]
        let whole = try await fixture.call("get_span", .object(ids))
        #expect(whole.text.utf8.count < Self.answerBytesMax)
        #expect(whole.value["span"]?["attributes"]?["b"]?.text == Self.long(9))
        var read = ""
        var offset = JSONValue.integer(0)
        while offset != .null {
            let piece = try await fixture.call(
                "get_span",
                .object(ids + [.init("attribute", "prompt"), .init("offset", offset), .init("text_max", .integer(10_000))]))
            guard let text = piece.value["text"]?.text else { break }
            read += text
            offset = piece.value["next_offset"] ?? .null
        }
        #expect(read == text)
    }

    @Test func answersStayShortWhateverSpansHold() async throws {
        var attributes: AttributeList = [:]
        for number in 0..<300 { attributes.append("key \(number)", .string(Self.long(2000))) }
        let spans = (1...120).map { number in
            AgentFixture.span(UInt64(number), Self.long(500), parent: number == 1 ? 0 : 1, number == 1 ? attributes : [:])
        }
        let fixture = try await AgentFixture(spans)
        let trace = JSONValue.string(AgentFixture.trace)
        let calls: [(String, JSONValue)] = [
            ("search_traces", [:]), ("get_trace", ["trace_id": trace, "limit": .integer(500)]),
            ("get_span", ["trace_id": trace, "span_id": .string(SpanID(1).hexadecimal), "text_max": .integer(10_000)]),
            ("get_conversation", ["trace_id": trace]), ("query_sql", ["query": "SELECT * FROM spans"]), ("query_sql", ["query": "SELECT attributes FROM spans"]), ("list_failures", [:]),
            ("what_changed", ["since": "2h"]),
        ]
        for (tool, arguments) in calls {
            let answer = try await fixture.call(tool, arguments)
            let size = answer.text.utf8.count
            #expect(!answer.isError, "\(tool): \(answer.text)")
            #expect(size < Self.answerBytesMax, "\(tool): \(size)")
        }
    }

    @Test(arguments: [
        "DELETE FROM segment", "CREATE TABLE t (a)", "ATTACH 'x' AS x", "PRAGMA journal_mode = DELETE", "SELECT load_extension('x')",
        "SELECT 1; SELECT 2", "", "SELECT", "SELECT :missing", "UPDATE evaluation SET score = 1", "VACUUM INTO 'x'",
    ])
    func aStatementThatIsNoReadingIsRefusedWithAReason(query: String) async throws {
        let fixture = try await AgentFixture([AgentFixture.span(1, "root")])
        let answer = try await fixture.call("query_sql", ["query": .string(query)])
        #expect(answer.isError)
        #expect(!answer.text.isEmpty)
    }

    @Test func sqlTellsThatThereIsMore() async throws {
        let fixture = try await AgentFixture([])
        let count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n WHERE i >= :from"
        let answer = try await fixture.call(
            "query_sql", ["query": .string(count), "parameters": ["from": "11"], "limit": .integer(5)])
        #expect(answer.value["rows"] == [[.integer(11)], [.integer(12)], [.integer(13)], [.integer(14)], [.integer(15)]])
        #expect(answer.value["truncated"] == .bool(true))
        let wide = try await fixture.call("query_sql", ["query": "SELECT printf('%.*c', 100000, 'x') AS x, 9007199254740993 AS big"])
        #expect(wide.value["clipped_cells"] == .integer(1))
        #expect(wide.text.contains("\"9007199254740993\""))
    }

    @Test(arguments: [
        ("get_trace", #"{"trace_id":"xyz"}"#, "32 hexadecimal"), ("get_trace", "{}", "needs trace_id"),
        ("get_trace", #"{"trace_id":"00000000000000000000000000000abc"}"#, "no span of trace"),
        ("search_traces", #"{"colour":"red"}"#, "it takes since"), ("search_traces", #"{"since":"yesterday"}"#, "an age such as"),
        ("search_traces", #"{"outcome":"bad"}"#, "one of ok, error"), ("search_traces", #"{"limit":1000}"#, "from 1 to 100"),
        ("search_traces", #"{"since":"1h","until":"2h"}"#, "since must be before until"),
        ("compare_windows", #"{"a_since":"1h","b_since":"2h"}"#, "must begin before it ends"),
    ])
    func whatIsWrongIsSaidWithWhatWouldBeRight(tool: String, arguments: String, hint: String) async throws {
        let fixture = try await AgentFixture([AgentFixture.span(1, "root")])
        let answer = try await fixture.call(tool, try JSONValue.parse(Array(arguments.utf8)[...]))
        #expect(answer.isError)
        #expect(answer.text.contains(hint), "\(answer.text)")
    }

    @Test func numbersWrittenAsTextsAreTaken() async throws {
        let fixture = try await AgentFixture([AgentFixture.span(1, "root")])
        let answer = try await fixture.call("search_traces", ["limit": "1", "min_ms": "0", "since": "-2h", "until": "now"])
        #expect(!answer.isError, "\(answer.text)")
        guard case .array(let traces)? = answer.value["traces"] else { return #expect(Bool(false)) }
        #expect(traces.count == 1)
    }

    @Test func textsAreCutAtWholeCharactersAndSayHowMuchIsMissing() {
        #expect(ClippedText.of("abc", max: 3) == "abc")
        #expect(ClippedText.of("ééé", max: 3) == "ééé")
        #expect(ClippedText.of("éééé", max: 3) == "ééé… (1 more characters)")
    }
}
