import TelemetryModel
import Testing

@testable import Evals

/// Eval files in the forms of the field.
@Suite struct EvalFileTests {
    private func file(_ text: String, scoreColumns: [String] = []) -> EvalFile {
        EvalFile(Array(text.utf8), reader: EvalReader(scoreColumns: scoreColumns))
    }

    private let trace = "80f198ee56343ba864fe8b2a57d3eff7"
    private let span = "e457b5a2e4d86bd1"

    @Test func readsItsOwnForm() throws {
        let rows = file(
            """
            {"eval_id":"e-17","run_id":"nightly-42","example_id":"q-0031","name":"faithfulness","score":0.42,"label":"fail",\
            "explanation":"no source","annotator_kind":"LLM","trace_id":"\(trace)","span_id":"\(span)","session_id":null,\
            "timestamp":"2026-11-21T06:00:00Z","metadata":{"dataset":"qa","git_revision":"abc"}}
            """
        ).rows
        let row = try #require(rows.first)
        #expect(rows.count == 1)
        #expect((row.evalID, row.runID, row.exampleID) == ("e-17", "nightly-42", "q-0031"))
        #expect((row.name, row.label, row.explanation, row.annotator) == ("faithfulness", "fail", "no source", "LLM"))
        #expect(row.score == 0.42)
        #expect((row.traceID?.hexadecimal, row.spanID?.hexadecimal) == (trace, span))
        #expect(row.timeUnixNano == 1_795_240_800_000_000_000)
        #expect((row.dataset, row.gitRevision) == ("qa", "abc"))
        #expect(row.metadata == #"{"dataset":"qa","git_revision":"abc"}"#)
    }

    @Test func readsDeepEvalsLatestTestRun() {
        let found = file(
            #"{"testRunData": {"testCases": [{"name": "case_0", "id": "e-1", "input": "q", "metricsData": [{"name": "Answer Relevancy", "score": 0.9, "success": true, "reason": "fits"}]}]}}"#)
        #expect(found.rows.map(\.name) == ["Answer Relevancy"] && found.rows.first?.score == 0.9)
    }

    @Test func readsPhoenixSpansWithTheirEvals() {
        let rows = file(
            """
            context.span_id,name,eval.Hallucination.score,eval.Hallucination.label,eval.QA.score
            \(span),llm,0.25,factual,1
            """
        ).rows
        #expect(rows.map(\.name) == ["Hallucination", "QA"] && rows.map(\.score) == [0.25, 1] && rows.first?.label == "factual")
    }

    @Test func readsMetricsWithSettingsAndNewerNamesOfRagas() {
        let rows = file(
            """
            trace_id,llm_context_precision_with_reference,factual_correctness(mode=f1)
            \(trace),0.5,0.75
            """
        ).rows
        #expect(rows.map(\.score) == [0.5, 0.75])
        #expect(rows.last?.name == "factual_correctness(mode=f1)")
    }

    @Test func aCategoryIsALabelAndNoNumber() {
        let rows = file(#"{"name":"tone","traceId":"\#(trace)","value":0,"stringValue":"friendly","dataType":"CATEGORICAL"}"#).rows
        #expect(rows.first?.label == "friendly" && rows.first?.score == nil)
    }

    @Test func aNameMayBeGivenForRowsWithoutOne() {
        let text = "context.span_id,label,score\n\(span),relevant,1\n"
        #expect(file(text).rows.isEmpty)
        #expect(EvalFile(Array(text.utf8), reader: EvalReader(name: "relevance")).rows.map(\.name) == ["relevance"])
    }

    @Test func reportsBadLinesWithTheirNumberAndKeepsTheOthers() {
        let found = file(
            """
            \u{FEFF}{"eval_id":"a","evaluator":"f","score":1}\r

            {"eval_id":"b","evaluator":"f","score":
            {"evaluator":"f","score":1}
            {"eval_id":"c","score":1}
            {"eval_id":"d","evaluator":"f"}
            {"eval_id":"e","evaluator":"f","score":NaN,"label":"none"}
            {"eval_id":"f","evaluator":"f","score":0.5,"trace_id":"xyz"}
            [1,2]
            """)
        #expect(found.rows.map(\.evalID) == ["a", "e"])
        #expect(found.rows.last?.score == nil)
        #expect(found.problems.map(\.line) == [3, 4, 5, 6, 8, 9])
        #expect(found.recordCount == 8)
        #expect(found.problems.map(\.text)[1].hasPrefix("line 4: it does not say what it is about"))
    }

    @Test func readsCSVWithQuotesAndBlankCells() {
        let found = file(
            "trace_id,name,score,label,comment\r\n\(trace),tone,0.5,,\"two\nlines, \"\"quoted\"\"\"\r\n\(trace),tone,,ok,\r\n\n\(trace),x\r\n")
        #expect(found.rows.map(\.name) == ["tone", "tone"])
        #expect(found.rows[0].explanation == "two\nlines, \"quoted\"")
        #expect(found.rows[1].score == nil && found.rows[1].label == "ok")
        #expect(found.problems.map(\.line) == [6])
    }

    @Test func takesWideRowsApart() {
        let rows = file(
            #"{"trace_id":"\#(trace)","tone_score":0.5,"safe_score":{"score":1,"label":"safe","explanation":"why"},"x":3,"mine":2}"#,
            scoreColumns: ["mine"]
        ).rows
        #expect(rows.map(\.name) == ["tone", "safe", "mine"])
        #expect(rows.map(\.score) == [0.5, 1, 2])
        #expect(rows[1].label == "safe" && rows[1].explanation == "why")
        let ragas = file(#"[{"user_input":"q","faithfulness":0.9,"answer_relevancy":null,"context_recall":1,"trace_id":"\#(trace)"}]"#).rows
        #expect(ragas.map(\.name) == ["faithfulness", "context_recall"])
    }

    @Test func readsPhoenixAnnotations() {
        let rows = file(
            """
            {"data":[{"id":"QW5ub3Q=","name":"correctness","annotator_kind":"LLM","span_id":"\(span)","identifier":"gpt",
            "result":{"label":"correct","score":1,"explanation":"fits"},"created_at":"2026-11-20T10:00:00+00:00","metadata":{}}],
            "next_cursor":null}
            """
        ).rows
        #expect(rows.count == 1)
        #expect(rows.first?.spanID?.hexadecimal == span)
        #expect((rows.first?.score, rows.first?.label, rows.first?.annotator) == (1, "correct", "gpt"))
    }

    @Test func readsLangfuseScores() {
        let rows = file(
            """
            {"data":[{"id":"s1","traceId":"\(trace)","observationId":"\(span)","name":"helpful","value":0.8,"dataType":"NUMERIC",
            "comment":"fine","source":"EVAL"},
            {"id":"s2","traceId":"\(trace)","name":"tone","value":1,"stringValue":"polite","dataType":"CATEGORICAL","source":"ANNOTATION"}],
            "meta":{"page":1}}
            """
        ).rows
        #expect(rows.map(\.name) == ["helpful", "tone"])
        #expect(rows.map(\.label) == [nil, "polite"])
        #expect(rows.map(\.annotatorKind) == ["CODE", "HUMAN"])
        #expect(rows.map { $0.spanID?.hexadecimal } == [span, nil])
    }

    @Test func readsLangSmithFeedbackAsTheSpanOfItsRun() {
        let run = "0192f0aa-1111-7abc-8def-0123456789ab"
        let rows = file(#"{"id":"f1","run_id":"\#(run)","trace_id":"\#(run)","key":"correct","score":true,"comment":"ok","session_id":"p1"}"#).rows
        #expect(rows.first?.spanID?.hexadecimal == "0192f0aa11117abc")
        #expect(rows.first?.traceID?.hexadecimal == "0192f0aa11117abc8def0123456789ab")
        #expect((rows.first?.runID, rows.first?.sessionID) == ("p1", nil))
        #expect((rows.first?.score, rows.first?.label) == (1, "true"))
    }

    @Test func readsDeepEvalResultsAndMLflowTraces() {
        let deep = file(
            """
            {"testCases":[{"name":"case_1","input":"q","success":false,"metricsData":[
            {"name":"Answer Relevancy","score":0.4,"success":false,"reason":"off topic","evaluationModel":"gpt-4o"},
            {"name":"Bias","score":0.0,"success":true}]}],"hyperparameters":{}}
            """
        ).rows
        #expect(deep.map(\.name) == ["Answer Relevancy", "Bias"])
        #expect(deep.map(\.exampleID) == ["case_1", "case_1"])
        #expect(deep.map(\.label) == ["fail", "pass"])
        #expect(deep.first?.annotator == "gpt-4o")
        let flow = file(
            """
            [{"info":{"trace_id":"tr-\(trace)","assessments":[{"assessment_id":"a-1","assessment_name":"relevance",
            "source":{"source_type":"LLM_JUDGE","source_id":"judge"},"feedback":{"value":"yes"},"rationale":"because",
            "create_time":"2026-11-20T10:00:00Z"}]},"data":{"spans":[]}}]
            """
        ).rows
        #expect(flow.map(\.name) == ["relevance"])
        #expect(flow.first?.traceID?.hexadecimal == trace)
        #expect((flow.first?.label, flow.first?.explanation, flow.first?.annotator, flow.first?.annotatorKind) == ("yes", "because", "judge", "LLM"))
    }

    @Test func aRowIsItsIDOrTargetItsNameAndItsAnnotator() {
        var row = EvalRow(name: "f")
        row.evalID = "e"
        var other = row
        other.annotator = "human"
        #expect(row.key != other.key)
        other = row
        other.score = 1
        #expect(row.key == other.key)
    }

    @Test(arguments: ["", "{", "[", "\"", "{\"a\":", "a,b\n\"", "\u{0}", "[[[[[[[[[[", "{}\n{}", "nonsense"])
    func brokenFilesGiveProblemsAndNoTrap(text: String) {
        #expect(file(text).rows.isEmpty)
    }

    @Test func timesAreToldByTheirSize() {
        for (value, nanoseconds) in [
            (JSONValue.integer(1_700_000_000), Int64(1_700_000_000_000_000_000)), (.integer(1_700_000_000_123), 1_700_000_000_123_000_000),
            (.integer(1_700_000_000_123_456), 1_700_000_000_123_456_000), (.integer(1_700_000_000_123_456_789), 1_700_000_000_123_456_789),
            (.string("2026-01-01"), 1_767_225_600_000_000_000), (.string("2026-01-01T01:00:00.5+01:00"), 1_767_225_600_500_000_000),
        ] {
            #expect(EvalTime.unixNano(value) == nanoseconds)
        }
        #expect(EvalTime.unixNano(.string("yesterday")) == nil)
    }
}
