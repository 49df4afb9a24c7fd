import Derivations
import SemanticColumns
import TelemetryModel
import TelemetryTesting
import Testing

@testable import Ingest

/// What is handed from span to span is what each span says.
struct SpanObserverTests {
    @Test(arguments: 0..<20)
    func aSpanIsObservedAsIfNoneHadComeBefore(seed: Int) {
        var generator = SplitMix64(seed: UInt64(seed))
        var going = Observing()
        var texts: [Number: String] = [:]
        for _ in 0..<6 {
            let batch = batch(&generator)
            for (index, found) in going.take(batch).enumerated() {
                #expect(Self.text(found) == Self.text(alone(index, of: batch)))
                guard found.numbers.numbering != 0 else { continue }
                for (number, text) in Self.numbered(found) {
                    #expect((number == 0) == (text == nil))
                    guard let text else { continue }
                    let known = texts.updateValue(text, forKey: Number(numbering: found.numbers.numbering, number: number))
                    #expect(known == nil || known == text)
                }
            }
        }
        let numbers = texts.keys.count
        #expect(Set(texts.map { "\($0.key.numbering) \($0.value)" }).count == numbers, "one number for a text")
    }

    @Test func textsThatAreTooLongHaveNoNumber() {
        var generator = SplitMix64(seed: 1)
        var observing = Observing()
        var seen = (numbered: 0, not: 0)
        for _ in 0..<20 {
            for span in observing.take(batch(&generator)) {
                let texts = Self.numbered(span).map(\.text) + [span.step, span.breakerState]
                let isLong = texts.contains { $0?.utf8.count ?? 0 > 256 }
                #expect((span.numbers.numbering == 0) == isLong)
                if isLong { seen.not += 1 } else { seen.numbered += 1 }
            }
        }
        #expect(seen.numbered > 0 && seen.not > 0)
    }

    private struct Number: Hashable {
        var numbering: UInt64
        var number: UInt32
    }

    private struct Observing {
        private var reader = ColumnReader(table: .standard)
        private var observer = SpanObserver()
        private var observed = ObservedSpan(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0))

        mutating func take(_ source: SpanBatch) -> [ObservedSpan] {
            var batch = source
            reader.begin(&batch)
            observer.begin(batch)
            return source.spans.map { span in
                reader.read(span, of: &batch)
                observer.observe(span, reader.row, of: batch, receivedTimeUnixNano: 1, into: &observed)
                return observed
            }
        }
    }

    /// One span of a batch, observed by who observed nothing before.
    private func alone(_ index: Int, of batch: SpanBatch) -> ObservedSpan {
        var single = batch
        single.spans = [batch.spans[index]]
        var observing = Observing()
        return observing.take(single)[0]
    }

    private func batch(_ generator: inout SplitMix64) -> SpanBatch {
        let long = String(repeating: "long ", count: 60)
        let words = ["a", "chat", "retrieval", "weather_api", "open", "x\u{E9}", long]
        let keys = [
            "workflow_name", "step_id", "tool_name", "model", "gen_ai.operation.name", "breaker_state", "stage", "breaker.id", "error.type",
            "rpc.response.status_code", "timeout", "url.full", "http.response.status_code", "session.id",
        ]
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string(generator.pick(["s", "t"], or: "s"))])
        builder.beginScope(name: "scope")
        for number in 1...30 {
            var span = SpanDescription(traceID: TraceID(high: 1, low: 1), spanID: SpanID(UInt64(number)), name: "n")
            span.startTimeUnixNano = 1
            span.endTimeUnixNano = 2
            for key in keys where generator.chance(0.4) { span.attributes.append(key, .string(generator.pick(words, or: "a"))) }
            builder.append(span)
        }
        return builder.batch
    }

    private static func numbered(_ span: ObservedSpan) -> [(number: UInt32, text: String?)] {
        [
            (span.numbers.workflow, span.workflow), (span.numbers.tool, span.tool), (span.numbers.model, span.model),
            (span.numbers.operation, span.operation), (span.numbers.stageAttribute, span.stageAttribute),
            (span.numbers.breakerID, span.breakerID), (span.numbers.errorType, span.errorType),
            (span.numbers.rpcStatus, span.rpcStatusText),
        ]
    }

    /// All of it but the numbers.
    private static func text(_ original: ObservedSpan) -> String {
        var span = original
        span.numbers = TextNumbers()
        return "\(span)"
    }
}
