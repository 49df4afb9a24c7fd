import TelemetryModel
import Testing

@testable import Derivations

/// What more than one span tells of, in the counters: metrics.md 2.12.
@Suite struct CallTests {
    private static func chat(_ number: UInt64, _ start: Double, _ end: Double, parent: UInt64 = 0) -> ObservedSpan {
        ObservedSpan.attempt(number, start, end).with { span in
            span.parentSpanID = SpanID(parent)
            span.tool = nil
            span.stageAttribute = nil
            span.operation = "chat"
            span.model = "m"
            span.inputTokens = 10
            span.outputTokens = 5
        }
    }

    private static func settled(_ spans: [ObservedSpan], order: [Int]? = nil) -> SpanDerivations {
        var derivations = SpanDerivations(policy: FusePolicy())
        for index in order ?? Array(spans.indices) {
            derivations.take(spans[index].with { $0.receivedTimeUnixNano = ObservedSpan.time(9) })
        }
        derivations.advance(to: Moment(steady: ObservedSpan.time(30)))
        return derivations
    }

    private static func calls(_ derivations: SpanDerivations, _ outcome: String) -> Int64 {
        derivations.total("agent_tool_calls_total", "outcome=\"\(outcome)\"")
    }

    @Test func aModelCallCountsWhenItsRelativesHadTheirTime() {
        var derivations = SpanDerivations(policy: FusePolicy())
        derivations.take(Self.chat(1, 1, 2))
        #expect(derivations.pendingObservations == 1)
        derivations.advance(to: Moment(steady: ObservedSpan.time(12)))
        #expect(Self.calls(derivations, "ok") == 0)
        derivations.advance(to: Moment(steady: ObservedSpan.time(13)))
        #expect(Self.calls(derivations, "ok") == 1)
        #expect(derivations.total("agent_tokens_total") == 15)
        #expect(derivations.pendingObservations == 0)
    }

    @Test(arguments: [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
    func aCallInACallCountsOnce(order: [Int]) {
        let spans = [Self.chat(1, 1, 5), Self.chat(2, 2, 3, parent: 1), Self.chat(3, 3, 4, parent: 1)]
        let derivations = Self.settled(spans, order: order)
        #expect(Self.calls(derivations, "ok") == 2)
        #expect(derivations.total("agent_tokens_total") == 30)
    }

    @Test func aWrapperThatAloneHasTheTokensCountsThem() {
        let inner = Self.chat(2, 2, 3, parent: 1).with { ($0.inputTokens, $0.outputTokens) = (nil, nil) }
        let derivations = Self.settled([Self.chat(1, 1, 5), inner])
        #expect(Self.calls(derivations, "ok") == 1)
        #expect(derivations.total("agent_tokens_total") == 15)
    }

    @Test(arguments: [[0, 1], [1, 0]])
    func oneCallThatTwoInstrumentationsTellOfCountsOnce(order: [Int]) {
        let outer = Self.chat(1, 1, 5, parent: 9).with { $0.scope = 1 }
        let inner = Self.chat(2, 2, 4, parent: 9).with { $0.scope = 2 }
        #expect(Self.calls(Self.settled([outer, inner], order: order), "ok") == 1)
        #expect(Self.settled([outer, inner], order: order).total("agent_tokens_total") == 15)
        // Two calls beside each other by one instrumentation are two.
        #expect(Self.calls(Self.settled([outer, inner.with { $0.scope = 1 }], order: order), "ok") == 2)
    }

    @Test func aRelativeThatComesTooLateDoesNotCountAgain() {
        var derivations = SpanDerivations(policy: FusePolicy())
        derivations.take(Self.chat(1, 1, 5))
        derivations.advance(to: Moment(steady: ObservedSpan.time(20)))
        #expect(Self.calls(derivations, "ok") == 1)
        derivations.take(Self.chat(2, 2, 3, parent: 1).with { $0.receivedTimeUnixNano = ObservedSpan.time(21) })
        derivations.advance(to: Moment(steady: ObservedSpan.time(40)))
        #expect(Self.calls(derivations, "ok") == 1)
        #expect(derivations.total("agent_tokens_total") == 15)
    }

    @Test func aToolFailsAsItsChildSays() {
        let tool = ObservedSpan.attempt(1, 1, 5).with { $0.mayBeTold = true }
        let child = ObservedSpan.attempt(2, 2, 4, error: "TimeoutError").with { span in
            span.parentSpanID = SpanID(1)
            span.tool = nil
            span.tellsParent = true
        }
        let derivations = Self.settled([child, tool])
        #expect(Self.calls(derivations, "timeout") == 1)
        #expect(derivations.total("agent_tool_calls_total") == 1)
        #expect(derivations.total("agent_tool_timeouts_total", "reason=\"error_type\"") == 1)
    }

    @Test func bothEndsOfAnMCPCallCountOnce() {
        let client = ObservedSpan.attempt(1, 1, 5, error: "TimeoutError").with { ($0.protocolMethod, $0.kind) = (7, 3) }
        // The span between the two is of no tool.
        let sending = ObservedSpan.attempt(2, 2, 4).with { span in
            (span.protocolMethod, span.kind, span.tool, span.parentSpanID) = (7, 3, nil, SpanID(1))
        }
        let server = ObservedSpan.attempt(3, 2.5, 3.5).with { span in
            (span.protocolMethod, span.kind, span.parentSpanID) = (7, 2, SpanID(2))
        }
        let derivations = Self.settled([server, sending, client])
        #expect(Self.calls(derivations, "timeout") == 1)
        #expect(derivations.total("agent_tool_calls_total") == 1)
        #expect(Self.calls(Self.settled([server, sending]), "ok") == 1)
    }

    @Test func aLogRecordTellsOfACallWhenNoSpanDoes() {
        let told = Self.chat(1, 1, 2).with { ($0.toldByLog, $0.session) = (1, 5) }
        let span = Self.chat(2, 1, 2).with { ($0.traceID, $0.session) = (TraceID(high: 1, low: 2), 5) }
        #expect(Self.calls(Self.settled([told]), "ok") == 1)
        #expect(Self.calls(Self.settled([told, span]), "ok") == 1)
        let better = told.with { ($0.toldByLog, $0.statusCode) = (2, 2) }
        #expect(Self.calls(Self.settled([better, span]), "error") == 1)
        #expect(Self.settled([better, span]).total("agent_tool_calls_total") == 1)
    }

    @Test func wrappersByOperationAreNoLookUpsInACache() {
        let chat = Self.chat(1, 1, 2).with { $0.cacheHit = true }
        let agent = chat.with { ($0.operation, $0.spanID) = ("invoke_agent", SpanID(2)) }
        #expect(Self.settled([chat, agent]).total("agent_cache_lookups_total") == 1)
    }

    @Test(arguments: [[0, 1], [1, 0]])
    func tokensGoByTheWorkflowOfTheirTrace(order: [Int]) {
        let root = ObservedSpan.attempt(1, 1, 5).with { ($0.tool, $0.workflow) = (nil, "w") }
        let derivations = Self.settled([root, Self.chat(2, 2, 3, parent: 1)], order: order)
        #expect(derivations.total("agent_tokens_total", "workflow=\"w\"") == 15)
        #expect(derivations.total("agent_tokens_total") == 15)
    }

    @Test func whatWaitsIsBounded() {
        var derivations = SpanDerivations(policy: FusePolicy())
        let count = SpanDerivations.Limits.callsWaitingMax + 10
        for number in 1...count {
            derivations.take(
                Self.chat(UInt64(number), 1, 2).with { span in
                    span.traceID = TraceID(high: 2, low: UInt64(number))
                    span.receivedTimeUnixNano = ObservedSpan.time(3)
                })
        }
        #expect(derivations.pendingObservations == SpanDerivations.Limits.callsWaitingMax)
        #expect(derivations.total("fusebox_settled_early_total") == 10)
        derivations.advance(to: Moment(steady: ObservedSpan.time(30)))
        #expect(Self.calls(derivations, "ok") == Int64(count))
    }
}
