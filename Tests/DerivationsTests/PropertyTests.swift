import TelemetryModel
import TelemetryTesting
import Testing

@testable import Derivations

/// The properties I1 to I8 of the reference, under random histories.
@Suite struct PropertyTests {
    private static let settle: Int64 = 10_000_000_000

    @Test(arguments: 0..<160)
    func aRestartAnywhereChangesNothingThatIsExposed(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        let policy = history.policy()
        let lag: Int64 = history.generator.pick([4, 9, 25, 60], or: 9) * 1_000_000_000
        let gap: Int64 = history.generator.pick([6, 60], or: 6) * 1_000_000_000
        let actions = history.actions(history.spans(70, gap: gap), lag: lag, restarts: true, retention: true)
        var straight = StoreStandIn(policy: policy)
        var restarted = StoreStandIn(policy: policy)
        var now = HistoryGenerator.epoch
        for action in actions + [.restart] {
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
            guard case .restart = action else { continue }
            let found = restarted.derivations.plainExposition(at: now)
            let expected = straight.derivations.plainExposition(at: now)
            #expect(differences(found, expected) == [])
            guard found == expected else { return }
            #expect(restarted.derivations.pendingObservations == straight.derivations.pendingObservations)
            #expect(restarted.derivations.view.breakers(at: now) == straight.derivations.view.breakers(at: now))
        }
    }

    @Test(arguments: 1_000..<1_040)
    func theFamiliesAgreeWithEachOtherAndNeverFall(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        var store = StoreStandIn(policy: history.policy())
        let actions = history.actions(history.spans(80), lag: 20_000_000_000, restarts: true, retention: true)
        var last: [String: Int64] = [:]
        for (number, action) in actions.enumerated() {
            run(action, &store)
            store.commit()
            guard number % 8 == 0 || number == actions.count - 1 else { continue }
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

    @Test(arguments: 2_000..<2_060)
    func sendingEverythingAgainChangesNothing(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        var store = StoreStandIn(policy: history.policy())
        let spans = history.spans(60)
        for action in history.actions(spans, lag: 9_000_000_000, restarts: false, retention: false) { run(action, &store) }
        let now = store.derivations.clock + 1_000_000_000
        store.advance(to: now)
        store.commit()
        let before = store.derivations.plainExposition(at: now)
        store.ingest(spans.shuffled(using: &history.generator), at: now)
        #expect(store.accepted == spans.count)
        #expect(differences(store.derivations.plainExposition(at: now), before) == [])
    }

    @Test(arguments: 3_000..<3_120)
    func aHistoryWithinTheSettleTimeIsItsSortedReplay(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        var policy = history.policy()
        // Who is admitted depends on the order of arrival.
        policy.toolLabelsMax = 100
        policy.workflowLabelsMax = 100
        policy.modelLabelsMax = 50
        policy.serviceLabelsMax = 50
        // The lag that counts is that of a span's start: a probe ends a cooldown when it begins.
        let spans = history.spans(60).map { span in
            var span = span
            // Spans of the long traces name a workflow themselves: their roots come at any time.
            if span.traceID.high == 7 && span.workflow == nil { span.workflow = "w1" }
            guard span.isTimed else { return span }
            span.endTimeUnixNano = min(span.endTimeUnixNano, span.startTimeUnixNano + 4_000_000_000)
            for index in span.events.indices {
                span.events[index].timeUnixNano = min(span.events[index].timeUnixNano, span.endTimeUnixNano)
            }
            return span
        }
        let actions = history.actions(
            spans, lag: Self.settle - 5_700_000_000, pause: 500_000_000, restarts: true, retention: false)
        var live = StoreStandIn(policy: policy)
        for action in actions { run(action, &live) }
        var replayed = StoreStandIn(policy: policy)
        let end = live.derivations.clock
        let received = spans.map(\.endTimeUnixNano).max() ?? end
        replayed.ingest(spans, at: received)
        replayed.advance(to: end)
        live.commit()
        replayed.commit()
        // Which spans are in the future depends on the time of receipt alone.
        let found = live.lines.filter { !$0.contains("kind=\"future\"") }
        let expected = replayed.lines.filter { !$0.contains("kind=\"future\"") }
        #expect(live.derivations.total("agent_breaker_events_discarded_total", "late") == 0)
        #expect(differences(found, expected) == [])
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
            #expect(differences(stepping.lines, leaping.lines) == [])
        }
        let end = leaping.derivations.clock + 3 * 86_400 * 1_000_000_000
        for day in 0..<300 { stepping.advance(to: end - Int64(300 - day) * 864 * 1_000_000_000) }
        stepping.advance(to: end)
        leaping.advance(to: end)
        #expect(differences(stepping.derivations.plainExposition(at: end), leaping.derivations.plainExposition(at: end)) == [])
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

    @Test(arguments: 6_000..<6_120)
    func aRestartChangesNothingWhereverTheClockJumps(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        let policy = history.policy()
        // Of the same machine as the server, or of others, whose clocks do not jump.
        let clientsJump = history.generator.chance(0.5)
        let actions = history.actions(history.spans(70), lag: 9_000_000_000, restarts: true, retention: true)
        var straight = StoreStandIn(policy: policy)
        var restarted = StoreStandIn(policy: policy)
        var now = HistoryGenerator.epoch
        for action in actions + [.restart] {
            switch action {
            case .ingest(let spans, let time):
                now = time
                let jumped = clientsJump ? spans.map { $0.moved(by: straight.clockError) } : spans
                straight.ingest(jumped, at: time)
                restarted.ingest(jumped, at: time)
            case .advance(let time):
                now = time
                // A jump while the server runs is noticed before the next restart.
                if history.generator.chance(0.3) { jump(&history, &straight, &restarted) }
                straight.advance(to: time)
                restarted.advance(to: time)
                straight.commit()
                restarted.commit()
            case .retain(let cut):
                straight.retain(after: cut)
                restarted.retain(after: cut)
            case .restart:
                restarted.restart()
                restarted.advance(to: now)
                let wall = now + straight.clockError
                let found = restarted.derivations.plainExposition(at: wall)
                let expected = straight.derivations.plainExposition(at: wall)
                #expect(differences(found, expected) == [])
                guard found == expected else { return }
                #expect(restarted.derivations.pendingObservations == straight.derivations.pendingObservations)
                #expect(restarted.derivations.view.breakers(at: wall) == straight.derivations.view.breakers(at: wall))
            }
        }
        // Nothing that waits stands still.
        straight.advance(to: now + 60_000_000_000)
        #expect(straight.derivations.pendingObservations == 0)
    }

    private func jump(_ history: inout HistoryGenerator, _ stores: inout StoreStandIn, _ others: inout StoreStandIn) {
        let hour: Int64 = 3_600 * 1_000_000_000
        let error = history.generator.pick([0, hour, -hour, 9_600 * hour, -9_600 * hour, 5 * hour / 3_600], or: 0)
        let step = error - stores.clockError
        stores.jump(by: step)
        others.jump(by: step)
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
