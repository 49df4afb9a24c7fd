import SpanStore
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

/// Counters and states through the journal and its folds.
@Suite struct DerivationTablesTests {
    @Test func whatIsCommittedIsReadBackFoldedOrNot() throws {
        let fixture = try StoreFixture()
        var random = SplitMix64(seed: 3)
        var counters: [Int: Int64] = [:]
        var states: [String: String] = [:]
        for round in 0..<60 {
            var rows = DerivationRows()
            for id in 0..<(round / 2 + 1) where Bool.random(using: &random) || counters[id] == nil {
                let value = (counters[id] ?? 0) + .random(in: 0...(1 << 40), using: &random)
                counters[id] = value
                rows.counters.append(
                    CounterRow(id: id, family: "f\(id % 3)", labels: "l=\"\(id)\"", value: value, createdUnixNano: 1))
            }
            let key = "k\(Int.random(in: 0..<5, using: &random))"
            if states[key] != nil && Bool.random(using: &random) {
                states[key] = nil
                rows.removedStates.append(StateRow(kind: "s", key: key, value: ""))
            } else {
                states[key] = "v\(round)"
                rows.states.append(StateRow(kind: "s", key: key, value: "v\(round)"))
            }
            // Every twentieth commit is more than a second later, and folds.
            for _ in 0..<(round % 20 == 19 ? 1200 : 1) { try fixture.commit(DerivationRows()) }
            try fixture.commit(rows)
            if round % 7 == 0 { try fixture.reopen() }
            let read = try #require(fixture.presence).history.derivations()
            #expect(Dictionary(uniqueKeysWithValues: read.counters.map { ($0.id, $0.value) }) == counters)
            #expect(Dictionary(uniqueKeysWithValues: read.states.map { ($0.key, $0.value) }) == states)
        }
    }
}
