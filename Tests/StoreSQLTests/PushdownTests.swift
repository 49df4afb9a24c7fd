import SQLite
import SpanStore
import StoreSQL
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

/// Conditions that are handed down to the segments give what SQLite gives when it looks at every row; merged or not.
@Suite struct PushdownTests {
    private func filled(_ seed: UInt64, merged: Bool) throws -> (fixture: StoreFixture, workload: Workload) {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: seed))
        for _ in 0..<70 { try fixture.ingest(workload.batch()) }
        if merged { try fixture.merge() }
        for _ in 0..<5 { try fixture.ingest(workload.batch()) }
        return (fixture, workload)
    }

    private static let columns = [
        "trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano", "duration_ns", "service_name",
        "status_code", "status_message", "scope_name", "tool_name", "tokens", "session_id", "stage", "cache_hit",
    ]

    /// The condition with every column behind a plus, which keeps the planner from handing it down.
    private func hidden(_ condition: String) throws -> String {
        try Self.columns.reduce(condition) { $0.replacing(try Regex("\\b\($1)\\b"), with: "+\($1)") }
    }

    @Test(arguments: [false, true])
    func everyConditionGivesWhatAFullScanGives(merged: Bool) throws {
        let (fixture, _) = try filled(21, merged: merged)
        let span = try fixture.sql(
            "SELECT trace_id, span_id, parent_span_id FROM spans WHERE parent_span_id IS NOT NULL LIMIT 1")[0]
        let conditions = [
            "tokens > 5000", "tokens >= 5000.5", "tokens < 100", "tokens <= 4000 AND tokens > 3000", "tokens = 17",
            "tokens IS NULL", "tokens IS NOT NULL", "tokens IN (1, 2, 3, 4000)", "tokens IN (NULL)", "tokens = NULL",
            "tokens <> 5",
            "tokens BETWEEN 10 AND 3000 AND tool_name = 'tool 2'", "tokens < -9223372036854775808", "tokens > 9e99",
            "tool_name IS NULL", "tool_name IS NOT NULL", "tool_name IN ('tool 1', 'tool 3', NULL)", "tool_name IN ('none')",
            "tool_name LIKE 'tool 1%'", "tool_name LIKE 'TOOL%'", "tool_name LIKE '%2'", "tool_name LIKE 'tool_1'",
            "tool_name LIKE ''",
            "tool_name LIKE NULL", "tool_name NOT LIKE 'tool 1%'", "tool_name > 'tool 2'", "session_id LIKE 'session 1%'",
            "status_message = 'failed 1'", "status_code = 2", "status_code IN (0, 1)", "cache_hit = 1", "cache_hit IS NULL",
            "duration_ns > 50000", "duration_ns = 0", "duration_ns < 0", "duration_ns <= 10", "duration_ns >= -5",
            "duration_ns IS NULL",
            "end_time_unix_nano > 5000000", "end_time_unix_nano BETWEEN 2000000 AND 2100000",
            "start_time_unix_nano > 3000000 AND start_time_unix_nano <= 3500000.5", "start_time_unix_nano IN (1, 2)",
            "trace_id = '\(span[0])'", "trace_id IN ('\(span[0])', 'x')", "trace_id LIKE '0000%'", "span_id = '\(span[1])'",
            "span_id IN ('\(span[1])', '\(span[2])')", "span_id = 'X'", "parent_span_id = '\(span[2])'", "parent_span_id IS NULL",
            "service_name IN ('svc1', 'svc2')", "service_name LIKE 'SVC%'", "service_name LIKE 'x%'", "service_name IS NULL",
            "scope_name = 'tests'", "scope_name LIKE 't%'", "scope_name = 'x'", "stage = 'other' AND tokens > 8000",
            "tool_name = 'tool 1' OR tokens < 50", "tool_name = session_id", "NOT (tokens > 100)",
        ]
        for condition in conditions {
            let query = "SELECT span_id FROM spans WHERE"
            #expect(
                try fixture.sql("\(query) \(condition) ORDER BY 1")
                    == fixture.sql("\(query) \(try hidden(condition)) ORDER BY +span_id"),
                "\(condition)")
        }
        #expect(
            try fixture.sql("SELECT span_id FROM spans WHERE tokens > '5000'")
                == fixture.sql("SELECT span_id FROM spans WHERE tokens > 5000"))
    }

    @Test(arguments: [false, true])
    func attributesAreColumns(merged: Bool) throws {
        let (fixture, _) = try filled(22, merged: merged)
        let keys = ["key.1", "key.2", "tool_name", "tokens", "none", "it's"]
        for key in keys {
            let call = "attr(attributes, '\(key.replacing("'", with: "''"))')"
            let conditions = [
                "\(call) = 'text 3 é'", "\(call) = 3", "\(call) = '3'", "\(call) > 2", "\(call) < 0.5", "\(call) IS NULL",
                "\(call) IS NOT NULL",
                "\(call) = 1", "\(call) LIKE 'text%'", "\(call) LIKE '%'", "\(call) IN (1, 2, 'text 1 é')", "\(call) = 'AP8='",
                "\(call) >= 'text 2'",
                "\(call) = 'tool 2' AND tokens > 100",
            ]
            for condition in conditions {
                let query = "SELECT span_id, \(call), typeof(\(call)) FROM spans WHERE \(condition) ORDER BY 1"
                #expect(try fixture.sql(query, rewriting: true) == fixture.sql(query), "\(query)")
            }
        }
        let reader = try SQLReader(folder: fixture.folder)
        let statement = try #require(
            try reader.prepareNext(
                "SELECT attr(s.attributes, 'key.1') FROM spans s WHERE attr(s.attributes, 'key.1') = 1; SELECT 2")?.statement)
        #expect(statement.columnName(0) == "attr(s.attributes, 'key.1')")
        while try statement.step() {}
        #expect(reader.report.columns["key.1"] != nil)
        #expect(reader.report.columns["key.2"] == nil)
    }

    /// A condition in ON on a table left of an outer join decides what is joined, not which of its rows there are.
    @Test(arguments: [false, true])
    func conditionsInOnTakeNoRowsOfTheLeftTableAway(merged: Bool) throws {
        let (fixture, _) = try filled(26, merged: merged)
        let total = try fixture.sql("SELECT count(span_id) FROM spans")
        for condition in [
            "a.tool_name IS NOT NULL", "a.tool_name NOTNULL", "a.tool_name IS NOT (NULL)", "a.tool_name LIKE 'tool 1%'",
            "like('tool 1%', a.tool_name)", "a.tool_name GLOB 'x*'", "a.tool_name <> 'tool 1'", "a.tool_name IS NOT 'tool 1'",
            "a.tool_name = 'tool 1'", "a.tool_name IN ('tool 1')", "a.tool_name IS NULL", "a.tokens < 5", "a.tokens BETWEEN 1 AND 9",
            "(a.tool_name IS NOT NULL AND a.tokens = 1 OR a.tool_name LIKE 't%' AND a.tokens = 2)",
        ] {
            for join in ["LEFT JOIN", "left outer join", "FULL JOIN"] {
                let query = "SELECT count(a.span_id) FROM spans a \(join) (SELECT 1 AS x) t ON \(condition)"
                #expect(try fixture.sql(query) == total, "\(query)")
            }
        }
        // In the list of a subquery the condition stands before the join, and is put into ON.
        let flattened =
            "SELECT count(*) FROM (SELECT span_id, tool_name IS NOT NULL AS y FROM spans) s LEFT JOIN (SELECT 1 AS x) t ON s.y"
        #expect(try fixture.sql(flattened) == total)
        // Without an outer join they still skip rows; a view that has one is found by its name.
        let reader = try SQLReader(folder: fixture.folder)
        let passed = { (query: String) throws -> Int in
            reader.report.clear()
            guard let statement = try reader.prepareNext(query[...])?.statement else { return -1 }
            while try statement.step() {}
            return reader.report.passedSpans
        }
        let named = Int(try fixture.sql("SELECT count(tool_name) FROM spans")[0][0])
        let all = Int(total[0][0])
        #expect(try passed("SELECT count(*) FROM spans WHERE tool_name IS NOT NULL") == named)
        #expect(try passed("SELECT sum(x) FROM (SELECT tokens AS x FROM spans WHERE tool_name LIKE 't%')") == named)
        #expect(try passed("SELECT 1 FROM spans LEFT JOIN (SELECT 1 AS x) t ON x WHERE tool_name IS NOT NULL") == all)
        let costs = try passed("SELECT count(*) FROM costs")
        let both = "SELECT count(*) FROM spans, (SELECT count(*) AS n FROM Costs) WHERE tool_name IS NOT NULL"
        #expect(try passed(both) == costs + (all ?? 0))
    }

    /// SQLite hands down a list of several columns that it has used up before.
    @Test func aListOfSeveralColumnsKeepsRowsThatNothingWasJoinedWith() throws {
        let (fixture, _) = try filled(30, merged: true)
        for join in ["RIGHT", "FULL"] {
            for table in ["spans", "(SELECT * FROM spans)"] {
                let query = "SELECT count(*), count(a.span_id) FROM spans a \(join) JOIN \(table) b ON b.parent_span_id = a.span_id"
                let list = "SELECT service_name, status_code FROM spans"
                let direct = try fixture.sql("\(query) WHERE (b.service_name, b.status_code) IN (\(list))")
                #expect(try direct == fixture.sql("\(query) WHERE (+b.service_name, +b.status_code) IN (\(list))"), "\(join) \(table)")
            }
        }
    }

    @Test func integersAreComparedWithDoublesByTheirWorth() throws {
        let (fixture, _) = try filled(29, merged: true)
        let bounds = ["1.0", "2.0", "1.5", "0.0", "-0.5", "1e3", "9.3e18", "-9.3e18", "1e300", "-1e300"]
        for column in ["counts_tokens", "status_code", "tokens", "duration_ns", "start_time_unix_nano"] {
            for comparison in ["=", "<", "<=", ">", ">=", "<>", "IS"] {
                for bound in bounds {
                    let plain = try fixture.sql("SELECT sum(+\(column) \(comparison) \(bound)) FROM spans")
                    let condition = "\(column) \(comparison) \(bound)"
                    let found = try fixture.sql("SELECT count(span_id || '') FROM spans WHERE \(condition)")
                    #expect(found == plain, "\(condition)")
                    #expect(try fixture.sql("SELECT count(*) FROM spans WHERE \(condition)") == plain, "\(condition)")
                }
            }
        }
    }

    @Test func whatMayMeanSomethingElseIsNotRewritten() throws {
        let statements = [
            "WITH s AS (SELECT '{}' AS attributes) SELECT attr(attributes, 'k') FROM s, spans",
            "SELECT attr(attributes, 'k') FROM (SELECT attributes FROM spans)", "SELECT attr(attributes, key) FROM spans",
            "SELECT attr(resource_attributes, 'k') FROM spans", "SELECT 'attr(attributes, ''k'')' FROM spans",
            "SELECT count(*) FROM spans WHERE tokens > 1", "SELECT count(*) FROM spans 'unfinished",
            "SELECT attr(attributes, 'k') FROM spans WHERE name = 'unfinished",
        ]
        for statement in statements { #expect(QueryRewriter.rewrite(statement) == nil, "\(statement)") }
    }

    @Test func attributesAreColumnsWhereverTheyStand() throws {
        let (fixture, _) = try filled(24, merged: true)
        let statements = [
            "WITH s AS (SELECT attr(attributes, 'key.1') AS k, span_id FROM spans) SELECT k, span_id FROM s WHERE k IS NOT NULL ORDER BY 2",
            "SELECT span_id FROM spans a WHERE EXISTS (SELECT 1 FROM spans b WHERE attr(b.attributes, 'key.1') = attr(a.attributes, 'key.2')) ORDER BY 1",
            "SELECT a.span_id, attr(b.attributes, 'key.1') FROM spans a JOIN spans AS b ON b.trace_id = a.trace_id ORDER BY 1, 2",
            "SELECT attr(attributes, 'key.1') FROM spans UNION SELECT attr(attributes, 'key.2') FROM spans ORDER BY 1",
            "SELECT (SELECT max(attr(spans.attributes, 'key.1')) FROM spans), upper(attr(t.attributes, 'key.2')) FROM spans t ORDER BY 2",
        ]
        for statement in statements {
            #expect(QueryRewriter.rewrite(statement) != nil, "\(statement)")
            #expect(try fixture.sql(statement, rewriting: true) == fixture.sql(statement), "\(statement)")
        }
        let others = [
            "SELECT attr(attributes, 'k') FROM logs WHERE span_id IN (SELECT span_id FROM spans)",
            "SELECT attr(l.attributes, 'k') FROM logs l JOIN (SELECT span_id FROM spans) s USING (span_id)",
            "WITH spans AS (SELECT attributes FROM logs) SELECT attr(attributes, 'k') FROM spans",
        ]
        for statement in others { #expect(QueryRewriter.rewrite(statement) == nil, "\(statement)") }
    }

    @Test(arguments: [false, true])
    func rowsComeInTheOrderThatWasAskedFor(merged: Bool) throws {
        let (fixture, _) = try filled(23, merged: merged)
        for direction in ["ASC", "DESC"] {
            for column in ["start_time_unix_nano", "tool_name", "service_name", "trace_id", "session_id", "name"] {
                for condition in ["1", "tool_name IS NOT NULL", "tokens > 4000", "service_name = 'svc1'", "tool_name = 'none'"] {
                    let direct = try fixture.sql("SELECT \(column) FROM spans WHERE \(condition) ORDER BY \(column) \(direction)")
                    let sorted = try fixture.sql(
                        "SELECT \(column) FROM spans WHERE \(condition) ORDER BY +\(column) \(direction)")
                    #expect(direct == sorted, "\(column) \(direction) \(condition)")
                }
            }
        }
        let groups =
            "count(*), sum(tokens), max(duration_ns), percentile(duration_ns, 95), group_concat(DISTINCT stage) FROM spans"
        for column in ["tool_name", "service_name", "trace_id", "session_id"] {
            #expect(
                try fixture.sql("SELECT \(column), \(groups) GROUP BY 1 ORDER BY 1")
                    == fixture.sql("SELECT +\(column), \(groups) GROUP BY +\(column) ORDER BY 1"), "\(column)")
            #expect(
                try fixture.sql("SELECT DISTINCT \(column) FROM spans ORDER BY 1")
                    == fixture.sql("SELECT DISTINCT +\(column) FROM spans ORDER BY 1"))
        }
    }

    @Test(arguments: [false, true])
    func rowsComeInTheOrderOfSeveralTexts(merged: Bool) throws {
        let (fixture, _) = try filled(24, merged: merged)
        let figures = "count(*), sum(tokens), percentile(duration_ns, 95), min(span_id), max(span_id) FROM spans"
        for columns in [
            ["tool_name", "stage"], ["service_name", "call_name", "stage"], ["trace_id", "name"], ["session_id", "tool_name"],
            ["status_message", "tool_name", "service_name", "stage"], ["trace_id", "tool_name", "name", "session_id", "stage"],
        ] {
            let list = columns.joined(separator: ", ")
            let hidden = columns.map { "+\($0)" }.joined(separator: ", ")
            for condition in ["1", "tool_name IS NOT NULL", "service_name = 'svc1' OR tokens > 4000", "tool_name = 'none'"] {
                #expect(
                    try fixture.sql("SELECT \(list), \(figures) WHERE \(condition) GROUP BY \(list) ORDER BY \(hidden)")
                        == fixture.sql("SELECT \(hidden), \(figures) WHERE \(condition) GROUP BY \(hidden) ORDER BY \(hidden)"),
                    "\(list) \(condition)")
                #expect(
                    try fixture.sql("SELECT DISTINCT \(list) FROM spans WHERE \(condition) ORDER BY \(hidden)")
                        == fixture.sql("SELECT DISTINCT \(hidden) FROM spans WHERE \(condition) ORDER BY \(hidden)"))
            }
            let mixed = columns.enumerated().map { $0.offset % 2 == 0 ? "\($0.element) DESC" : $0.element }
            #expect(
                try fixture.sql("SELECT \(list) FROM spans ORDER BY \(mixed.joined(separator: ", "))")
                    == fixture.sql("SELECT \(list) FROM spans ORDER BY +\(mixed.joined(separator: ", +"))"), "\(list)")
        }
        let plan = try fixture.sql("EXPLAIN QUERY PLAN SELECT tool_name, stage, count(*) FROM spans GROUP BY 1, 2")
        #expect(!plan.joined().contains { $0.contains("TEMP B-TREE") }, "\(plan)")
    }

    /// More segments than stay open, with traces that lie in many of them, in two, and in one.
    @Test(arguments: [0, 150, 320])
    func tracesAreGroupedWhereverTheirSpansLie(merged: Int) throws {
        let fixture = try StoreFixture()
        var next: UInt64 = 1
        for segment in 0..<320 {
            let spans = (0..<6).map { number -> SpanDescription in
                let trace = [1, 2 + UInt64(segment % 7), 1_000 + UInt64(segment / 2), 5_000 + UInt64(segment)][number % 4]
                defer { next += 1 }
                return Batches.span(trace, next, ["tokens": .int(Int64(next % 50))], start: Int64(next) * 10)
            }
            try fixture.ingest(Batches.of(spans, service: "svc\(segment % 3)"))
            if segment + 1 == merged { try fixture.merge() }
        }
        #expect(try merged > 0 || fixture.sql("SELECT count(*) > 256 FROM segment") == [["1"]])
        for condition in ["1", "tokens > 10", "service_name <> 'svc1'", "start_time_unix_nano > 9000"] {
            let figures = "count(*), sum(tokens), min(span_id), max(start_time_unix_nano) FROM spans WHERE \(condition)"
            let groups = try fixture.sql("SELECT trace_id, \(figures) GROUP BY unordered_trace_id")
            #expect(
                try groups.sorted { $0[0] < $1[0] } == fixture.sql("SELECT +trace_id, \(figures) GROUP BY +trace_id ORDER BY 1"),
                "\(condition)")
            #expect(
                try fixture.sql("SELECT trace_id, \(figures) GROUP BY trace_id ORDER BY trace_id DESC LIMIT 50")
                    == fixture.sql("SELECT +trace_id, \(figures) GROUP BY +trace_id ORDER BY 1 DESC LIMIT 50"))
        }
        let sorted = "SELECT trace_id FROM spans ORDER BY trace_id"
        #expect(try fixture.sql("SELECT unordered_trace_id FROM spans ORDER BY unordered_trace_id") == fixture.sql(sorted))
        let plan = try fixture.sql("EXPLAIN QUERY PLAN SELECT count(*) FROM spans GROUP BY unordered_trace_id")
        #expect(!plan.joined().contains { $0.contains("TEMP B-TREE") }, "\(plan)")
    }

    @Test(arguments: [false, true])
    func aCallGoesByItsToolOrElseByItsStage(merged: Bool) throws {
        let (fixture, _) = try filled(25, merged: merged)
        #expect(try fixture.sql("SELECT count(*) FROM spans WHERE call_name IS NOT coalesce(tool_name, stage)") == [["0"]])
        #expect(
            try fixture.sql("SELECT DISTINCT call_name FROM spans ORDER BY 1")
                == fixture.sql("SELECT DISTINCT coalesce(tool_name, stage) FROM spans ORDER BY 1"))
    }

    @Test func theLatestSpansAreFoundWithoutSortingAll() throws {
        let fixture = try StoreFixture()
        for segment in 0..<20 {
            try fixture.ingest(
                Batches.of((1...50).map { Batches.span(1, UInt64(segment * 100 + $0), start: Int64(segment * 1_000 + $0)) }))
        }
        let reader = try SQLReader(folder: fixture.folder)
        let statement = try #require(
            try reader.prepareNext("SELECT start_time_unix_nano FROM spans ORDER BY start_time_unix_nano DESC LIMIT 3")?.statement
        )
        var starts: [Int64] = []
        while try statement.step() { starts.append(statement.integer(0)) }
        #expect(starts == [19_050, 19_049, 19_048])
        #expect(reader.report.passedSpans == 50)
    }

    @Test func countingReadsNoSegment() throws {
        let (fixture, _) = try filled(24, merged: true)
        let reader = try SQLReader(folder: fixture.folder)
        let count = try fixture.sql("SELECT count(span_id) FROM spans")
        for query in ["SELECT count(*) FROM spans", "SELECT count(*) AS n FROM spans"] {
            let statement = try #require(try reader.prepareNext(query[...])?.statement)
            #expect(try statement.step())
            #expect("\(statement.integer(0))" == count[0][0])
        }
        #expect(reader.report.readBytes == 0)
    }

    @Test func aReportSaysWhatWasReadAndSkipped() throws {
        let fixture = try StoreFixture()
        for segment in 0..<10 {
            let attributes: AttributeList = ["tool_name": .string("tool \(segment)"), "tokens": .int(Int64(segment * 100))]
            try fixture.ingest(
                Batches.of(
                    (1...5).map { Batches.span(1, UInt64(segment * 100 + $0), attributes, start: Int64(segment * 1_000 + $0)) }))
        }
        let reader = try SQLReader(folder: fixture.folder)
        let query =
            "SELECT sum(duration_ns) FROM spans WHERE start_time_unix_nano >= 4000 AND tokens > 650 AND tool_name LIKE 'tool 8%'"
        let statement = try #require(try reader.prepareNext(query[...])?.statement)
        while try statement.step() {}
        #expect(reader.report.segments == 10)
        #expect(reader.report.skippedByStatistics == 4)
        #expect(reader.report.skippedByValues == 5)
        #expect(reader.report.passedSpans == 5)
        #expect(reader.report.columns["duration"] == 1)
        #expect(reader.report.columns["name"] == nil)
    }
}
