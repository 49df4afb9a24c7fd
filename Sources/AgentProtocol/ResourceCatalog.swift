import Derivations
import Queries
import SpanStore
import StoreSQL
import TelemetryModel

/// Something to read beside the tools.
struct AgentResource: Sendable {
    let uri: String
    let title: String
    let purpose: String
    let mediaType: String
    /// Whether it is about what an engine has not.
    var isOfNode = false
    let text: @Sendable (AgentSources) async throws -> String

    var description: JSONValue {
        [
            "uri": .string(uri), "name": .string(String(uri.dropFirst("fusebox://".count))), "title": .string(title),
            "description": .string(purpose), "mimeType": .string(mediaType),
        ]
    }
}

enum ResourceCatalog {
    static let all: [AgentResource] = [
        AgentResource(
            uri: "fusebox://schema", title: "Tables and examples",
            purpose: "Every table and view that query_sql may read, with its columns, and queries to begin from.",
            mediaType: "text/markdown", text: schema),
        AgentResource(
            uri: "fusebox://fuses", title: "Fuse table",
            purpose: "The timeouts that calls are held to, and the rules of breakers.", mediaType: "application/json", isOfNode: true,
            text: fuses),
        document("sql", "SQL", "What each column and view means.") { PackageResources.sql_md },
        document("metrics", "Counting", "What counts as a call, a timeout, a token; how breakers are derived.") { PackageResources.metrics_md },
        document("stalls", "Stalls", "What each kind of stall is.", isOfNode: true) { PackageResources.stalls_md },
        document("gates", "Gates", "How to hold a build to limits.") { PackageResources.gates_md },
        document("costs", "Costs", "How dollars are counted, and where prices go.") { PackageResources.costs_md },
        document("evals", "Evals", "How evals are imported and joined to spans.", isOfNode: true) { PackageResources.evals_md },
        document("compare", "Comparisons", "How two windows are compared.") { PackageResources.compare_md },
    ]

    private static func document(
        _ name: String, _ title: String, _ purpose: String, isOfNode: Bool = false, _ bytes: @escaping @Sendable () -> [UInt8]
    ) -> AgentResource {
        AgentResource(
            uri: "fusebox://docs/\(name)", title: title, purpose: purpose, mediaType: "text/markdown", isOfNode: isOfNode
        ) { _ in String(decoding: bytes(), as: UTF8.self) }
    }

    /// Those that are about what is asked.
    static func resources(_ sources: AgentSources) -> [AgentResource] { sources.isOfNode ? all : all.filter { !$0.isOfNode } }

    // MARK: Schema

    private static let examples = [
        ("The slowest calls of a tool in a day",
            "SELECT trace_id, span_id, duration_ns / 1e6 AS ms FROM spans WHERE tool_name = 'web_search' AND "
                + "start_time_unix_nano > :since ORDER BY duration_ns DESC LIMIT 10"),
        ("Timeouts by tool and reason", "SELECT tool_name, reason, count(*) FROM timeouts GROUP BY 1, 2 ORDER BY 3 DESC"),
        ("Tools with their percentiles", "SELECT * FROM tools ORDER BY p95_ms DESC LIMIT 20"),
        ("Tokens and dollars by model", "SELECT model, sum(calls), sum(tokens), sum(dollars), sum(unpriced_calls) FROM costs GROUP BY model"),
        ("What a model was asked in one call",
            "SELECT substr(attr(attributes, 'gen_ai.input.messages'), 1, 2000) FROM spans WHERE trace_id = :trace AND span_id = :span"),
        ("Exceptions by type", "SELECT type, count(*), max(trace_id) FROM span_exceptions GROUP BY type ORDER BY 2 DESC"),
        ("Runs of a workflow by hour",
            "SELECT iso(start_time_unix_nano / 3600000000000 * 3600000000000) AS hour, count(*), percentile(duration_ns, 95) / 1e6 AS p95_ms "
                + "FROM traces WHERE workflow_name = 'support' GROUP BY 1 ORDER BY 1"),
        ("Worst evals with their runs", "SELECT name, score, label, trace_id FROM span_evals ORDER BY score LIMIT 20"),
    ]

    /// In ClickHouse's dialect.
    private static let examplesOfEngine = [
        ("The slowest calls of a tool in a day",
            "SELECT trace_id, span_id, duration_ns / 1e6 AS ms FROM spans WHERE tool_name = 'web_search' AND "
                + "Timestamp > now() - INTERVAL 1 DAY ORDER BY duration_ns DESC LIMIT 10"),
        ("Timeouts by tool and reason in a day",
            "SELECT tool_name, reason, count() FROM timeouts WHERE Timestamp > now() - INTERVAL 1 DAY GROUP BY 1, 2 ORDER BY 3 DESC"),
        ("Tools with their percentiles", "SELECT tool_name, calls, timeouts, p95_ms FROM tools ORDER BY p95_ms DESC LIMIT 20"),
        ("What a model was asked in one call",
            "SELECT substring(attr(attributes, 'gen_ai.input.messages'), 1, 2000) FROM spans WHERE trace_id = {trace:String} AND "
                + "span_id = {span:String}"),
        ("Tokens by model and hour",
            "SELECT toStartOfHour(Timestamp) AS hour, model, sum(tokens) FROM token_spans WHERE Timestamp > now() - INTERVAL 1 DAY "
                + "GROUP BY hour, model ORDER BY hour, model"),
    ]

    private static func schema(_ sources: AgentSources) async throws -> String {
        guard let engine = sources.engine else {
            let tables = try await sources.pool.run(limit: sources.timeLimit) { reader in
                try SQLReader.tables.map { table in (table, try reader.reader.columns(of: table).map(\.name)) }
            }
            return schema(tables, examples, "Times are nanoseconds since 1970 in columns that end in _unix_nano.")
        }
        // On a reading thread: whoever asks an engine waits.
        let tables = try await sources.pool.run(limit: sources.timeLimit, of: .nothing) { _ in try engine.tables() }
        return schema(
            tables, examplesOfEngine,
            """
            query_sql asks the engine \(engine.name) in ClickHouse's dialect; the examples of fusebox://docs/sql are in SQLite's. Times are \
            nanoseconds since 1970 in columns that end in _unix_nano, and Timestamp is the engine's own: bound it, or all days are read. \
            Attributes are texts: attr() gives '5' for 5. A row says what its span itself told: a call that several spans tell counts once for \
            each of them here, and percentiles are estimates. The other tools count such a call once, and their percentiles are exact.
            """)
    }

    private static func schema(_ tables: [(name: String, columns: [String])], _ examples: [(String, String)], _ notes: String) -> String {
        var lines = ["# Tables and views", "", notes, ""]
        lines += tables.map { "- **\($0.name)**: \($0.columns.joined(separator: ", "))" }
        lines += ["", "# Examples", ""]
        for (title, sql) in examples { lines += ["\(title):", "", "```sql", sql, "```", ""] }
        return lines.joined(separator: "\n")
    }

    // MARK: Fuses

    private static func fuses(_ sources: AgentSources) async throws -> String {
        let policy = sources.policy
        func seconds(_ nanoseconds: Int64?) -> JSONValue { nanoseconds.map { .double(Double($0) / 1e9) } ?? .null }
        var members = Stage.allCases.map { stage in
            JSONValue.Member("\(stage.rawValue)_timeout_s", seconds(policy.fuseNanoseconds(stage: stage, model: nil)))
        }
        members.append(
            .init(
                "prefill_budgets_s",
                .object(
                    policy.prefillBudgetsNanoseconds.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, seconds($0.value)) })))
        members.append(.init("breaker_threshold", .integer(Int64(policy.breakerThreshold))))
        members.append(.init("breaker_cooldown_s", seconds(policy.breakerCooldownNanoseconds)))
        members.append(.init("breaker_scope", .string(policy.breakerScope.rawValue)))
        members.append(.init("p95_gate_s", seconds(policy.p95LatencyGateNanoseconds)))
        return JSONValue.object(members).pretty
    }
}
