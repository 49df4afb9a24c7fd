import SpanStore
import TelemetryModel
import Testing

/// Whatever a query lets the virtual table skip, its answer is that of reading everything.
@Suite struct SkippingTests {
    private static let tools = ["alpha", "beta", "gamma", "a tool with a long name that fills a dictionary"]

    private func filled(_ random: inout Seeded) throws -> (fixture: StoreFixture, spans: [SpanDescription]) {
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
        var random = Seeded(state: 7)
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
        var random = Seeded(state: 8)
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
