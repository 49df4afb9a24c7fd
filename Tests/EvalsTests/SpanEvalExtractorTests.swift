import TelemetryModel
import Testing

@testable import Evals

/// Evals that come as telemetry.
@Suite struct SpanEvalExtractorTests {
    private func rows(_ change: (inout SpanDescription) -> Void) -> [EvalRow] {
        var span = SpanDescription(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), name: "s")
        span.startTimeUnixNano = 10
        span.endTimeUnixNano = 20
        change(&span)
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": "svc"])
        builder.beginScope(name: "tests")
        builder.append(span)
        var batch = builder.batch
        let session = ColumnValue.text(batch.append("session-1"))
        var extractor = SpanEvalExtractor()
        extractor.begin(batch)
        var rows: [EvalRow] = []
        for record in batch.spans { extractor.extract(record, of: batch, sessionID: session, into: &rows) }
        return rows
    }

    @Test func readsEvaluationEvents() throws {
        let rows = rows { span in
            span.events = [
                .init("exception", timeUnixNano: 11),
                .init(
                    "gen_ai.evaluation.result", timeUnixNano: 12,
                    attributes: [
                        "gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.value": 0.75,
                        "gen_ai.evaluation.score.label": "good", "gen_ai.evaluation.explanation": "fits",
                    ]),
                .init("gen_ai.evaluation.result", timeUnixNano: 13, attributes: ["gen_ai.evaluation.score.value": 1]),
            ]
        }
        let row = try #require(rows.first)
        #expect(rows.count == 1)
        #expect((row.name, row.score, row.label, row.explanation) == ("Relevance", 0.75, "good", "fits"))
        #expect((row.traceID, row.spanID) == (TraceID(high: 1, low: 2), SpanID(3)))
        #expect((row.source, row.timeUnixNano) == (.event, 12))
    }

    @Test func readsAnnotationsOfTheSpanItsTraceAndItsSession() {
        let rows = rows { span in
            span.attributes = [
                "annotations.0.annotation.name": "tone", "annotations.0.annotation.score": 1,
                "annotations.0.annotation.annotator_kind": "HUMAN", "evaluations.1.evaluation.name": "safe",
                "evaluations.1.evaluation.label": "yes", "trace.annotations.0.annotation.name": "whole",
                "trace.annotations.0.annotation.score": "0.5", "session.annotations.0.annotation.name": "talk",
                "session.annotations.0.annotation.explanation": "long", "annotations.x.annotation.name": "no",
                "annotations.7.annotation.name": "nothing said",
            ]
        }
        #expect(rows.map(\.name) == ["tone", "safe", "whole", "talk"])
        #expect(rows.map(\.spanID) == [SpanID(3), SpanID(3), nil, nil])
        #expect(rows.map { $0.traceID != nil } == [true, true, true, false])
        #expect(rows.map(\.sessionID) == [nil, nil, nil, "session-1"])
        #expect(rows[2].score == 0.5)
    }

    @Test func aCarrierSpanAnnotatesTheOneThatItLinksTo() {
        let target = SpanDescription.Link(traceID: TraceID(high: 7, low: 8), spanID: SpanID(9))
        let attributes: AttributeList = ["annotations.0.annotation.name": "tone", "annotations.0.annotation.score": 1]
        let one = rows { span in
            span.attributes = attributes
            span.links = [target]
        }
        #expect(one.first?.traceID == TraceID(high: 7, low: 8) && one.first?.spanID == SpanID(9))
        let two = rows { span in
            span.attributes = attributes
            span.links = [target, target]
        }
        #expect(two.first?.spanID == SpanID(3))
    }

    @Test func spansWithoutEvalsGiveNothing() {
        #expect(rows { $0.attributes = ["annotationsx": 1, "trace.id": "t", "evaluations": "many"] }.isEmpty)
        #expect(rows { $0.events = [.init("other", timeUnixNano: 1)] }.isEmpty)
    }

    @Test func aSpanGivesABoundedNumber() {
        let rows = rows { span in
            for index in 0..<200 {
                span.attributes.append("annotations.\(index).annotation.name", .string("n\(index)"))
                span.attributes.append("annotations.\(index).annotation.score", 1)
            }
        }
        #expect(rows.count == SpanEvalExtractor.Limits.evalsPerSpanMax)
    }
}
