import TelemetryModel
import TelemetryTesting
import Testing

@testable import Derivations

/// What is remembered of decisions changes nothing.
@Suite struct DecisionMemoTests {
    private static let capacities = [1, 2, 64, SpanDerivations.Limits.decisionsMax]

    @Test(arguments: 7_000..<7_060)
    func aMemoOfAnySizeGivesWhatNoneGives(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        let policy = history.policy()
        var numbering = Numbering(number: 1)
        let spans = history.spans(70).map { numbered(varied($0, &history.generator), &numbering, &history.generator) }
        var stores = ([0] + Self.capacities).map { capacity in
            var store = StoreStandIn(policy: policy)
            store.decisionsMax = capacity
            return store
        }
        var now = HistoryGenerator.epoch
        for action in history.actions(spans, lag: 9_000_000_000, restarts: true, retention: true) + [.restart] {
            for index in stores.indices {
                switch action {
                case .ingest(let spans, let time):
                    now = time
                    stores[index].ingest(spans, at: time)
                case .advance(let time):
                    now = time
                    stores[index].advance(to: time)
                case .retain(let cut): stores[index].retain(after: cut)
                case .restart:
                    stores[index].restart()
                    stores[index].advance(to: now)
                }
            }
        }
        let expected = stores[0].derivations.plainExposition(at: now)
        for store in stores.dropFirst() {
            #expect(differences(store.derivations.plainExposition(at: now), expected) == [])
            #expect(differences(store.lines, stores[0].lines) == [])
            #expect(store.derivations.pendingObservations == stores[0].derivations.pendingObservations)
            #expect(store.derivations.view.breakers(at: now) == stores[0].derivations.view.breakers(at: now))
        }
    }

    @Test(arguments: capacities, 0..<12)
    func everythingThatDecidesIsInTheKey(capacity: Int, seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        let policy = history.policy()
        var derivations = SpanDerivations(policy: policy)
        derivations.decisions = DecisionMemo(capacity: capacity)
        var numbering = Numbering(number: 1)
        var number: UInt64 = 0
        var base = ObservedSpan(traceID: TraceID(high: 7, low: 1), spanID: SpanID(1))
        (base.startTimeUnixNano, base.endTimeUnixNano) = (HistoryGenerator.epoch, HistoryGenerator.epoch + 1)
        for _ in 0..<600 {
            // Mostly one thing differs from a span that was remembered.
            if history.generator.chance(0.3) { base = varied(base, &history.generator) }
            var span = history.generator.chance(0.5) ? base : varied(base, &history.generator)
            number += 1
            span.spanID = SpanID(number)
            span.receivedTimeUnixNano = HistoryGenerator.epoch + 20 * HistoryGenerator.second
            span = numbered(span, &numbering, &history.generator)
            derivations.advance(to: Moment(steady: span.receivedTimeUnixNano))
            #expect(derivations.observe(span) == Classification.classify(span, policy))
        }
    }

    @Test(arguments: 0..<10)
    func cachesThatAreEmptiedTakeTheDecisionsWithThem(seed: Int) {
        var history = HistoryGenerator(seed: UInt64(seed))
        let policy = history.policy()
        var remembering = SpanDerivations(policy: policy)
        var forgetting = SpanDerivations(policy: policy)
        forgetting.decisions = DecisionMemo(capacity: 0)
        var numbering = Numbering(number: 1)
        let now = HistoryGenerator.epoch + 3_600 * HistoryGenerator.second
        for original in history.spans(200) {
            var span = numbered(varied(original, &history.generator), &numbering, &history.generator)
            span.receivedTimeUnixNano = now
            remembering.take(span)
            forgetting.take(span)
            // As a full cache does.
            switch Int.random(in: 0...40, using: &history.generator) {
            case 0: remembering.attempts.removeAll()
            case 1: remembering.tools.removeAll()
            case 2: remembering.models.removeAll()
            case 3: remembering.runs.removeAll()
            default: break
            }
        }
        let later = now + 60 * HistoryGenerator.second
        remembering.advance(to: Moment(steady: later))
        forgetting.advance(to: Moment(steady: later))
        #expect(differences(remembering.plainExposition(at: later), forgetting.plainExposition(at: later)) == [])
    }

    /// A span with one or two things changed that classification, or what is resolved by it, reads.
    private func varied(_ original: ObservedSpan, _ generator: inout SplitMix64) -> ObservedSpan {
        var span = original
        for _ in 0..<Int.random(in: 1...2, using: &generator) {
            switch Int.random(in: 0...25, using: &generator) {
            case 0: span.kind = generator.pick([0, 2, 3], or: 0)
            case 1: span.statusCode = generator.pick([0, 1, 2], or: 0)
            case 2: span.exceptionFails = generator.pick([true, false, nil], or: nil)
            case 3: span.workflowRoot = generator.pick([true, false, nil], or: nil)
            case 4: span.timeoutFlag = generator.pick([true, false, nil], or: nil)
            case 5: span.breakerRejected = generator.pick([true, false, nil], or: nil)
            case 6: span.httpStatus = generator.pick([200, 404, 408, 504, nil], or: nil)
            case 7: span.grpcStatus = generator.pick([0, 4, nil], or: nil)
            case 8: span.rpcStatusText = generator.pick(["DEADLINE_EXCEEDED", "OK", nil], or: nil)
            case 9: span.errorType = generator.pick(["504", "-1001", "TimeoutError", "CircuitBreakerOpen", "E", "", nil], or: nil)
            case 10: span.exitCode = generator.pick([0, 1, 124, 137, nil], or: nil)
            case 11: span.watchdog.toggle()
            case 12: span.hasProcessCommand.toggle()
            case 13: span.hasHTTPRequestMethod.toggle()
            case 14: span.hasURL.toggle()
            case 15: span.hasDatabaseSystem.toggle()
            case 16: span.retrievalBatch = generator.pick([0, 8, nil], or: nil)
            case 17: span.operation = generator.pick(["chat", "retrieval", "chain", "execute_tool", "", nil], or: nil)
            case 18: span.stageAttribute = generator.pick(["http_tool", "llm", "subprocess", "vector", "none", nil], or: nil)
            case 19: span.tool = generator.pick(["t", "u", "", nil], or: nil)
            case 20: span.model = generator.pick(["m1", "m2", "", nil], or: nil)
            case 21: span.workflow = generator.pick(["w1", "w2", "", nil], or: nil)
            case 22: span.breakerID = generator.pick(["shared", "", nil], or: nil)
            case 23: span.timeToFirstTokenNanoseconds = generator.pick([HistoryGenerator.second, 3 * HistoryGenerator.second, nil], or: nil)
            case 24: span.statusMessage = generator.pick(["timed out", nil], or: nil)
            default: span.parentSpanID = SpanID(generator.pick([0, 1 << 40], or: 0))
            }
        }
        return span
    }

    /// Gives a span's texts their numbers, as the interner does: some spans have a text without one, and at times all begins anew.
    private func numbered(_ original: ObservedSpan, _ numbering: inout Numbering, _ generator: inout SplitMix64) -> ObservedSpan {
        var span = original
        if generator.chance(0.01) { numbering = Numbering(number: numbering.number + 1) }
        span.numbers = TextNumbers()
        if generator.chance(0.1) { return span }
        span.numbers.numbering = numbering.number
        span.numbers.workflow = numbering.number(of: span.workflow)
        span.numbers.tool = numbering.number(of: span.tool)
        span.numbers.model = numbering.number(of: span.model)
        span.numbers.operation = numbering.number(of: span.operation)
        span.numbers.stageAttribute = numbering.number(of: span.stageAttribute)
        span.numbers.breakerID = numbering.number(of: span.breakerID)
        span.numbers.errorType = numbering.number(of: span.errorType)
        span.numbers.rpcStatus = numbering.number(of: span.rpcStatusText)
        return span
    }

    private struct Numbering {
        var number: UInt64
        private var numbers: [String: UInt32] = [:]

        init(number: UInt64) { self.number = number }

        mutating func number(of text: String?) -> UInt32 {
            guard let text else { return 0 }
            if let known = numbers[text] { return known }
            numbers[text] = UInt32(numbers.count + 1)
            return UInt32(numbers.count)
        }
    }
}
