import SQLite
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import StoreSQL

/// Which statements group by column, and that those that cannot do so give the same.
@Suite struct GroupingTests {
    private static func filled(_ seed: UInt64 = 31) throws -> StoreFixture {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: seed))
        for _ in 0..<40 { try fixture.ingest(workload.batch()) }
        try fixture.merge()
        for _ in 0..<5 { try fixture.ingest(workload.batch()) }
        return fixture
    }

    private static func rows(_ statement: Statement) throws -> [[String]] {
        var rows: [[String]] = []
        while try statement.step() { rows.append((0..<statement.columnCount).map { statement.text($0) ?? "NULL" }) }
        return rows
    }

    /// Rows of both ways, and whether the first one went over columns.
    private static func both(_ sql: String, _ reader: SQLReader) throws -> (ours: [[String]], plain: [[String]], isByColumn: Bool) {
        let grouped = try #require(try reader.prepareNext(sql[...])?.statement)
        reader.report.clear()
        let ours = try rows(grouped)
        let isByColumn = reader.report.groupings > 0
        let plain = try reader.connection.prepare(sql)
        #expect((0..<plain.columnCount).map(plain.columnName) == (0..<grouped.columnCount).map(grouped.columnName), "\(sql)")
        return (ours, try rows(plain), isByColumn)
    }

    @Test func whatPeopleAskIsGroupedByColumn() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        let statements = [
            "SELECT count(*) FROM spans", "select Count( * ) from SPANS ;",
            "SELECT service_name, count(*) FROM spans GROUP BY service_name",
            "SELECT service_name AS s, name, count(*) AS n FROM spans GROUP BY s, 2 HAVING n > 1 ORDER BY n DESC, 1, 2 LIMIT 7",
            "SELECT tool_name, count(*), percentile(duration_ns, 95) / 1e6 FROM spans GROUP BY tool_name",
            "SELECT avg(duration_ns), max(tokens), min(tokens) FROM spans WHERE duration_ns > 50",
            "SELECT count(DISTINCT trace_id) FROM spans",
            "SELECT DISTINCT service_name, tool_name FROM spans ORDER BY 1, 2",
            "SELECT attr(attributes, 'key.1') AS k, count(*) FROM spans GROUP BY k ORDER BY 2 DESC, 1 LIMIT 5",
            "SELECT count(*) FROM spans WHERE attr(attributes, 'key.1') = 'text 3 é'",
            "SELECT start_time_unix_nano / 1000000 AS bucket, sum(status_code = 2) FROM spans GROUP BY 1",
            "SELECT s.service_name, sum(CASE WHEN s.tokens > 100 THEN s.tokens ELSE 0 END) FROM spans AS s GROUP BY s.service_name",
            "SELECT coalesce(tool_name, 'none'), count(*) FILTER (WHERE status_code = 2) FROM spans GROUP BY 1",
            "SELECT model, saturated_sum(tokens) FROM token_spans GROUP BY model",
            "SELECT tool_name, count(*) FROM timeouts WHERE duration_ns > 0 GROUP BY tool_name",
            "SELECT * FROM (SELECT service_name, max(duration_ns) AS longest FROM spans GROUP BY 1) WHERE longest > 5",
            "WITH t AS (SELECT tool_name, count(*) AS n FROM spans GROUP BY 1) SELECT a.tool_name, b.n FROM t a JOIN t b USING (tool_name)",
            "SELECT tool_name FROM spans WHERE tool_name IS NOT NULL GROUP BY tool_name HAVING count(*) BETWEEN 2 AND 100000",
        ]
        for statement in statements {
            let (ours, plain, isByColumn) = try Self.both(statement, reader)
            #expect(isByColumn, "\(statement)")
            #expect(ours.sorted { $0.lexicographicallyPrecedes($1) } == plain.sorted { $0.lexicographicallyPrecedes($1) }, "\(statement)")
        }
    }

    @Test func viewsAreGroupedByColumnAtEveryDoor() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        for view in ["tools", "traces", "sessions", "users", "workflows"] {
            reader.report.clear()
            _ = try Self.rows(try reader.connection.prepare("SELECT * FROM \(view)"))
            #expect(reader.report.groupings == 1, "\(view)")
        }
        // One trace is looked up in the segments that may hold it.
        let trace = try #require(try reader.connection.text("SELECT trace_id FROM spans LIMIT 1"))
        reader.report.clear()
        #expect(try Self.rows(try reader.connection.prepare("SELECT trace_id FROM traces WHERE trace_id = '\(trace)'")) == [[trace]])
        #expect(reader.report.skippedByStatistics > 0)
    }

    /// A table that groups is run once, and not for each row of what it is joined with.
    @Test func aJoinGroupsOnce() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        let joins = [
            "SELECT count(*) FROM spans s JOIN traces t ON t.trace_id = s.trace_id",
            "SELECT count(*) FROM traces t JOIN spans s ON t.trace_id = s.trace_id WHERE t.span_count > 1",
            "SELECT count(*) FROM spans s LEFT JOIN (SELECT trace_id, count(*) AS n FROM spans GROUP BY 1) t USING (trace_id) WHERE t.n > 0",
            "SELECT count(*) FROM spans s, (SELECT max(duration_ns) AS longest FROM spans) WHERE s.duration_ns = longest",
        ]
        for join in joins {
            let statement = try #require(try reader.prepareNext(join[...])?.statement)
            reader.report.clear()
            #expect(try Self.rows(statement).count == 1)
            #expect(reader.report.groupings == 1, "\(join)")
        }
    }

    @Test func whatMayMeanSomethingElseGoesTheOldWay() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        let statements = [
            // A column of one of a group's spans.
            "SELECT name, count(*) FROM spans WHERE name = 'none' GROUP BY service_name",
            "WITH spans AS (SELECT 1 AS tokens) SELECT sum(tokens) FROM spans",
            "SELECT count(*) FROM spans WHERE length(name) > 3", "SELECT service_name COLLATE NOCASE AS s, count(*) FROM spans GROUP BY s",
            "SELECT group_concat(DISTINCT stage) FROM spans", "SELECT count(*) OVER () FROM spans LIMIT 1",
            "SELECT count(*) FROM spans WHERE tokens > (SELECT 100)", "SELECT count(*) FROM spans a, spans b WHERE a.span_id = b.span_id",
            "SELECT count(*) FROM spans WHERE name = x'61'", "SELECT sum(tokens) FROM spans WHERE +tokens > 5 AND rowid > 3",
            "EXPLAIN SELECT count(*) FROM spans",
        ]
        for statement in statements {
            let (ours, plain, isByColumn) = try Self.both(statement, reader)
            #expect(!isByColumn && ours == plain, "\(statement)")
        }
        #expect(throws: SQLiteError.self) { try reader.prepareNext("SELECT count(nothing) FROM spans") }
    }

    /// What shows only in the values: integers that run over, texts among numbers.
    @Test func valuesThatOnlySQLiteKnowsGoTheOldWay() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of((1...4).map { number in
            Batches.span(
                UInt64(number), 1, ["llm.token_count.total": .int(Int64.max / 2), "k": number == 1 ? .string("a") : .double(Double(number))])
        }))
        let reader = try SQLReader(folder: fixture.folder)
        #expect(throws: SQLiteError.self) {
            try Self.rows(try #require(try reader.prepareNext("SELECT sum(tokens) FROM spans")?.statement))
        }
        for query in [
            "SELECT saturated_sum(tokens), avg(tokens), total(tokens) FROM spans", "SELECT sum(attr(attributes, 'k')) FROM spans",
            "SELECT attr(attributes, 'k') AS k, count(*) FROM spans GROUP BY k", "SELECT max(attr(attributes, 'k')) FROM spans",
            "SELECT count(*) FROM spans WHERE tokens * 4 > 1.5e19",
        ] {
            let (ours, plain, _) = try Self.both(query, reader)
            #expect(ours == plain, "\(query)")
        }
    }

    @Test func parametersKeepTheirPlaces() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        let sql = "SELECT :label, count(*) FROM spans WHERE tokens > :least AND service_name = :service AND tokens > :least HAVING count(*) > :few"
        let values = SQLParameters(["label": "x", "least": "100", "service": "svc1", "few": "0"])
        var answers: [[[String]]] = []
        for statement in [try #require(try reader.prepareNext(sql[...])?.statement), try reader.connection.prepare(sql)] {
            try values.bind(to: statement)
            answers.append(try Self.rows(statement))
        }
        #expect(answers[0] == answers[1] && answers[0].count == 1)
        // A parameter that is not a number where one is compared.
        let odd = SQLParameters(["label": "x", "least": "y", "service": "svc1", "few": "0"])
        let statement = try #require(try reader.prepareNext(sql[...])?.statement)
        try odd.bind(to: statement)
        #expect(try Self.rows(statement).isEmpty)
    }

    @Test func aStatementThatGroupsEndsAtItsDeadline() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        let watch = StatementWatch(reader.connection)
        let statement = try #require(try reader.prepareNext("SELECT name, count(*) FROM spans GROUP BY 1")?.statement)
        watch.limit(until: .now)
        #expect(throws: SQLiteError.self) { try Self.rows(statement) }
        #expect(watch.hasEnded)
        watch.limit(until: nil)
        #expect(try !Self.rows(statement).isEmpty)
    }

    /// A statement has room for so many groupings; the rest of them go the old way, and none takes another's place.
    @Test func manyGroupingsKeepTheirPlaces() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        let first = try #require(try reader.prepareNext("SELECT count(*) FROM spans WHERE status_code = 2")?.statement)
        let parts = (0..<100).map { "(SELECT count(*) + \($0) FROM spans WHERE tokens > \($0 * 90)) AS c\($0)" }
        let (ours, plain, isByColumn) = try Self.both("SELECT " + parts.joined(separator: ", "), reader)
        #expect(isByColumn && ours == plain)
        for number in 0..<2000 { _ = try reader.prepareNext("SELECT count(*) + \(number) FROM spans") }
        // One that was prepared long ago says so, and is right once it is prepared again.
        #expect(throws: SQLiteError.self) { try Self.rows(first) }
    }

    @Test func whatIsTooMuchForMemoryIsLeftToSQLite() throws {
        let distinct = SQLAggregate(function: .count, arguments: [SQLExpression(form: .column(0), tokens: 0..<0)], isDistinct: true)
        var shared: [(aggregate: SQLAggregate, values: GatheredValues)] = []
        let aggregate = distinct.made(sharing: &shared)
        let values = Vector(.scalars((0..<1000).map { .text(Array("\($0)".utf8)) }))
        try aggregate.add([values], [Int32](repeating: 0, count: 1000), groupCount: 1)
        #expect(aggregate.byteCount > 64_000)
        try aggregate.add([values], [Int32](repeating: 0, count: 1000), groupCount: 1)
        #expect(aggregate.byteCount < 80_000 && aggregate.value(0) == .integer(1000))
    }

    /// The table is one of rewritten statements: by itself it says so.
    @Test func theTableOfGroupsIsNoPlaceToAsk() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        for sql in ["SELECT * FROM spans_grouped(100000)", "SELECT * FROM spans_grouped('x')", "SELECT * FROM spans_grouped(0, 1, 2, 3)"] {
            #expect(throws: SQLiteError.self, "\(sql)") { try Self.rows(try reader.connection.prepare(sql)) }
        }
        #expect(throws: SQLiteError.self) { try reader.connection.prepare("SELECT * FROM spans_grouped") }
    }

    @Test func aProjectGroupsItsOwnSpans() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        reader.scope = ProjectScope(attribute: ProjectScope.serviceName, name: "svc1", isLimit: true)
        for query in ["SELECT count(*) FROM spans", "SELECT service_name, count(*) FROM spans GROUP BY 1", "SELECT * FROM tools ORDER BY 1, 2, 3"] {
            let (ours, plain, isByColumn) = try Self.both(query, reader)
            #expect(isByColumn && ours == plain, "\(query)")
        }
        let all = try Self.rows(try #require(try reader.prepareNext("SELECT DISTINCT service_name FROM spans")?.statement))
        #expect(all == [["svc1"]])
    }

    @Test func numbersAndParametersAreTokens() throws {
        let tokens = try #require(SQLText.tokens(Array("1.5e-3 .5 1e6 12 0x1F ?1 ? :name @a $b a.b 'x''y' a<=b".utf8)))
        #expect(tokens.prefix(5).map(\.kind) == [.number, .number, .number, .number, .number])
        #expect(tokens.prefix(5).map(\.value) == ["1.5e-3", ".5", "1e6", "12", "0x1F"])
        #expect(tokens[5..<10].allSatisfy { $0.kind == .parameter })
        #expect(tokens[10...].map(\.value) == ["a", ".", "b", "x'y", "a", "<", "=", "b"])
    }

    @Test(arguments: [
        (SQLScalar.null, SQLScalar.integer(.min), -1), (.integer(1), .double(1), 0), (.integer(1), .double(1.5), -1),
        (.integer(9_007_199_254_740_993), .double(9_007_199_254_740_992), 1), (.integer(.max), .double(9.3e18), -1),
        (.double(-9.3e18), .integer(.min), -1), (.double(2), .text([]), -1), (.text([97]), .text([97, 0]), -1), (.text([200]), .text([97]), 1),
    ])
    func valuesLieInTheOrderOfSQL(left: SQLScalar, right: SQLScalar, order: Int) {
        #expect(SQLScalar.order(left, right).signum() == order && SQLScalar.order(right, left).signum() == -order)
    }
}
