package import TelemetryModel
package import TelemetryTesting

/// Random spans of every shape that the store takes.
package struct Workload {
    package var random: SplitMix64
    package var nextSpan: UInt64
    /// Keys that are in use.
    package var keyCount: Int

    package init(random: SplitMix64, nextSpan: UInt64 = 1, keyCount: Int = 12) {
        self.random = random
        self.nextSpan = nextSpan
        self.keyCount = keyCount
    }

    package mutating func value() -> AttributeValue {
        switch Int.random(in: 0..<9, using: &random) {
        case 0: .int(.random(in: -5...5, using: &random))
        case 1: .int(.random(in: .min ... .max, using: &random))
        case 2: .double(Double.random(in: -1e9...1e9, using: &random))
        case 3: .bool(.random(using: &random))
        case 4: .array([.int(1), .string("two"), .array([.bool(false)])])
        case 5: ["k": ["x": 1]]
        case 6: .bytes([UInt8.random(in: 0...255, using: &random)])
        case 7: .string(String(repeating: "long ", count: .random(in: 0..<40, using: &random)))
        default: .string("text \(Int.random(in: 0..<6, using: &random)) é")
        }
    }

    package mutating func span(_ trace: UInt64) -> SpanDescription {
        var attributes: AttributeList = [:]
        for _ in 0..<Int.random(in: 0..<5, using: &random) {
            attributes.append("key.\(Int.random(in: 0..<keyCount, using: &random))", value())
        }
        if Bool.random(using: &random) {
            attributes.append(Bool.random(using: &random) ? "tool_name" : "gen_ai.tool.name", .string("tool \(trace % 5)"))
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
            attributes.append("tokens", .int(.random(in: 0..<9_000, using: &random)))
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
            attributes.append("workflow.name", .string("workflow \(trace % 3)"))
            let flags: [AttributeValue] = [true, false, 1, 0, 2, "true", "YES", "no", " 1 ", "maybe", .double(1)]
            if Bool.random(using: &random) { attributes.append("workflow.root", flags[Int.random(in: 0..<flags.count, using: &random)]) }
        }
        if Int.random(in: 0..<4, using: &random) == 0 { attributes.append("session.id", .string("session \(trace)")) }
        var span = Batches.span(trace, nextSpan, attributes, start: .random(in: 1_000_000..<9_000_000, using: &random))
        span.endTimeUnixNano = span.startTimeUnixNano + .random(in: -3...90_000, using: &random)
        // Spans that run, spans that come without a start, and some that know no time at all.
        if Int.random(in: 0..<12, using: &random) == 0 { span.endTimeUnixNano = 0 }
        if Int.random(in: 0..<20, using: &random) == 0 { span.startTimeUnixNano = 0 }
        if nextSpan > 1 && Bool.random(using: &random) {
            span.parentSpanID = SpanID(.random(in: 1..<nextSpan + 20, using: &random))
        }
        if Int.random(in: 0..<6, using: &random) == 0 {
            span.status = .error("failed \(nextSpan % 3)")
            span.traceState = "a=\(nextSpan % 2)"
            span.events = [.init("exception", timeUnixNano: 1_200, attributes: ["exception.type": "E", "n": value()])]
            span.links = [.init(traceID: TraceID(high: 5, low: 5), spanID: SpanID(5), attributes: ["why": value()])]
        }
        nextSpan += 1
        return span
    }

    package mutating func batch() -> SpanBatch {
        let traces = (0..<3).map { _ in UInt64.random(in: 1...30, using: &random) }
        let spans = (0..<Int.random(in: 1..<14, using: &random)).map { span(traces[$0 % 3]) }
        return Batches.of(spans, service: "svc\(Int.random(in: 0..<3, using: &random))")
    }
}
