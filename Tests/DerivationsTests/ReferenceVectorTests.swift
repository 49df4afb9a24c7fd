import Testing

@testable import Derivations

@Suite struct ReferenceVectorTests {
    /// The reference model applies whenever its clock moves; Fusebox's default is once a second.
    static let steps: [Int64] = [1, 1_000_000_000]

    @Test(arguments: try ReferenceVectors.read("vectors.json").vectors, steps)
    func everyVectorGivesTheReferenceCounters(vector: ReferenceVectors.Vector, step: Int64) {
        #expect(differences(run(vector, step: step), expected(vector.counters)) == [])
    }

    @Test(arguments: try ReferenceVectors.read("random.json").vectors)
    func randomHistoriesPastTheSettleTimeGiveTheReferenceCounters(vector: ReferenceVectors.Vector) {
        #expect(differences(run(vector, step: 1), expected(vector.counters)) == [])
    }

    @Test(arguments: try ReferenceVectors.read("vectors.json").classification ?? [])
    func everySpanIsClassifiedAsTheReferenceSays(row: ReferenceVectors.ClassificationRow) {
        let classification = Classification.classify(
            row.span.observed, ReferenceVectors.Config().policy(step: 1))
        #expect(classification.outcome.rawValue == row.outcome)
        #expect(classification.timeoutReason?.rawValue ?? "" == row.reason)
        #expect(classification.phase.rawValue == row.phase)
    }

    @Test func theFixturesAreWhole() throws {
        let file = try ReferenceVectors.read("vectors.json")
        #expect(file.vectors.count == 34)
        #expect(file.classification?.count == 28)
    }

    private func run(_ vector: ReferenceVectors.Vector, step: Int64) -> [String: Int64] {
        var store = StoreStandIn(policy: vector.config.policy(step: step))
        for action in vector.actions {
            switch action.op {
            case "ingest":
                store.ingest((action.spans ?? []).map(\.observed), at: ReferenceVectors.time(action.recv_ms ?? 0))
            case "clock": store.advance(to: ReferenceVectors.time(action.now_ms ?? 0))
            case "delete_spans_ending_at_or_before": store.retain(after: ReferenceVectors.time(action.ms ?? 0))
            case "server_restart": store.restart()
            default: Issue.record("unknown action \(action.op)")
            }
        }
        store.commit()
        return named(store)
    }

    /// The store's counters under the reference's names.
    private func named(_ store: StoreStandIn) -> [String: Int64] {
        var values: [String: Int64] = [
            "fusebox_spans_accepted_total{}": Int64(store.accepted),
            "fusebox_spans_duplicate_total{kind=identical}": Int64(store.identical),
            "fusebox_spans_duplicate_total{kind=conflict}": Int64(store.conflicts),
            "fusebox_spans_rejected_total{reason=too_old}": Int64(store.tooOld),
        ]
        for (key, value) in store.values {
            let parts = key.dropLast().split(separator: "{", maxSplits: 1, omittingEmptySubsequences: false)
            var labels: [String: String] = [:]
            for pair in parts[1].split(separator: "\",") {
                let sides = pair.split(separator: "=\"")
                labels[String(sides[0])] = String(sides[1].last == "\"" ? sides[1].dropLast() : sides[1])
            }
            var family = String(parts[0])
            var value = value
            switch family {
            case "agent_tool_call_duration_seconds_bucket":
                family = "agent_tool_call_duration_ms_count"
                labels["le"] = nil
            case "agent_tool_call_duration_seconds_sum": (family, value) = ("agent_tool_call_duration_ms_sum", value / 1_000_000)
            case "agent_breaker_cooldown_seconds_total": (family, value) = ("agent_breaker_cooldown_ms", value / 1_000_000)
            case "agent_breaker_derived_cooldown_seconds_total":
                (family, value) = ("agent_breaker_derived_cooldown_ms", value / 1_000_000)
            case "agent_llm_prefill_breaches_total": labels["service_name"] = nil
            // What the reference model leaves out.
            case _ where family.hasPrefix("agent_workflow_") || family.hasPrefix("agent_llm_time_to_first_token_"): continue
            case _ where family.hasPrefix("agent_host_"): continue
            case "agent_silent_retries_total", "agent_subprocess_exits_total", "fusebox_arrivals_total": continue
            default: break
            }
            values[name(family, labels), default: 0] += value
        }
        return values.filter { $0.value != 0 }
    }

    private func differences(_ found: [String: Int64], _ expected: [String: Int64]) -> [String] {
        Set(found.keys).union(expected.keys).sorted().filter { found[$0] != expected[$0] }.map { key in
            "\(key): \(found[key] ?? 0), not \(expected[key] ?? 0)"
        }
    }

    private func expected(_ counters: [ReferenceVectors.Counter]) -> [String: Int64] {
        Dictionary(uniqueKeysWithValues: counters.map { (name($0.family, $0.labels), $0.value) }).filter { $0.value != 0 }
    }

    private func name(_ family: String, _ labels: [String: String]) -> String {
        family + "{" + labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",") + "}"
    }
}
