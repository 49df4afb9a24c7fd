import TelemetryModel
import TelemetryTesting
import Testing

@testable import Derivations

/// A wall clock that jumps costs nothing that lasts: metrics.md 2.8.
@Suite struct ClockTests {
    private static let hour: Int64 = 3_600 * 1_000_000_000

    enum Moment: CaseIterable {
        case beforeTheFirstSpan
        case whileItRuns
        case whileItIsStopped
    }

    struct Case: CustomTestStringConvertible {
        var jump: Int64
        var moment: Moment
        var staysWrong: Bool
        /// The clients run on the same machine.
        var clientsJump: Bool
        var testDescription: String {
            "\(jump / hour) h \(moment)\(staysWrong ? ", for good" : "")\(clientsJump ? ", clients too" : "")"
        }
    }

    static let cases: [Case] = [hour, -hour, 9_600 * hour, -9_600 * hour].flatMap { jump in
        Moment.allCases.flatMap { moment in
            [true, false].flatMap { stays in
                [true, false].map { Case(jump: jump, moment: moment, staysWrong: stays, clientsJump: $0) }
            }
        }
    }

    /// Timeouts open the breaker, a probe closes it, and a reported opening counts, after whatever the clock did.
    @Test(arguments: cases)
    func breakersGoOnAsIfTheClockHadNeverJumped(_ example: Case) {
        var store = StoreStandIn()
        var second: Double = 0
        var number: UInt64 = 0
        func ingest(_ tool: String, error: String? = nil, state: String? = nil) {
            number += 1
            second += 2
            let span = ObservedSpan.attempt(number, second - 1, second, error: error).with {
                $0.tool = tool
                $0.breakerState = state
                $0.queueDepth = Int64(number)
            }
            store.ingest([example.clientsJump ? span.moved(by: store.clockError) : span], at: ObservedSpan.time(second))
        }
        func pass(_ seconds: Int) {
            for _ in 0..<seconds {
                second += 1
                store.advance(to: ObservedSpan.time(second))
                store.commit()
            }
        }
        func jump(by nanoseconds: Int64) {
            store.jump(by: nanoseconds)
            if example.moment == .whileItIsStopped { store.restart() }
        }
        if example.moment != .beforeTheFirstSpan {
            ingest("web", error: "TimeoutError", state: "open")
            pass(15)
        }
        jump(by: example.jump)
        for _ in 0..<3 { ingest("web", error: "TimeoutError") }
        ingest("own", state: "open")
        if !example.staysWrong { jump(by: -example.jump) }
        pass(80)
        let before = (derived("web", store), reported("own", store))

        for _ in 0..<3 { ingest("web", error: "TimeoutError") }
        ingest("own", state: "closed")
        ingest("own", state: "open")
        pass(45)
        ingest("web")
        pass(15)
        #expect(store.derivations.pendingObservations == 0)
        let after = (derived("web", store), reported("own", store))
        #expect(after.0.opens > before.0.opens, "three timeouts in a row, or a failed probe")
        #expect(after.0.state == .closed, "the probe after the cooldown")
        #expect(after.1.opens == before.1.opens + 1)
        #expect(after.1.cooldownNanoseconds <= before.1.cooldownNanoseconds + 60_000_000_000)
        let wall = ObservedSpan.time(second) + store.clockError
        let lines = store.derivations.plainExposition(at: wall)
        let showsDepth = lines.contains { $0.hasPrefix("agent_queue_depth{") && $0.hasSuffix("integer(\(number))") }
        #expect(showsDepth || isFarBehind(example))
        #expect(store.derivations.view.breakers(at: wall).allSatisfy { $0.lastReceivedUnixNano <= wall })
        #expect(store.derivations.total("agent_breaker_events_discarded_total", "late") <= 1)
    }

    /// The server's clock is wrong and its clients' are not, so that what they send looks old.
    private func isFarBehind(_ example: Case) -> Bool { example.staysWrong && !example.clientsJump && example.jump > 0 }

    private func derived(_ tool: String, _ store: StoreStandIn) -> BreakerView.Machine {
        machine(tool, store) { $0.derived }
    }

    private func reported(_ tool: String, _ store: StoreStandIn) -> BreakerView.Machine {
        machine(tool, store) { $0.reported }
    }

    private func machine(
        _ tool: String, _ store: StoreStandIn, _ choose: (BreakerView) -> BreakerView.Machine?
    ) -> BreakerView.Machine {
        let breakers = store.derivations.view.breakers(at: store.derivations.time.wall(store.derivations.clock))
        return breakers.first { $0.tool == tool }.flatMap(choose)
            ?? BreakerView.Machine(.other, .closed, BreakerEffects(), since: nil)
    }

    @Test func aFileWhoseClockIsFarAheadIsHealed() {
        // As the version before wrote it: a clock 400 days ahead, and what came since waits for it.
        let clock = ObservedSpan.epoch + 9_600 * Self.hour
        let spans = (1...3).map { number in
            ObservedSpan.attempt(UInt64(number), Double(number), Double(number) + 1, error: "TimeoutError").with {
                $0.receivedTimeUnixNano = clock + 1
            }
        }
        var before = SpanDerivations(policy: FusePolicy())
        for span in spans { before.take(span) }
        let written = before.takeChanges()
        var older = DerivationSnapshot(counters: written.counters, labels: written.labels)
        for index in older.counters.indices where older.counters[index].family == "fusebox_arrivals_total" {
            older.counters[index].family = "unknown"
        }
        older.states = written.states.filter { $0.kind != "settle" && $0.kind != "receipt" }
        older.states.append(
            StateRow(kind: "settle", key: "", value: "{\"clock\":\(clock),\"watermark\":\(clock - 10_000_000_000)}"))
        var derivations = SpanDerivations(policy: FusePolicy(), snapshot: older)
        #expect(derivations.olderWatermarkUnixNano == clock - 10_000_000_000)
        for span in spans { derivations.adopt(span) }
        #expect(derivations.unsettledSpans == 3)
        for second in 10...40 { derivations.advance(to: .init(steady: ObservedSpan.time(Double(second)))) }
        #expect(derivations.total("agent_breaker_derived_opens_total") == 1)
        #expect(derivations.pendingObservations == 0)
        let changes = derivations.takeChanges()
        older.counters += changes.counters
        older.states = changes.states
        let again = SpanDerivations(policy: FusePolicy(), snapshot: older)
        #expect(again.olderWatermarkUnixNano == nil)
        #expect(again.arrivals == 3 && again.unsettledSpans == 0)
    }

    @Test(arguments: 0..<8)
    func whatWaitsIsBoundedAndSettlesOldestFirst(seed: Int) {
        var store = StoreStandIn()
        store.pendingMax = 40
        var generator = SplitMix64(seed: UInt64(seed))
        var restarted = store
        for number in 1...400 {
            let second = Double(number) / 100
            let outcome: String? = generator.chance(0.5) ? "TimeoutError" : nil
            let span = ObservedSpan.attempt(UInt64(number), second, second, error: outcome).with {
                $0.tool = generator.pick(["t", "u", "v"], or: "t")
            }
            store.ingest([span], at: ObservedSpan.time(second))
            restarted.ingest([span], at: ObservedSpan.time(second))
            #expect(store.derivations.pendingObservations <= 40)
            if generator.chance(0.1) {
                restarted.restart()
                restarted.advance(to: ObservedSpan.time(second))
            }
        }
        #expect(store.derivations.total("fusebox_settled_early_total") > 0)
        for settling in [4.0, 30.0] {
            store.advance(to: ObservedSpan.time(settling))
            restarted.advance(to: ObservedSpan.time(settling))
            let wall = ObservedSpan.time(settling)
            #expect(
                differences(restarted.derivations.plainExposition(at: wall), store.derivations.plainExposition(at: wall)) == [])
        }
    }

    @Test func whatIsToldOfBeforeALongStopKeepsItsTime() {
        var store = StoreStandIn()
        store.ingest([.attempt(1, 1, 2).with { $0.breakerState = "open" }], at: ObservedSpan.time(3))
        store.advance(to: ObservedSpan.time(20))
        store.commit()
        store.restart()
        // Ten hours, of which one is believed to have passed.
        let later = ObservedSpan.time(36_000)
        store.advance(to: later)
        let lines = store.derivations.plainExposition(at: later)
        #expect(lines.contains { $0.hasPrefix("agent_last_span_timestamp_seconds{") && $0.hasSuffix("double(1767225602.0)") })
        #expect(store.derivations.view.breakers(at: later).first?.reported?.sinceUnixNano == ObservedSpan.time(2))
        #expect(store.derivations.view.breakers(at: later).first?.reported?.state == .unknown)
    }
}
