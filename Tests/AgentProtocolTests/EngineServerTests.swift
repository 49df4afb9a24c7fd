import Derivations
import Queries
import Reports
import SpanStore
import Synchronization
import TelemetryModel
import Testing

@testable import AgentProtocol

/// An engine that has three rows for every statement.
private final class SmallEngine: EngineStatements {
    let name = "fleet"
    let asked = Mutex<[String]>([])

    func each(
        _ query: String, parameters: [String: String], rows: Int, _ body: ([QueryValue]) throws(QueryError) -> Bool
    ) throws(QueryError) -> [String] {
        asked.withLock { $0.append("\(query) \(parameters.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }) \(rows)") }
        for number in 1...3 { guard try body([.integer(Int64(number))]) else { break } }
        return ["n"]
    }

    func tables() throws(QueryError) -> [(name: String, columns: [String])] { [("spans", ["trace_id", "Timestamp"])] }
}

/// A server of agents that asks an engine which has no spans.
@Suite struct EngineServerTests {
    private struct NoSpans: SpanSupply {
        func folder(of need: SpanNeed, seconds: Int) throws(QueryError) -> (folder: StoreFolder, held: any AnyObject & Sendable) {
            throw .notHere("the need was \(need)")
        }
    }

    private let engine = SmallEngine()

    private func call(_ method: String, _ parameters: JSONValue = [:], over folder: StoreFolder? = nil) async -> JSONValue {
        let server = AgentServer(
            sources: AgentSources(
                pool: folder.map { QueryPool(folder: $0) } ?? QueryPool(supply: NoSpans()), engine: engine, policy: FusePolicy(),
                gates: GateLimits(), versionText: "1", clock: { AgentFixture.now }))
        let message: JSONValue = ["jsonrpc": "2.0", "id": .integer(1), "method": .string(method), "params": parameters]
        return await server.answer(Array(message.line.utf8)[...])?.message["result"] ?? .null
    }

    private func names(_ method: String, _ list: String, _ name: String) async -> Set<String> {
        guard case .array(let found)? = await call(method)[list] else { return [] }
        return Set(found.compactMap { $0[name]?.text })
    }

    @Test func whatOnlyNodesKeepIsNeitherListedNorAnsweredAsNothing() async {
        let tools = await names("tools/list", "tools", "name")
        let missing: Set = ["list_breakers", "list_stalls", "list_evals"]
        #expect(tools == Set(ToolCatalog.tools.map(\.name)).subtracting(missing))
        for name in missing {
            let answer = await call("tools/call", ["name": .string(name)])
            #expect(answer["isError"] == .bool(true) && answer.line.contains("ask a node"))
        }
        let resources = await names("resources/list", "resources", "uri")
        #expect(resources.contains("fusebox://schema") && !resources.contains("fusebox://fuses"))
        #expect(!(await call("prompts/get", ["name": "what_got_slower"])).line.contains("list_stalls"))
        #expect((await call("initialize")).line.contains("engine fleet"))
    }

    /// A tool that forgot to say which spans it reads would be refused over every engine.
    @Test func everyToolSaysWhichSpansItReads() async {
        let arguments: [String: JSONValue] = [
            "get_trace": ["trace_id": .string(AgentFixture.trace)], "get_conversation": ["session": "s"],
            "get_span": ["trace_id": .string(AgentFixture.trace), "span_id": "00000000000000a1"],
            "compare_windows": ["a_since": "2h", "a_until": "1h", "b_since": "1h"],
        ]
        for tool in ToolCatalog.toolsOfEngine where tool.name != "query_sql" {
            let answer = await call("tools/call", ["name": .string(tool.name), "arguments": arguments[tool.name] ?? [:]]).line
            #expect(answer.contains("the need was") && !answer.contains("the need was node"), "\(tool.name): \(answer)")
        }
    }

    @Test func sqlGoesToTheEngineAsItIs() async throws {
        // Only a thread is needed of the pool.
        let fixture = try await AgentFixture([])
        let arguments: JSONValue = ["query": "SELECT n", "parameters": ["a": "b"], "limit": .integer(2)]
        let answer = await call("tools/call", ["name": "query_sql", "arguments": arguments], over: fixture.folder)["structuredContent"]
        #expect(answer?["rows"]?.line == "[[1],[2]]" && answer?["truncated"] == .bool(true))
        #expect(engine.asked.withLock { $0 } == ["SELECT n [\"a=b\"] 2"])
        let schema = await call("resources/read", ["uri": "fusebox://schema"], over: fixture.folder).line
        #expect(schema.contains("- **spans**: trace_id, Timestamp") && schema.contains("ClickHouse"))
    }
}
