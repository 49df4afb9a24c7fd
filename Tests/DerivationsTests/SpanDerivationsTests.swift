import PrometheusText
import TelemetryModel
import Testing

@testable import Derivations

@Suite struct SpanDerivationsTests {
    private static let day: Int64 = 86_400 * 1_000_000_000

    @Test func aGapOfYearsCreditsOneCooldownAtOnce() {
        var derivations = SpanDerivations(policy: FusePolicy())
        derivations.take(.attempt(1, 20, 30, error: "TimeoutError").with { $0.breakerState = "open" })
        derivations.advance(to: Moment(steady: ObservedSpan.epoch + 3_650 * Self.day))
        #expect(derivations.total("agent_breaker_opens_total") == 1)
        #expect(derivations.total("agent_breaker_cooldown_seconds_total") == 30_000_000_000)
    }

    @Test func gaugesDoNotLagBehindWhatWaits() {
        var derivations = SpanDerivations(policy: FusePolicy())
        derivations.take(.attempt(1, 20, 30, error: "TimeoutError").with { $0.breakerState = "open" })
        let now = ObservedSpan.time(35)
        #expect(derivations.total("agent_breaker_opens_total") == 0)
        let lines = derivations.plainExposition(at: now)
        let labels = "service_name=\"svc\",tool=\"t\",stage=\"http_tool\""
        #expect(lines.contains("agent_breaker_instances{\(labels),state=\"open\"} integer(1)"))
        #expect(lines.contains("agent_breaker_open_age_seconds{\(labels)} double(5.0)"))
        #expect(derivations.view.breakers(at: now).first?.reported?.state == .open)
        #expect(derivations.view.breakers(at: ObservedSpan.time(71)).first?.reported?.state == .unknown)
    }

    @Test func aBreakerLeavesTheGaugesWhenItsProcessFallsSilent() {
        var derivations = SpanDerivations(policy: FusePolicy())
        derivations.take(.attempt(1, 0.5, 1).with { $0.breakerState = "closed" })
        func closed(_ seconds: Double) -> Bool {
            derivations.plainExposition(at: ObservedSpan.time(seconds)).contains { line in
                line.hasPrefix("agent_breaker_instances") && line.hasSuffix("state=\"closed\"} integer(1)")
            }
        }
        #expect(closed(902))
        #expect(!closed(903))
    }

    @Test func idleBreakersAndProcessesAreForgotten() {
        var store = StoreStandIn()
        store.ingest(
            [.attempt(1, 1, 2), .attempt(2, 1, 2, error: "TimeoutError").with { $0.instance = "b" }], at: ObservedSpan.time(3))
        store.advance(to: ObservedSpan.time(100))
        store.commit()
        store.advance(to: ObservedSpan.epoch + 2 * Self.day)
        store.commit()
        #expect(store.derivations.view.breakers(at: 0).map(\.scope) == ["b"])
        store.advance(to: ObservedSpan.epoch + 9 * Self.day)
        store.commit()
        #expect(store.derivations.view.breakers(at: 0).isEmpty)
        #expect(store.reopened().view.breakers(at: 0).isEmpty)
        #expect(store.reopened().presence.instances.isEmpty)
        store.ingest([.attempt(3, 1, 2)], at: ObservedSpan.epoch + 9 * Self.day)
        #expect(store.derivations.view.breakers(at: 0).count == 1)
    }

    @Test(arguments: [[0, 1], [1, 0]])
    func aSilentRetryIsFoundInEitherOrder(order: [Int]) {
        var derivations = SpanDerivations(policy: FusePolicy())
        let spans: [ObservedSpan] = [.attempt(1, 1, 2, error: "ValueError"), .attempt(2, 2, 3)]
        for index in order { derivations.take(spans[index].with { $0.receivedTimeUnixNano = ObservedSpan.time(9) }) }
        #expect(derivations.total("agent_silent_retries_total") == 1)
        // A second failure before it changes nothing; a marked one, another step and one that overlaps are none.
        derivations.take(.attempt(3, 0.5, 1, error: "ValueError").with { $0.receivedTimeUnixNano = ObservedSpan.time(9) })
        derivations.take(.attempt(4, 3, 4).with { $0.retryAttempt = 1 })
        derivations.take(.attempt(5, 3, 4).with { $0.step = "other" })
        #expect(derivations.total("agent_silent_retries_total") == 2)
    }

    @Test func aSilentRetryIsNotLookedForBeyondTheWindow() {
        var derivations = SpanDerivations(policy: FusePolicy())
        derivations.take(.attempt(1, 1, 2, error: "ValueError"))
        derivations.take(.attempt(2, 400, 401))
        #expect(derivations.total("agent_silent_retries_total") == 0)
    }

    @Test func labelsPastTheirCapKeepTheirCounts() {
        var policy = FusePolicy()
        policy.serviceLabelsMax = 1
        policy.workflowLabelsMax = 1
        var derivations = SpanDerivations(policy: policy)
        for number in 1...6 {
            derivations.take(
                .attempt(UInt64(number), 1, 2).with { span in
                    span.service = "svc\(number % 2)"
                    span.workflow = "w\(number)"
                })
        }
        #expect(derivations.total("agent_tool_calls_total") == 6)
        #expect(derivations.total("agent_tool_calls_total", "service_name=\"__overflow__\"") == 3)
        #expect(derivations.total("fusebox_label_overflow_total", "service_name") == 3)
        #expect(derivations.total("fusebox_label_overflow_total", "workflow") == 4)
    }

    @Test func labelValuesAreCleaned() {
        #expect(LabelSanitiser.clean("") == "unknown")
        #expect(LabelSanitiser.clean("a\nb\u{7F}c\u{85}d") == "a b c d")
        let long = String(repeating: "é", count: 100)
        #expect(LabelSanitiser.clean(long) == String(repeating: "é", count: 64))
        #expect(LabelSanitiser.clean("x" + long).utf8.count == 127)
        #expect(LabelSanitiser.clean("plain-name") == "plain-name")
    }

    @Test func tokenTypesAreDisjoint() {
        var derivations = SpanDerivations(policy: FusePolicy())
        let model = ObservedSpan.attempt(1, 1, 2).with { span in
            span.operation = "chat"
            span.stageAttribute = nil
            span.model = "m"
            span.inputTokens = 100
            span.cacheReadTokens = 60
            span.cacheWriteTokens = 10
            span.outputTokens = 7
            span.tokens = 107
        }
        derivations.take(model)
        derivations.take(model.with { $0.operation = "invoke_agent" })
        derivations.take(.attempt(3, 1, 2).with { $0.tokens = 5 })
        derivations.take(.attempt(4, 1, 2).with { $0.inputTokens = 5 })
        derivations.advance(to: Moment(steady: ObservedSpan.time(20)))
        func tokens(_ type: String) -> Int64 { derivations.total("agent_tokens_total", "type=\"\(type)\"") }
        #expect(tokens("input") == 35)
        #expect(tokens("cache_read") == 60)
        #expect(tokens("cache_write") == 10)
        #expect(tokens("output") == 7)
        #expect(tokens("unspecified") == 5)
    }

    @Test func exitsAndCacheLookupsAreCountedByTool() {
        var derivations = SpanDerivations(policy: FusePolicy())
        for (number, code) in [0, 3, 124, 137, -9].enumerated() {
            derivations.take(
                .attempt(UInt64(number + 1), 1, 2).with { span in
                    span.stageAttribute = "subprocess"
                    span.exitCode = Int64(code)
                    span.cacheHit = code == 0
                })
        }
        func exits(_ name: String) -> Int64 { derivations.total("agent_subprocess_exits_total", "class=\"\(name)\"") }
        #expect([exits("zero"), exits("nonzero"), exits("watchdog"), exits("signal")] == [1, 1, 1, 2])
        #expect(derivations.total("agent_cache_lookups_total", "result=\"hit\"") == 1)
        #expect(derivations.total("agent_cache_lookups_total", "result=\"miss\"") == 4)
    }

    @Test func aSpanWithoutTimesCountsOnlyWhatNeedsNone() {
        var derivations = SpanDerivations(policy: FusePolicy())
        derivations.take(
            .attempt(1, 1, 2, error: "TimeoutError").with { span in
                span.startTimeUnixNano = 0
                span.breakerState = "open"
                span.tokens = 4
            })
        derivations.advance(to: Moment(steady: ObservedSpan.time(100)))
        #expect(derivations.total("fusebox_clock_anomalies_total", "missing_time") == 1)
        #expect(derivations.total("agent_tool_calls_total") == 0)
        #expect(derivations.total("agent_breaker_opens_total") == 0)
        #expect(derivations.total("agent_tokens_total") == 4)
    }

    @Test func theNewestQueueDepthIsShownForFiveMinutes() {
        var store = StoreStandIn()
        store.ingest([.attempt(2, 2, 3).with { $0.queueDepth = 5 }], at: ObservedSpan.time(4))
        store.ingest([.attempt(1, 1, 2).with { $0.queueDepth = 9 }], at: ObservedSpan.time(5))
        let line = "agent_queue_depth{service_name=\"svc\"} integer(5)"
        #expect(store.derivations.plainExposition(at: ObservedSpan.time(303)).contains(line))
        #expect(store.reopened().plainExposition(at: ObservedSpan.time(303)).contains(line))
        #expect(!store.derivations.plainExposition(at: ObservedSpan.time(304)).contains { $0.hasPrefix("agent_queue_depth{") })
    }

    @Test func seriesAreBornAtZeroAndFamiliesAreSorted() {
        var derivations = SpanDerivations(policy: FusePolicy())
        derivations.take(.attempt(1, 1, 2).with { $0.breakerState = "closed" })
        let families = derivations.view.collect(at: ObservedSpan.time(4))
        #expect(families.map(\.name) == families.map(\.name).sorted())
        #expect(families.first { $0.name == "agent_tool_calls_total" }?.samples.count == 4)
        #expect(families.first { $0.name == "agent_breaker_opens_total" }?.samples.count == 1)
        #expect(!families.contains { $0.name == "agent_tool_timeouts_total" })
        #expect(
            families.first { $0.name == "agent_tool_calls_total" }?.samples.first?.labels
                == "service_name=\"svc\",workflow=\"unknown\",tool=\"t\",stage=\"http_tool\",outcome=\"error\"")
    }

    @Test func extremesOfTheClockNeverTrap() {
        let extremes: [Int64] = [.min, .min + 1, -1, 0, 1, ObservedSpan.epoch, .max - 1, .max]
        for scope in [FusePolicy.BreakerScope.process, .service] {
            var policy = FusePolicy()
            policy.breakerScope = scope
            policy.subprocessTreeLimitNanoseconds = .max
            policy.vectorMinimum = 1
            var store = StoreStandIn(policy: policy)
            var number: UInt64 = 0
            for start in extremes {
                for end in extremes {
                    for state in ["open", "closed"] {
                        number += 1
                        let span = ObservedSpan.attempt(number, 0, 0, error: "TimeoutError").with { span in
                            span.startTimeUnixNano = start
                            span.endTimeUnixNano = end
                            span.breakerState = state
                            span.stageAttribute = number % 3 == 0 ? "vector" : number % 3 == 1 ? "subprocess" : "http_tool"
                            span.tokens = .max
                            span.inputTokens = number % 2 == 0 ? .min : nil
                            span.cacheReadTokens = .max
                            span.cacheWriteTokens = .max
                            span.queueDepth = start
                            span.retrievalBatch = end
                            span.timeToFirstTokenNanoseconds = end
                            span.exitCode = end
                            span.events = [ObservedEvent(kind: .breakerTransition, timeUnixNano: start, text: "open")]
                        }
                        store.ingest([span], at: ObservedSpan.time(Double(number)))
                    }
                }
            }
            store.advance(to: .max)
            _ = store.derivations.view.collect(at: .max)
            _ = store.derivations.view.collect(at: .min)
            _ = store.derivations.view.breakers(at: .min)
            store.restart()
        }
    }

    @Test func countersSaturate() {
        var counters = CounterTable(rows: [])
        let id = counters.id(.tokens, "", created: 0)
        counters.add(id, .max)
        counters.add(id, .max)
        counters.add(id, -1)
        #expect(counters.value(id) == .max)
    }

    @Test func unreadableStateCountsAsAbsent() {
        let derivations = SpanDerivations(
            policy: FusePolicy(),
            snapshot: DerivationSnapshot(states: [
                StateRow(kind: "breaker", key: "x", value: "{\"service\":1"), StateRow(kind: "settle", key: "", value: "soon"),
                StateRow(kind: "other", key: "", value: ""),
            ]))
        #expect(derivations.unreadableStates == 2)
        #expect(derivations.view.breakers(at: 0).isEmpty)
    }

    @Test func aBusyServiceWritesFewStateRows() {
        var derivations = SpanDerivations(policy: FusePolicy())
        var rows = 0
        for number in 1...1_000 {
            // Not on a whole second, which has a receipt of its own.
            let start = Double(number) / 100 + 0.001
            derivations.take(.attempt(UInt64(number), start, start + 1))
            rows += derivations.takeChanges().states.count
        }
        // Ten seconds: a row each second for the clock, two for the breaker that nothing is due of yet.
        #expect(rows < 30)
    }
}
