import TelemetryModel
import TelemetryTesting

@testable import Derivations

/// Random histories: spans of a few services, processes and tools, with everything that the derivations read, and what happens
/// to them on the way.
struct HistoryGenerator {
    enum Action {
        case ingest([ObservedSpan], at: Int64)
        case advance(to: Int64)
        case retain(after: Int64)
        case restart
    }

    /// 2026-01-01T00:00:00Z.
    static let epoch: Int64 = 1_767_225_600 * 1_000_000_000
    static let second: Int64 = 1_000_000_000

    var generator: SplitMix64
    var number: UInt64 = 0

    init(seed: UInt64) { generator = SplitMix64(seed: seed) }

    mutating func policy() -> FusePolicy {
        var policy = FusePolicy()
        policy.prefillBudgetsNanoseconds = ["m1": 2 * Self.second]
        policy.subprocessTreeLimitNanoseconds = generator.chance(0.5) ? Self.second : nil
        policy.breakerStepNanoseconds = generator.pick([1, Self.second], or: 1)
        policy.breakerScope = generator.chance(0.3) ? .service : .process
        policy.breakerStateAt = generator.chance(0.2) ? .start : .end
        policy.breakerCooldownNanoseconds = generator.pick([5, 30], or: 30) * Self.second
        policy.vectorMinimum = 3
        policy.vectorWindow = 6
        policy.toolLabelsMax = generator.pick([3, 100], or: 100)
        policy.workflowLabelsMax = generator.pick([1, 100], or: 100)
        policy.modelLabelsMax = generator.pick([1, 50], or: 50)
        policy.serviceLabelsMax = generator.pick([1, 50], or: 50)
        return policy
    }

    /// Spans in order of their ends, and for every fourth some that tell of one call; at most `gap` nanoseconds between their starts.
    mutating func spans(_ count: Int, gap: Int64 = 6_000_000_000) -> [ObservedSpan] {
        var start = Self.epoch
        return (0..<count).flatMap { number in
            start += Int64.random(in: 0...gap, using: &generator)
            return number % 4 == 3 ? family(start) : [span(start)]
        }.sorted { ($0.endTimeUnixNano, $0.spanID.value) < ($1.endTimeUnixNano, $1.spanID.value) }
    }

    /// The spans received up to `lag` nanoseconds after their end, and up to a `pause` after that; with duplicates, restarts and
    /// retention.
    mutating func actions(
        _ spans: [ObservedSpan], lag: Int64, pause: Int64 = 8_000_000_000, restarts: Bool, retention: Bool
    ) -> [Action] {
        let arrivals = spans.map { (time: $0.endTimeUnixNano + Int64.random(in: 0...lag, using: &generator), span: $0) }
            .sorted { $0.time < $1.time }
        var actions: [Action] = []
        var now = Self.epoch
        var index = 0
        while index < arrivals.count {
            now = max(now, arrivals[index].time)
            let end = arrivals[index...].firstIndex { $0.time > now } ?? arrivals.count
            var batch = arrivals[index..<end].map(\.span)
            if generator.chance(0.1), let again = arrivals[..<end].randomElement(using: &generator)?.span { batch.append(again) }
            actions.append(.ingest(batch, at: now))
            if generator.chance(0.3) {
                now += Int64.random(in: 0...pause, using: &generator)
                actions.append(.advance(to: now))
            }
            if restarts && generator.chance(0.12) { actions.append(.restart) }
            if retention && generator.chance(0.03) { actions.append(.retain(after: now - 60 * Self.second)) }
            index = end
        }
        actions.append(.advance(to: now + 120 * Self.second))
        return actions
    }

    private mutating func span(_ start: Int64) -> ObservedSpan {
        number += 1
        var span = ObservedSpan(
            traceID: TraceID(high: 7, low: UInt64.random(in: 1...4, using: &generator)), spanID: SpanID(number))
        // Parents that are not stored: what tells of one call stands in `family`.
        span.parentSpanID = SpanID(generator.pick([0, 1 << 40, 1 << 41], or: 0))
        span.service = generator.pick(["svc", "svc", "other"], or: "svc")
        span.instance = generator.pick(["a", "b"], or: "a")
        span.workflow = generator.pick(["w1", "w2", "unknown", nil], or: nil)
        span.step = generator.pick(["s1", "s2", nil], or: nil)
        span.tool = generator.pick(["t", "t", "t", "u", "v", "x", nil], or: nil)
        span.stageAttribute = generator.pick(["http_tool", "http_tool", "vector", "llm", "subprocess", nil], or: nil)
        span.startTimeUnixNano = start
        span.endTimeUnixNano = start + Int64.random(in: 0...11 * Self.second, using: &generator)
        if generator.chance(0.02) { span.endTimeUnixNano = start - Self.second }
        describeEnding(&span)
        describeExtras(&span)
        return span
    }

    private mutating func describeEnding(_ span: inout ObservedSpan) {
        span.errorType = generator.pick(["TimeoutError", "TimeoutError", "ValueError", "CircuitBreakerOpen", nil, nil], or: nil)
        span.statusCode = span.errorType == nil ? 0 : 2
        span.breakerState = generator.pick(["open", "closed", "half_open", "Opened", "melted", nil, nil, nil], or: nil)
        if generator.chance(0.1) { span.breakerID = "shared" }
        if generator.chance(0.1) {
            span.events = (0..<2).map { _ in
                ObservedEvent(
                    kind: .breakerTransition,
                    timeUnixNano: Int64.random(
                        in: span.startTimeUnixNano...max(span.startTimeUnixNano, span.endTimeUnixNano), using: &generator),
                    text: generator.pick(["open", "closed", "half_open"], or: "open"))
            }
        }
    }

    private mutating func describeExtras(_ span: inout ObservedSpan) {
        span.model = generator.pick(["m1", "m2", nil], or: nil)
        if generator.chance(0.3) { span.inputTokens = Int64.random(in: 0...500, using: &generator) }
        if generator.chance(0.3) { span.outputTokens = Int64.random(in: 0...500, using: &generator) }
        if generator.chance(0.2) { span.cacheReadTokens = Int64.random(in: 0...600, using: &generator) }
        if generator.chance(0.1) { span.tokens = 7 }
        if generator.chance(0.2) { span.timeToFirstTokenNanoseconds = Int64.random(in: 0...4 * Self.second, using: &generator) }
        if generator.chance(0.2) { span.cacheHit = generator.chance(0.5) }
        if generator.chance(0.2) { span.queueDepth = Int64.random(in: 0...9, using: &generator) }
        if generator.chance(0.1) { span.exitCode = generator.pick([0, 1, 124, 137], or: 0) }
        if generator.chance(0.1) { span.retryAttempt = 1 }
        if generator.chance(0.02) { span.startTimeUnixNano = 0 }
    }
}
