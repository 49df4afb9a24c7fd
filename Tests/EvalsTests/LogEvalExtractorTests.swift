import Evals
import TelemetryModel
import Testing

/// Evals that come as log records.
struct LogEvalExtractorTests {
    private func batch(_ event: String, trace: TraceID, span: SpanID, _ attributes: AttributeList) -> LogBatch {
        var batch = LogBatch(bytes: Array(event.utf8))
        var record = LogRecord()
        record.eventName = ByteSlice(WireRange(offset: 0, count: batch.bytes.count))
        record.traceID = trace
        record.spanID = span
        record.observedTimeUnixNano = 9
        for element in attributes.elements {
            var pair = WireWriter()
            pair.lengthDelimited(1, element.key.utf8)
            pair.message(2) { $0.anyValue(element.value) }
            batch.attributes.append(ByteSlice(WireRange(offset: batch.bytes.count, count: pair.bytes.count)))
            batch.bytes += pair.bytes
        }
        record.attributes = RecordRange(start: 0, count: UInt32(batch.attributes.count))
        batch.records = [record]
        return batch
    }

    private let trace = TraceID(high: 1, low: 2)
    private let judged: AttributeList = [
        "gen_ai.evaluation.name": "faithfulness", "gen_ai.evaluation.score.value": 0.75, "gen_ai.evaluation.score.label": "good",
    ]

    @Test func anEventJudgesTheSpanThatItNames() throws {
        let rows = LogEvalExtractor.evals(of: batch("gen_ai.evaluation.result", trace: trace, span: SpanID(3), judged))
        let row = try #require(rows.first)
        #expect(rows.count == 1)
        #expect(row.name == "faithfulness" && row.score == 0.75 && row.label == "good")
        #expect(row.traceID == trace && row.spanID == SpanID(3) && row.timeUnixNano == 9 && row.source == .event)
    }

    @Test func whatNamesNothingOrIsNoEvalIsLeftOut() {
        let none = TraceID(high: 0, low: 0)
        #expect(LogEvalExtractor.evals(of: batch("gen_ai.evaluation.result", trace: none, span: SpanID(0), judged)).isEmpty)
        #expect(LogEvalExtractor.evals(of: batch("other", trace: trace, span: SpanID(3), judged)).isEmpty)
        #expect(
            LogEvalExtractor.evals(
                of: batch("gen_ai.evaluation.result", trace: trace, span: SpanID(3), ["gen_ai.evaluation.name": "x"])
            ).isEmpty)
    }
}
