import PrometheusText
import TelemetryModel
import Testing

@testable import Derivations

/// The properties I1 to I8 of the reference, under random histories.
@Suite struct PropertyTests {
    private static let settle: Int64 = 10_000_000_000

    @Test(arguments: 0..<250)
    func aRestartAnywhereChangesNothingThatIsExposed(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        let policy = history.policy()
        let lag = Int64(history.generator.pick([4, 9, 25, 60], or: 9)) * 1_000_000_000
        let actions = history.actions(history.spans(70), lag: lag, restarts: true, retention: true)
        var straight = StoreStandIn(policy: policy)
        var restarted = StoreStandIn(policy: policy)
        var now = HistoryGenerator.epoch
        for action in actions {
            switch action {
            case .ingest(let spans, let time):
                now = time
                straight.ingest(spans, at: time)
                restarted.ingest(spans, at: time)
            case .advance(let time):
                now = time
                straight.advance(to: time)
                restarted.advance(to: time)
            case .retain(let cut):
                straight.retain(after: cut)
                restarted.retain(after: cut)
            case .restart:
                restarted.restart()
                restarted.advance(to: now)
            }
            #expect(restarted.derivations.plainExposition(at: now) == straight.derivations.plainExposition(at: now))
            #expect(restarted.derivations.pendingObservations == straight.derivations.pendingObservations)
            #expect(restarted.derivations.breakers(at: now) == straight.derivations.breakers(at: now))
        }
    }

    @Test(arguments: 1_000..<1_100)
    func theFamiliesAgreeWithEachOtherAndNeverFall(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        var store = StoreStandIn(policy: history.policy())
        let actions = history.actions(history.spans(80), lag: 20_000_000_000, restarts: true, retention: true)
        var last: [String: Int64] = [:]
        for action in actions {
            run(action, &store)
            store.commit()
            let values = store.values
            for (key, value) in last { #expect(values[key] ?? 0 >= value, "\(key)") }
            last = values
            let derivations = store.derivations
            #expect(
                derivations.total("agent_tool_timeouts_total")
                    == derivations.total("agent_tool_calls_total", "outcome=\"timeout\""))
            #expect(
                derivations.total("agent_tool_call_duration_seconds")
                    == derivations.total("agent_tool_calls_total")
                    - derivations.total("agent_tool_calls_total", "outcome=\"rejected\""))
            #expect(store.received == store.accepted + store.identical + store.conflicts + store.tooOld)
        }
    }

    @Test(arguments: 2_000..<2_100)
    func sendingEverythingAgainChangesNothing(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        var store = StoreStandIn(policy: history.policy())
        let spans = history.spans(60)
        for action in history.actions(spans, lag: 9_000_000_000, restarts: false, retention: false) { run(action, &store) }
        let now = store.derivations.clockUnixNano + 1_000_000_000
        store.advance(to: now)
        store.commit()
        let before = store.derivations.plainExposition(at: now)
        store.ingest(spans.shuffled(using: &history.generator), at: now)
        #expect(store.accepted == spans.count)
        #expect(store.derivations.plainExposition(at: now) == before)
    }

    @Test(arguments: 3_000..<3_300)
    func aHistoryWithinTheSettleTimeIsItsSortedReplay(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        var policy = history.policy()
        // The order of arrival decides what else differs: who is admitted, and a skewed clock is part of the history.
        policy.toolLabelsMax = 100
        policy.workflowLabelsMax = 100
        policy.modelLabelsMax = 50
        policy.serviceLabelsMax = 50
        let spans = history.spans(60)
        let actions = history.actions(spans, lag: Self.settle - 1_100_000_000, restarts: true, retention: false)
        var live = StoreStandIn(policy: policy)
        for action in actions { run(action, &live) }
        var replayed = StoreStandIn(policy: policy)
        let end = live.derivations.clockUnixNano
        let received = spans.map(\.endTimeUnixNano).max() ?? end
        replayed.ingest(spans, at: received)
        replayed.advance(to: end)
        live.commit()
        replayed.commit()
        var found = live.values
        var expected = replayed.values
        // Which spans are in the future, and so clamped, depends on the time of receipt alone.
        found["fusebox_clock_anomalies_total{kind=\"future\"}"] = nil
        expected["fusebox_clock_anomalies_total{kind=\"future\"}"] = nil
        guard live.derivations.total("agent_breaker_events_discarded_total", "late") == 0 else { return }
        #expect(found == expected)
    }

    @Test(arguments: 4_000..<4_060)
    func aLeapGivesWhatSmallStepsGive(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        let policy = history.policy()
        var stepping = StoreStandIn(policy: policy)
        var leaping = StoreStandIn(policy: policy)
        var now = HistoryGenerator.epoch
        for action in history.actions(history.spans(50), lag: 20_000_000_000, restarts: false, retention: false) {
            guard case .ingest(let spans, let time) = action else { continue }
            while now < time {
                stepping.advance(to: now)
                now += 500_000_000
            }
            stepping.ingest(spans, at: time)
            leaping.ingest(spans, at: time)
            #expect(stepping.values == leaping.values)
        }
        let end = leaping.derivations.clockUnixNano + 3 * 86_400 * 1_000_000_000
        for day in 0..<300 { stepping.advance(to: end - Int64(300 - day) * 864 * 1_000_000_000) }
        stepping.advance(to: end)
        leaping.advance(to: end)
        #expect(stepping.derivations.plainExposition(at: end) == leaping.derivations.plainExposition(at: end))
    }

    @Test(arguments: 5_000..<5_050)
    func overflowKeepsTheSums(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        var wide = history.policy()
        (wide.toolLabelsMax, wide.workflowLabelsMax, wide.modelLabelsMax, wide.serviceLabelsMax) = (100, 100, 50, 50)
        var narrow = wide
        (narrow.toolLabelsMax, narrow.workflowLabelsMax, narrow.modelLabelsMax, narrow.serviceLabelsMax) = (1, 1, 1, 1)
        let actions = history.actions(history.spans(60), lag: 20_000_000_000, restarts: true, retention: false)
        var first = StoreStandIn(policy: wide)
        var second = StoreStandIn(policy: narrow)
        for action in actions {
            run(action, &first)
            run(action, &second)
        }
        for family in Family.allCases where family != .labelOverflow {
            #expect(first.derivations.total(family.rawValue) == second.derivations.total(family.rawValue), "\(family)")
        }
        #expect(second.derivations.total("fusebox_label_overflow_total", "label=\"tool\"") > 0)
    }

    private func run(_ action: HistoryGenerator.Action, _ store: inout StoreStandIn) {
        switch action {
        case .ingest(let spans, let time): store.ingest(spans, at: time)
        case .advance(let time): store.advance(to: time)
        case .retain(let cut): store.retain(after: cut)
        case .restart: store.restart()
        }
    }
}
