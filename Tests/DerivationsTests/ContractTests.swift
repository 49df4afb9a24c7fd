import Foundation
import TelemetryModel
import TelemetryTesting
import Testing

@testable import Derivations

/// The loop contract, docs/metrics.md 2.14, against the sweep of Tests/EndToEnd/contract_model.py.
@Suite struct ContractTests {
    struct Vectors: Decodable {
        var vectors: [Vector]

        static func read() throws -> [Vector] {
            let tests = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent().deletingLastPathComponent()
            let data = try Data(contentsOf: tests.appendingPathComponent("Fixtures/vectors/contract.json"))
            return try JSONDecoder().decode(Vectors.self, from: data).vectors
        }
    }

    struct Vector: Decodable, CustomTestStringConvertible {
        var name: String
        var spans: [Span]
        var counters: [ReferenceVectors.Counter]
        var testDescription: String { name }

        var expected: [String: Int64] {
            Dictionary(uniqueKeysWithValues: counters.map { counter in
                let labels = ["service_name", "scope", "host"].compactMap { name in counter.labels[name].map { "\(name)=\"\($0)\"" } }
                return ("\(counter.family){\(labels.joined(separator: ","))}", counter.value)
            })
        }
    }

    struct Span: Decodable {
        var service, instance, host: String
        var start, end: Int64
        var run: Bool?
        var call: String?
        var workflow_limit, retrieval, retrieval_limit, embed, embed_limit, process_memory, host_memory, host_memory_total: Int64?

        func observed(_ number: Int) -> ObservedSpan {
            var span = ObservedSpan(traceID: TraceID(high: 7, low: UInt64(number)), spanID: SpanID(UInt64(number) + 1))
            span.service = service
            span.instance = instance
            span.declaration.host = host
            span.declaration.workflowLimit = workflow_limit
            span.declaration.retrievalLimit = retrieval_limit
            span.declaration.embedLimit = embed_limit
            span.startTimeUnixNano = ObservedSpan.epoch + start
            span.endTimeUnixNano = ObservedSpan.epoch + end
            if run == true { span.workflow = "w" }
            if let call { span.operation = call == "embedding" ? "embeddings" : "chat" }
            span.retrievalBatch = retrieval
            span.embedBatch = embed
            span.processMemory = process_memory
            span.hostMemory = host_memory
            span.hostMemoryTotal = host_memory_total
            return span
        }
    }

    private static let families = [
        "agent_workflow_concurrency", "agent_host_workflow_concurrency", "agent_retrieval_batch_breaches", "agent_embed_batch_breaches",
        "agent_embedding_overlap", "agent_process_memory", "agent_host_memory",
    ]

    private static func counted(_ store: StoreStandIn) -> [String: Int64] {
        store.values.filter { key, _ in families.contains(where: key.hasPrefix) }
    }

    private static func lines(_ values: [String: Int64]) -> [String] { values.map { "\($0.key) \($0.value)" }.sorted() }

    @Test(arguments: try Vectors.read())
    func everyHistoryOfLoopsGivesWhatASweepGives(vector: Vector) {
        var random = SplitMix64(seed: UInt64(vector.spans.count) &* 31 &+ UInt64(vector.name.utf8.count))
        let spans = vector.spans.enumerated().map { $1.observed($0) }
        let expected = Self.lines(vector.expected)
        for order in 0..<6 {
            // In order, backwards, and shuffled with restarts and duplicates between.
            let ordered = order == 0 ? spans : order == 1 ? spans.reversed() : spans.shuffled(using: &random)
            var store = StoreStandIn()
            var now = ObservedSpan.epoch + 3_600_000_000_000
            for (place, span) in ordered.enumerated() {
                now += 700_000_000
                store.ingest([span] + (order > 2 ? [ordered[Int.random(in: 0...place, using: &random)]] : []), at: now)
                if order > 2, Int.random(in: 0..<4, using: &random) == 0 { store.restart() }
            }
            #expect(Self.lines(Self.counted(store)) == expected, "order \(order)")
            store.ingest(spans, at: now + 1_000_000_000)
            #expect(Self.lines(Self.counted(store)) == expected, "once more, order \(order)")
        }
    }

    @Test func theVectorsAreWhole() throws { #expect(try Vectors.read().count == 40) }

    @Test func aRunCountsAsABreachOnceHoweverManyComeLate() {
        var store = StoreStandIn(policy: Self.policy(workflows: 1))
        for number in 0..<6 {
            store.ingest([Self.run(number, 10, 20)], at: ObservedSpan.epoch + 100_000_000_000)
            store.restart()
        }
        #expect(store.values["agent_workflow_concurrency_breaches_total{service_name=\"svc\",scope=\"process\"}"] == 6)
        #expect(store.values["agent_workflow_concurrency_breaches_total{service_name=\"svc\",scope=\"host\"}"] == 6)
        #expect(store.values["agent_workflow_concurrency{service_name=\"svc\"}"] == 6)
    }

    @Test func theConfigurationStandsAboveWhatAgentsDeclare() {
        var span = Self.run(1, 10, 20)
        span.declaration.workflowLimit = 5
        span.declaration.embedLimit = 100
        span.embedBatch = 50
        var declared = StoreStandIn()
        var policy = Self.policy(workflows: 1)
        policy.embedBatchMax = 10
        var configured = StoreStandIn(policy: policy)
        for number in 0..<2 {
            let next = span.with { $0.spanID = SpanID(UInt64(number) + 1) }
            declared.ingest([next], at: ObservedSpan.epoch + 100_000_000_000)
            configured.ingest([next], at: ObservedSpan.epoch + 100_000_000_000)
        }
        #expect(declared.derivations.total("agent_workflow_concurrency_breaches_total") == 0)
        #expect(declared.derivations.total("agent_embed_batch_breaches_total") == 0)
        #expect(configured.derivations.total("agent_workflow_concurrency_breaches_total", "scope=\"process\"") == 2)
        #expect(configured.derivations.total("agent_embed_batch_breaches_total") == 2)
    }

    /// As `everyHistory…`, for a memory that is smaller than the history: a restart forgets what was forgotten, and nothing else.
    @Test(arguments: 0..<24)
    func aRestartRemembersTheLastRunsAndCallsAndNoOthers(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let entriesMax = [3, 64, 65, 100][seed % 4]
        var straight = ContractBook(entriesMax: entriesMax)
        var restarted = ContractBook(entriesMax: entriesMax)
        var rows: [String: StateRow] = [:]
        for number in 0..<300 {
            let start = Int64.random(in: 0..<50, using: &random)
            let end = start + Int64.random(in: 1..<30, using: &random)
            let instance = ["a", "b"].randomElement(using: &random) ?? ""
            let host = ["", "h"].randomElement(using: &random) ?? ""
            let origins = (
                straight.origin(service: "s", instance: instance, host: host),
                restarted.origin(service: "s", instance: instance, host: host)
            )
            if Bool.random(using: &random) {
                let first = straight.addRun(start, end, limit: 2, from: origins.0)
                let second = restarted.addRun(start, end, limit: 2, from: origins.1)
                #expect(first.inProcess == second.inProcess && first.onHost == second.onHost, "run \(number)")
                #expect(first.breaches == second.breaches)
            } else {
                let isEmbedding = Bool.random(using: &random)
                let first = straight.addCall(start, end, isEmbedding: isEmbedding, from: origins.0)
                let second = restarted.addCall(start, end, isEmbedding: isEmbedding, from: origins.1)
                #expect(first == second, "call \(number)")
            }
            guard Int.random(in: 0..<12, using: &random) == 0 else { continue }
            let changes = restarted.takeChanges()
            for row in changes.rows { rows[row.kind + row.key] = row }
            for key in changes.removed { rows[key.kind + key.key] = nil }
            #expect(rows.count <= 2 * (entriesMax / ContractLog.chunkEntries + 2))
            restarted = ContractBook(entriesMax: entriesMax)
            for row in rows.values.shuffled(using: &random) {
                guard let reader = StateReader(row.value) else { continue }
                let isRead = restarted.read(row, reader)
                #expect(isRead)
            }
            restarted.finishReading()
        }
    }

    @Test func timesAtTheEndsOfAnIntegerStopThere() {
        var store = StoreStandIn()
        var number = 0
        for (start, end) in [(Int64.min, Int64.max), (1, .max), (.min, 2), (.max - 1, .max), (5, 3)] {
            for operation in ["embeddings", "chat", nil] {
                number += 1
                var span = Self.run(number, 0, 0)
                span.startTimeUnixNano = start
                span.endTimeUnixNano = end
                span.operation = operation
                span.processMemory = .max
                store.ingest([span], at: ObservedSpan.epoch)
            }
        }
        #expect(store.derivations.total("agent_process_memory_peak_bytes") == .max)
        #expect(store.derivations.total("agent_workflow_concurrency") > 0)
    }

    @Test func hostsPastTheirCapShareALabel() {
        var policy = FusePolicy()
        policy.hostLabelsMax = 2
        var store = StoreStandIn(policy: policy)
        for number in 0..<6 {
            store.ingest([Self.run(number, 10, 20).with { $0.declaration.host = "host\(number)" }], at: ObservedSpan.epoch + 100_000_000_000)
        }
        let hosts = store.values.keys.filter { $0.hasPrefix("agent_host_workflow_concurrency{") }
        #expect(hosts.sorted() == ["__overflow__", "host0", "host1"].map { "agent_host_workflow_concurrency{host=\"\($0)\"}" })
        #expect(store.values["fusebox_label_overflow_total{label=\"host\"}"] == 4)
    }

    private static func policy(workflows: Int64) -> FusePolicy {
        var policy = FusePolicy()
        policy.workflowConcurrencyMax = workflows
        return policy
    }

    private static func run(_ number: Int, _ start: Double, _ end: Double) -> ObservedSpan {
        var span = ObservedSpan(traceID: TraceID(high: 3, low: 3), spanID: SpanID(UInt64(number) + 1))
        span.service = "svc"
        span.instance = "a"
        span.workflow = "w"
        span.startTimeUnixNano = ObservedSpan.time(start)
        span.endTimeUnixNano = ObservedSpan.time(end)
        return span
    }
}
