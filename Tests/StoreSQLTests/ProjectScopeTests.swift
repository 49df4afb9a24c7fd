import SQLite
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import StoreSQL

/// A connection with a scope shows what a condition on the project would leave; one that is limited reads nothing else.
@Suite struct ProjectScopeTests {
    private func filled(merged: Bool) throws -> StoreFixture {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: 95))
        for _ in 0..<70 { try fixture.ingest(workload.batch()) }
        if merged { try fixture.merge() }
        for _ in 0..<5 { try fixture.ingest(workload.batch()) }
        return fixture
    }

    private func rows(_ reader: SQLReader, _ query: String) throws -> [[String]] {
        let statement = try reader.connection.prepare(query)
        var rows: [[String]] = []
        while try statement.step() { rows.append((0..<statement.columnCount).map { statement.text($0) ?? "∅" }) }
        return rows
    }

    @Test(arguments: [false, true])
    func queriesSeeTheProjectAlone(merged: Bool) throws {
        let fixture = try filled(merged: merged)
        let reader = try SQLReader(folder: fixture.folder)
        let services = try rows(reader, "SELECT service_name, count(*) FROM spans GROUP BY 1 ORDER BY 1")
        #expect(services.count > 1)
        for service in services.map({ $0[0] }) + ["nobody"] {
            let scoped = try SQLReader(folder: fixture.folder)
            scoped.scope = ProjectScope(attribute: ProjectScope.serviceName, name: service, isLimit: true)
            let own = "(SELECT * FROM spans WHERE service_name = '\(service)')"
            let queries = [
                "SELECT count(*) FROM %", "SELECT span_id, name, outcome, tokens FROM % ORDER BY span_id",
                "SELECT trace_id, count(*), sum(status_code = 2) FROM % GROUP BY trace_id ORDER BY 1",
                "SELECT span_id FROM % ORDER BY start_time_unix_nano DESC, span_id LIMIT 50",
                "SELECT tool_name, count(*) FROM % GROUP BY tool_name ORDER BY 1",
                "SELECT span_id FROM % WHERE tool_name = 'tool 2' OR service_name <> 'x' ORDER BY 1",
                "SELECT count(*) FROM % AS a JOIN % AS b ON a.trace_id = b.trace_id",
            ]
            for query in queries {
                let found = try rows(scoped, query.replacing("%", with: "spans"))
                #expect(found == (try rows(reader, query.replacing("%", with: own))), "\(query) \(service)")
            }
            // Passes over columns ask the same table.
            var passed = 0
            try SpanPass(scoped).each(SpanPass.Bounds(.start, from: .min, until: .max)) { passed += $0.rowCount }
            #expect(["\(passed)"] == (try rows(reader, "SELECT count(*) FROM \(own)"))[0])
        }
    }

    @Test(arguments: [
        "SELECT * FROM counter", "SELECT * FROM label_value", "SELECT * FROM derivation_state", "SELECT * FROM heartbeat", "SELECT * FROM stalls",
        "SELECT * FROM evals", "SELECT count(*) FROM evaluation", "SELECT * FROM main.meta", "SELECT * FROM stall_count", "SELECT * FROM eval_call",
        "SELECT (SELECT value FROM counter LIMIT 1) FROM spans", "WITH span_evals AS (SELECT * FROM counter) SELECT * FROM span_evals",
    ])
    func aLimitedConnectionReadsNoOtherTable(query: String) throws {
        let fixture = try filled(merged: false)
        let reader = try SQLReader(folder: fixture.folder)
        _ = try rows(reader, query)
        reader.scope = ProjectScope(attribute: ProjectScope.serviceName, name: "svc1", isLimit: true)
        #expect(throws: SQLiteError.self) { _ = try rows(reader, query) }
        _ = try rows(reader, "SELECT * FROM span_evals")
        _ = try rows(reader, "SELECT * FROM breaker_transitions")
        // Breakers are kept by service, and a project may be something else.
        reader.scope = ProjectScope(attribute: "team.project", name: "x", isLimit: true)
        #expect(throws: SQLiteError.self) { _ = try rows(reader, "SELECT * FROM breaker_transitions") }
        reader.scope = nil
        _ = try rows(reader, query)
    }

    @Test func aProjectIsTheValueOfAnAttribute() {
        let resource = Array(#"{"team.project":"a","number":7,"flag":true,"list":[1]}"#.utf8)
        #expect(ProjectScope.project("team.project", service: "s", json: resource) == "a")
        #expect(ProjectScope.project("number", service: "s", json: resource) == "7")
        #expect(ProjectScope.project("flag", service: "s", json: resource) == "true")
        #expect(ProjectScope.project("list", service: "s", json: resource) == nil)
        #expect(ProjectScope.project("none", service: "s", json: resource) == nil)
        #expect(ProjectScope.project("service.name", service: "s", json: resource) == "s")
    }
}
