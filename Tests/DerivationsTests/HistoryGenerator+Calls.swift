import TelemetryModel
import TelemetryTesting

@testable import Derivations

/// Spans that tell of the same call: metrics.md 2.12. They begin within a second of each other and last no more than three, in a trace of
/// their own.
extension HistoryGenerator {
    mutating func family(_ start: Int64) -> [ObservedSpan] {
        number += 1
        let trace = TraceID(high: 8, low: number)
        switch Int.random(in: 0...5, using: &generator) {
        case 0: return wrappedCall(trace, start)
        case 1: return twins(trace, start)
        case 2: return toldTool(trace, start)
        case 3: return protocolCall(trace, start)
        case 4: return callsOfLog(trace, start)
        default:
            // With a root that names their workflow.
            var root = member(trace, start, parent: SpanID(0), lasts: 3 * Self.second)
            root.workflow = "w2"
            return [root] + wrappedCall(trace, start) + twins(trace, start)
        }
    }

    mutating func member(_ trace: TraceID, _ start: Int64, parent: SpanID, lasts: Int64) -> ObservedSpan {
        number += 1
        var span = ObservedSpan(traceID: trace, spanID: SpanID(number))
        span.parentSpanID = parent
        span.service = "svc"
        span.instance = "a"
        span.startTimeUnixNano = start
        span.endTimeUnixNano = start + lasts
        return span
    }

    private mutating func modelCall(_ trace: TraceID, _ start: Int64, parent: SpanID, lasts: Int64) -> ObservedSpan {
        var span = member(trace, start, parent: parent, lasts: lasts)
        span.operation = "chat"
        span.model = "m1"
        span.workflow = generator.pick(["w1", nil], or: nil)
        if generator.chance(0.8) { (span.inputTokens, span.outputTokens) = (40, 2) }
        if generator.chance(0.5) { span.cacheHit = generator.chance(0.5) }
        if generator.chance(0.3) { span.timeToFirstTokenNanoseconds = Self.second }
        if generator.chance(0.2) { (span.statusCode, span.errorType) = (2, "TimeoutError") }
        return span
    }

    /// A call in a call, or in two.
    private mutating func wrappedCall(_ trace: TraceID, _ start: Int64) -> [ObservedSpan] {
        var spans = [modelCall(trace, start, parent: SpanID(1 << 42), lasts: 3 * Self.second)]
        for depth in 1...Int.random(in: 1...3, using: &generator) {
            let begin = start + Int64(depth) * Self.second / 8
            let parent = spans[generator.chance(0.6) ? 0 : spans.count - 1].spanID
            spans.append(modelCall(trace, begin, parent: parent, lasts: Self.second))
        }
        return spans
    }

    /// One call that two instrumentations tell of.
    private mutating func twins(_ trace: TraceID, _ start: Int64) -> [ObservedSpan] {
        var one = modelCall(trace, start, parent: SpanID(1 << 43), lasts: 2 * Self.second)
        var other = modelCall(trace, start + Self.second / 8, parent: SpanID(1 << 43), lasts: Self.second)
        (one.scope, other.scope) = (1, 2)
        if generator.chance(0.4) { (one.response, other.response) = (77, 77) }
        return [one, other]
    }

    /// A tool call of which a child tells how it ended.
    private mutating func toldTool(_ trace: TraceID, _ start: Int64) -> [ObservedSpan] {
        var tool = member(trace, start, parent: SpanID(1 << 44), lasts: 2 * Self.second)
        tool.tool = "t"
        tool.mayBeTold = true
        var telling = member(trace, start + Self.second / 4, parent: tool.spanID, lasts: Self.second)
        telling.tellsParent = true
        telling.errorType = generator.pick(["TimeoutError", "ValueError", nil], or: nil)
        telling.statusCode = telling.errorType == nil ? 0 : 2
        return [tool, telling]
    }

    /// Both ends of an MCP call, or one of them.
    private mutating func protocolCall(_ trace: TraceID, _ start: Int64) -> [ObservedSpan] {
        var client = member(trace, start, parent: SpanID(1 << 45), lasts: 2 * Self.second)
        var server = member(
            trace, start + Self.second / 4, parent: generator.chance(0.5) ? client.spanID : SpanID(1 << 46), lasts: Self.second)
        (client.kind, server.kind) = (3, 2)
        (client.tool, server.tool) = ("u", "u")
        (client.protocolMethod, server.protocolMethod) = (5, 5)
        return generator.chance(0.2) ? [server] : [client, server]
    }

    /// Calls that log records tell of, and spans of the same ones.
    private mutating func callsOfLog(_ trace: TraceID, _ start: Int64) -> [ObservedSpan] {
        let session = number | 1 << 50
        var told = modelCall(trace, start, parent: SpanID(0), lasts: Self.second)
        told.toldByLog = generator.pick([1, 2], or: 1)
        told.session = session
        if generator.chance(0.3) { return [told] }
        var span = modelCall(TraceID(high: 9, low: number), start + Self.second / 4, parent: SpanID(1 << 47), lasts: Self.second)
        span.session = session
        return [told, span]
    }
}
