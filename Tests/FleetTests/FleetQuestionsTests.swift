import Derivations
import Forwarding
import OutboundHTTP
import Queries
import Synchronization
import TelemetryModel
import Testing

@testable import Fleet

/// Gives the same rows to every statement.
private final class RowsEngine: ForwardTransport {
    private let rows: String
    private(set) var asked: [OutboundRequest] = []

    init(_ rows: String) {
        self.rows = rows
    }

    func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer {
        asked.append(request)
        return OutboundAnswer(status: 200, headers: [(name: "x-clickhouse-query-id", value: "x")], body: Array(rows.utf8))
    }
}

@Suite struct FleetQuestionsTests {
    /// One thread asks here.
    private struct UncheckedEngine: @unchecked Sendable {
        let transport: RowsEngine
    }

    private func questions(_ engine: RowsEngine) -> FleetQuestions {
        var plan = ForwardTargetPlan(
            name: "fleet", endpoint: OutboundEndpoint(host: "h", port: 1, isEncrypted: false, pathPrefix: ""))
        plan.kind = .clickHouse(ClickHousePlan())
        let given = UncheckedEngine(transport: engine)
        return FleetQuestions(plan, spans: FleetSpans(plan, policy: FusePolicy(), prices: PriceTable())) {
            Engine($0, transport: given.transport)
        }
    }

    @Test func rowsOfAStatementComeUntilNoMoreAreWanted() throws {
        let engine = RowsEngine("[\"n\",\"t\"]\n[\"Int64\",\"String\"]\n[1,\"a\"]\n[2,null]\n[3,\"c\"]\n")
        var seen: [[QueryValue]] = []
        let columns = try questions(engine).each("SELECT n, t FROM x", parameters: ["p": "v"], rows: 2) { row throws(QueryError) in
            seen.append(row)
            return seen.count < 2
        }
        #expect(columns == ["n", "t"] && seen == [[.integer(1), .text("a")], [.integer(2), .null]])
        let request = try #require(engine.asked.first)
        // One row more says that there are more.
        #expect(request.body == Array("SELECT n, t FROM x".utf8) && request.path.contains("&limit=3") && request.path.contains("param_p=v"))
    }

    @Test(arguments: ["SELECT 1; SELECT 2", " -- nothing", "DROP TABLE t"])
    func whatIsNoSingleReadingStatementIsNotEvenSent(statement: String) {
        let engine = RowsEngine("")
        #expect(throws: QueryError.self) {
            try questions(engine).each(statement, parameters: [:], rows: 1) { _ throws(QueryError) in true }
        }
        #expect(engine.asked.isEmpty)
    }

    @Test func tablesHaveTheirColumns() throws {
        let engine = RowsEngine(
            "[\"table\",\"name\"]\n[\"String\",\"String\"]\n[\"spans\",\"a\"]\n[\"spans\",\"b\"]\n[\"tools\",\"c\"]\n")
        let tables = try questions(engine).tables()
        #expect(tables.map(\.name) == ["spans", "tools"] && tables.map(\.columns) == [["a", "b"], ["c"]])
        var json = JSONWriter()
        try questions(engine).writeSchema(into: &json)
        #expect(
            String(decoding: json.bytes, as: UTF8.self)
                == "[{\"name\":\"spans\",\"columns\":[\"a\",\"b\"]},{\"name\":\"tools\",\"columns\":[\"c\"]}]")
    }
}
