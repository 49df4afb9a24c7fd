import SpanStore
import StoreSQL
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

/// Whatever a query lets the virtual table skip, its answer is that of reading everything.
@Suite struct SkippingTests {
    private static let tools = ["alpha", "beta", "gamma", "a tool with a long name that fills a dictionary"]

    private func filled(_ random: inout SplitMix64) throws -> (fixture: StoreFixture, spans: [SpanDescription]) {
        let fixture = try StoreFixture()
        var all: [SpanDescription] = []
        for segment in 0..<12 {
            let spans = (0..<150).map { number -> SpanDescription in
                var attributes: AttributeList = [:]
                if Bool.random(using: &random) {
                    attributes.append("tool_name", .string(Self.tools[Int.random(in: 0..<4, using: &random)]))
                }
                if number % 5 == 0 { attributes.append("session.id", .string("s\(segment)-\(number)")) }
                return Batches.span(
                    .random(in: 1...40, using: &random), UInt64(segment * 1000 + number + 1), attributes,
                    start: Int64(segment) * 10_000 + .random(in: 0..<10_000, using: &random))
            }
            try fixture.ingest(Batches.of(spans, service: "svc\(segment % 3)"))
            all += spans
        }
        return (fixture, all)
    }

    @Test func everyConditionGivesWhatAFullScanGives() throws {
        var random = SplitMix64(seed: 7)
        let (fixture, spans) = try filled(&random)
        let trace = spans[100].traceID.hexadecimal
        let conditions = [
            "trace_id = '\(trace)'", "trace_id = '\(trace.uppercased())'", "trace_id = 'nonsense'",
            "trace_id IN ('\(trace)', '\(spans[700].traceID.hexadecimal)')", "trace_id <> '\(trace)'",
            "start_time_unix_nano >= 25000 AND start_time_unix_nano < 57123", "start_time_unix_nano > 9999999",
            "start_time_unix_nano BETWEEN \(spans[5].startTimeUnixNano) AND \(spans[5].startTimeUnixNano)",
            "start_time_unix_nano > \(Int64.max)", "start_time_unix_nano < \(Int64.min)", "start_time_unix_nano >= 25000.5",
            "tool_name = 'beta'", "tool_name = 'BETA'", "tool_name = 'BETA' COLLATE NOCASE", "tool_name = 'none'", "tool_name = 5",
            "tool_name IS NULL", "tool_name = 'beta' AND trace_id = '\(trace)'", "session_id = 's3-25'",
            "service_name = 'svc1'", "service_name = 'svc9'", "service_name = 'svc1' AND tool_name = 'gamma' AND start_time_unix_nano > 40000",
            "name = 'span 1'", "tool_name = 'alpha' OR trace_id = '\(trace)'", "stage = 'other'",
        ]
        for condition in conditions {
            // An unary plus and a concatenation keep the planner from handing the condition down.
            let hidden = condition
                .replacing("trace_id", with: "(trace_id || '')").replacing("start_time_unix_nano", with: "+start_time_unix_nano")
                .replacing("tool_name", with: "+tool_name").replacing("session_id", with: "+session_id")
                .replacing("service_name", with: "+service_name").replacing("stage", with: "+stage")
            let query = "SELECT span_id FROM spans WHERE"
            #expect(
                try fixture.sql("\(query) \(condition) ORDER BY 1") == fixture.sql("\(query) \(hidden) ORDER BY 1"), "\(condition)")
        }
        #expect(try fixture.sql("SELECT count(*) FROM spans") == [["\(spans.count)"]])
    }

    @Test func everyViewAnswers() throws {
        var random = SplitMix64(seed: 8)
        let (fixture, spans) = try filled(&random)
        for table in SQLReader.tables { _ = try fixture.sql("SELECT * FROM \(table) LIMIT 5") }
        #expect(try fixture.sql("SELECT count(*) FROM traces") == [["\(Set(spans.map(\.traceID)).count)"]])
        #expect(try fixture.sql("SELECT sum(span_count) FROM traces") == [["\(spans.count)"]])
    }

    @Test func percentilesAreTheValuesAtTheirRanks() throws {
        let fixture = try StoreFixture()
        let row = try fixture.sql(
            """
            WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100)
            SELECT percentile(x, 95), percentile(x, 50), percentile(x, 0), percentile(x, 100), percentile(NULL, 50), percentile(x / 2.0, 99)
            FROM n
            """)
        #expect(row == [["95", "50", "1", "100", "∅", "49.5"]])
    }

    @Test(arguments: [
        (
            "(9007199254740993), (9007199254740992), (9007199254740995)", "9007199254740992", "9007199254740993",
            "9007199254740995"
        ),
        (
            "(9223372036854775807), (9223372036854775806), (-9223372036854775808)", "-9223372036854775808",
            "9223372036854775806", "9223372036854775807"
        ),
        // Times of one microsecond: what doubles cannot tell apart.
        (
            "(1795944028745389512), (1795944028745389511), (1795944028745389513)", "1795944028745389511", "1795944028745389512",
            "1795944028745389513"
        ),
        // Doubles among integers stand where their values do; texts count as the numbers that they begin with.
        ("(2), (1.5), (9007199254740993), (1e300), (NULL)", "1.5", "2", "1.0e+300"),
        ("(-1e300), (-9223372036854775808), (0.5)", "-1.0e+300", "-9223372036854775808", "0.5"),
        ("('12'), (9.25), ('9007199254740993')", "9.25", "12", "9007199254740993"),
        ("(2.0), (1.0), (3.0)", "1", "2", "3"), ("(0.25)", "0.25", "0.25", "0.25"),
    ])
    func percentilesAreExact(values: String, lowest: String, middle: String, highest: String) throws {
        let fixture = try StoreFixture()
        let row = try fixture.sql(
            "WITH n(x) AS (VALUES \(values)) SELECT percentile(x, 0), percentile(x, 50), percentile(x, 100) FROM n")
        #expect(row == [[lowest, middle, highest]])
    }

    /// A text is not over at a NUL in it, however a query asks for it.
    @Test(arguments: [false, true])
    func textsWithNULAreWhole(merged: Bool) throws {
        let fixture = try StoreFixture()
        let texts = ["a\0b", "a\0c", "a", "b\0\0c", "b"]
        for (number, text) in texts.enumerated() {
            var span = Batches.span(1, UInt64(number + 1), ["tool_name": .string(text), "key": .string(text), "key\0x": 1])
            span.name = text
            try fixture.ingest(Batches.of([span], service: text))
            try fixture.ingest(
                LogBatches.of(
                    [.init(time: 5, event: text, body: .string(text), attributes: ["key": .string(text)])], service: text))
        }
        if merged {
            try fixture.merge()
            try fixture.mergeLogs()
        }
        let spans = ["name", "tool_name", "service_name", "call_name", "attr(attributes, 'key')"]
        let logs = ["event_name", "body", "service_name", "attr(attributes, 'key')"]
        for (table, columns) in [("spans", spans), ("logs", logs)] {
            for column in columns {
                for text in texts {
                    let literal = "CAST(x'\(text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())' AS TEXT)"
                    for condition in [
                        "\(column) = \(literal)", "\(column) IN (\(literal), 'none')", "hex(\(column)) = hex(\(literal))",
                        "instr(\(column), \(literal)) = 1 AND length(CAST(\(column) AS BLOB)) = \(text.utf8.count)",
                        "\(column) >= \(literal) AND \(column) <= \(literal)",
                    ] {
                        let query = "SELECT count(*) FROM \(table) WHERE \(condition)"
                        #expect(try fixture.sql(query) == [["1"]], "\(query)")
                        #expect(try fixture.sql(query, rewriting: true) == [["1"]], "\(query)")
                    }
                }
                // What LIKE sees of a pattern and of a text ends at a NUL: so SQLite has it.
                let query = "SELECT count(*) FROM \(table) WHERE \(column) LIKE 'a' || char(0) || '%'"
                #expect(try fixture.sql(query) == fixture.sql(query.replacing("WHERE ", with: "WHERE '' || ")), "\(query)")
                #expect(try fixture.sql("SELECT count(DISTINCT \(column)) FROM \(table)") == [["\(texts.count)"]])
                let groups = "SELECT max(\(column)), count(*) FROM \(table) GROUP BY \(column)"
                #expect(Set(try fixture.sql(groups)) == Set(texts.map { [$0, "1"] }))
            }
        }
        #expect(try fixture.sql("SELECT count(*) FROM spans WHERE attr(attributes, 'key' || char(0) || 'x') = 1") == [["5"]])
    }

    @Test func tokensAreCountedOncePerCall() throws {
        let fixture = try StoreFixture()
        var outer = Batches.span(1, 1, ["tokens": 10])
        var inner = Batches.span(1, 2, ["tokens": 10])
        inner.parentSpanID = SpanID(1)
        outer.name = "wrapper"
        var agent = Batches.span(1, 3, ["tokens": 99, "gen_ai.operation.name": "invoke_agent"])
        agent.name = "agent"
        try fixture.ingest(Batches.of([inner, outer, agent]))
        #expect(try fixture.sql("SELECT sum(tokens), count(*) FROM token_spans") == [["10", "1"]])
        #expect(try fixture.sql("SELECT tokens FROM traces") == [["10"]])
    }
}
