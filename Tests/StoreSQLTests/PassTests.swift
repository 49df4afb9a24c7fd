import SQLite
import SegmentFormat
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import StoreSQL

/// What a pass reads of columns is what SQL gives row by row; merged or not.
@Suite struct PassTests {
    private func filled(_ seed: UInt64, merged: Bool) throws -> StoreFixture {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: seed))
        for _ in 0..<70 { try fixture.ingest(workload.batch()) }
        if merged { try fixture.merge() }
        for _ in 0..<5 { try fixture.ingest(workload.batch()) }
        return fixture
    }

    private static let texts = ["service_name", "tool_name", "session_id", "stage", "status_message", "outcome", "name"]
    private static let integers = [
        "start_time_unix_nano", "end_time_unix_nano", "duration_ns", "tokens", "status_code", "cache_hit", "workflow_root", "is_run",
        "latest_known_unix_nano",
    ]

    private func passed(_ fixture: StoreFixture, _ bounds: SpanPass.Bounds) throws -> [[String]] {
        var rows: [[String]] = []
        try SpanPass(SQLReader(folder: fixture.folder)).each(bounds) { segment throws(SQLiteError) in
            var columns: [(Int) -> String] = []
            for name in Self.texts {
                let column = try segment.texts(name)
                columns.append { column.text(column.number($0)) ?? "∅" }
            }
            for name in Self.integers {
                let column = try segment.integers(name)
                columns.append { column[$0].map { "\($0)" } ?? "∅" }
            }
            let isChild = try segment.presence("parent_span_id")
            columns.append { isChild[$0] ? "1" : "0" }
            segment.forEachRow { row in rows.append(columns.map { $0(row) }) }
        }
        return rows.sorted { $0.lexicographicallyPrecedes($1) }
    }

    @Test(arguments: [false, true])
    func columnsAreWhatSQLGives(merged: Bool) throws {
        let fixture = try filled(31, merged: merged)
        let select = "SELECT \((Self.texts + Self.integers).joined(separator: ", ")), parent_span_id IS NOT NULL FROM spans WHERE"
        let conditions: [String?] = [
            nil, "tool_name = 'tool 2'", "tokens > 4000 OR session_id IS NULL", "service_name LIKE 'SVC1'", "0",
        ]
        for condition in conditions {
            for (from, until) in [(Int64.min, Int64.max), (2_000_000, 5_000_000), (0, 1)] {
                let bounds = [
                    (
                        SpanPass.Bounds(.latestKnown, from: from, until: until, condition: condition),
                        "+latest_known_unix_nano >= \(from) AND +latest_known_unix_nano < \(until) AND +start_time_unix_nano < \(until)"
                    ),
                    (
                        SpanPass.Bounds(.start, from: from, until: until, condition: condition),
                        "+start_time_unix_nano >= \(from) AND +start_time_unix_nano < \(until)"
                    ),
                ]
                for (bounds, sql) in bounds {
                    let expected = try fixture.sql("\(select) \(sql) AND (\(condition ?? "1"))")
                    let found = try passed(fixture, bounds)
                    #expect(found == expected.sorted { $0.lexicographicallyPrecedes($1) }, "\(bounds)")
                }
            }
        }
    }

    private func calls(_ seed: UInt64, merged: Bool) throws -> StoreFixture {
        let fixture = try StoreFixture()
        var workload = CallWorkload(random: SplitMix64(seed: seed))
        for batch in 0..<40 {
            try fixture.ingest(workload.batch())
            if merged && batch == 30 { try fixture.merge() }
        }
        return fixture
    }

    /// Whose tokens count, as SQL says it: `calls` are spans with tokens that no call within them has too.
    private static let law = """
        WITH RECURSIVE doubtful AS MATERIALIZED (
            SELECT trace_id, span_id, parent_span_id, service_name, start_time_unix_nano, tokens, operation FROM spans
            WHERE tokens IS NOT NULL AND coalesce(operation, '') NOT IN ('invoke_agent', 'chain')
                OR stage = 'llm' AND outcome IS NOT NULL),
        within(trace_id, around, span_id, tokens) AS (
            SELECT child.trace_id, child.parent_span_id, child.span_id, child.tokens FROM doubtful AS child
            UNION SELECT child.trace_id, within.around, child.span_id, child.tokens
            FROM within JOIN doubtful AS child ON child.trace_id = within.trace_id AND child.parent_span_id = within.span_id),
        calls AS (SELECT * FROM doubtful WHERE tokens IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM within WHERE within.trace_id = doubtful.trace_id AND within.around = doubtful.span_id
                AND within.span_id <> doubtful.span_id AND within.tokens IS NOT NULL))
        """

    @Test(arguments: [false, true])
    func tokensCountOnce(merged: Bool) throws {
        let fixture = try calls(32, merged: merged)
        for (condition, from) in [(nil, 0), ("service_name = 'svc1'", 0), (nil, 60_000)] as [(String?, Int64)] {
            var found: [[String]] = []
            try SpanPass(SQLReader(folder: fixture.folder)).eachTokenCall(
                .init(.start, from: from, until: .max, condition: condition)
            ) { segment throws(SQLiteError) in
                let tokens = try segment.integers("tokens")
                let spans = try segment.identities().spans
                let (ids, numbers) = try segment.traces()
                segment.forEachRow { row in
                    found.append([
                        ids[Int(numbers[row] ?? 0)].hexadecimal, SpanID(UInt64(bitPattern: spans[row] ?? 0)).hexadecimal,
                        "\(tokens[row] ?? -1)",
                    ])
                }
            }
            let expected = try fixture.sql(
                """
                \(Self.law)
                SELECT trace_id, span_id, tokens FROM calls WHERE start_time_unix_nano >= \(from) AND \(condition ?? "1")
                """)
            #expect(found.count > 20 && found.count < 240)
            #expect(found.sorted { $0.lexicographicallyPrecedes($1) } == expected.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }

    @Test(arguments: [false, true])
    func aColumnSaysWhoseTokensCount(merged: Bool) throws {
        let fixture = try calls(33, merged: merged)
        let trace = TraceID(high: 1, low: 7).hexadecimal
        for condition in ["1", "trace_id = '\(trace)'", "service_name = 'svc1'", "trace_id = '\(trace)' AND tokens > 400"] {
            let expected = try fixture.sql("\(Self.law) SELECT span_id, tokens FROM calls WHERE \(condition) ORDER BY 1, 2")
            #expect(!expected.isEmpty)
            #expect(try fixture.sql("SELECT span_id, tokens FROM token_spans WHERE \(condition) ORDER BY 1, 2") == expected)
            #expect(
                try fixture.sql("SELECT span_id, tokens FROM spans WHERE +counts_tokens = 1 AND \(condition) ORDER BY 1, 2")
                    == expected)
        }
        #expect(
            try fixture.sql("SELECT trace_id, tokens FROM traces ORDER BY 1")
                == fixture.sql(
                    """
                    \(Self.law) SELECT trace_id, (SELECT sum(tokens) FROM calls WHERE calls.trace_id = spans.trace_id)
                    FROM spans GROUP BY 1 ORDER BY 1
                    """))
        for condition in ["= 0", "<> 1", "IN (0, 1)", "IN (1, 2)", "> 0", "< 1", "IS NULL", "IS NOT NULL", "= NULL", "= 2"] {
            #expect(
                try fixture.sql("SELECT count(*) FROM spans WHERE counts_tokens \(condition)")
                    == fixture.sql("SELECT count(*) FROM spans WHERE +counts_tokens \(condition)"), "\(condition)")
        }
    }

    @Test func whoseTokensCountIsFoundAgainWhenSpansCome() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of([Batches.span(1, 1, ["tokens": 10])]))
        let reader = try SQLReader(folder: fixture.folder)
        let sum = { try reader.connection.integer("SELECT sum(tokens) FROM token_spans") }
        #expect(try sum() == 10)
        var child = Batches.span(1, 2, ["tokens": 7])
        child.parentSpanID = SpanID(1)
        try fixture.ingest(Batches.of([child]))
        #expect(try sum() == 7)
    }

    @Test(arguments: [41, 42, 43] as [UInt64])
    func whatSegmentsSayIsKeptWhileOthersComeAndMerge(seed: UInt64) throws {
        let fixture = try StoreFixture()
        var workload = CallWorkload(random: SplitMix64(seed: seed))
        let shared = CallsOfSegments()
        var readers: [SQLReader] = []
        let question = "SELECT trace_id, span_id, start_time_unix_nano, outcome, counts_tokens FROM spans"
        for batch in 0..<30 {
            try fixture.ingest(workload.batch())
            if batch % 9 == 8 { try fixture.merge() }
            // Several connections share what they know, and one of them may see an older state for longer.
            if readers.count < 2 { readers.append(try SQLReader(folder: fixture.folder, calls: shared)) }
            let kept = try StoreFixture.rows(question, readers[batch % readers.count])
            #expect(try kept == fixture.sql(question), "batch \(batch)")
        }
        let entries = Set(readers[1].catalog.entries.map(\.identity))
        _ = try StoreFixture.rows(question, readers[0])
        #expect(shared.segments == entries, "those that merged away are forgotten")
    }

    @Test(arguments: [
        "12", " 12x", "-7", "+9", "", "x", "- 1", "1e3", "9223372036854775808", "-9223372036854775809", "1.9", "--1",
    ])
    func textsAreCastAsSQLiteCastsThem(text: String) throws {
        let fixture = try StoreFixture()
        #expect("\(PassedSegment.castInteger(text.utf8))" == (try fixture.sql("SELECT CAST('\(text)' AS INTEGER)")[0][0]))
    }
}

/// Calls of traces that lie in several segments, with wrappers of every kind and span ids that are of one trace alone.
private struct CallWorkload {
    var random: SplitMix64
    private var next: UInt64 = 1
    private var batches = 0

    init(random: SplitMix64) {
        self.random = random
    }

    mutating func batch() -> SpanBatch {
        let operations = ["chat", "invoke_agent", "chain", "embeddings"]
        let spans = (0..<Int.random(in: 1..<9, using: &random)).map { _ -> SpanDescription in
            var attributes: AttributeList = [:]
            if Int.random(in: 0..<4, using: &random) > 0 {
                attributes.append("tokens", .int(.random(in: 0..<900, using: &random)))
            }
            if Bool.random(using: &random) {
                attributes.append("gen_ai.operation.name", .string(operations.randomElement(using: &random) ?? ""))
            }
            if Int.random(in: 0..<5, using: &random) == 0 {
                attributes.append("gen_ai.usage.cache_write.input_tokens", .string(" 12x"))
            }
            var span = Batches.span(.random(in: 1...4, using: &random), next / 3 + 1, attributes, start: Int64(next) * 1_000)
            // A trace of this batch alone, or one of three that go on for ever.
            span.traceID = TraceID(high: next % 4 == 3 ? 100 + UInt64(batches) : next % 3, low: 7)
            if next > 3 { span.parentSpanID = SpanID(.random(in: 1...next / 3 + 2, using: &random)) }
            next += 1
            return span
        }
        defer { batches += 1 }
        return Batches.of(spans, service: "svc\(batches % 2)")
    }
}
