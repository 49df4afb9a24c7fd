import TelemetryModel
import Testing

@testable import Evals

/// What is exported is imported again as it was.
@Suite struct EvalFormTests {
    private func lines(_ rows: [EvalRow]) -> EvalFile {
        EvalFile(Array(rows.map { EvalForm.json($0).line + "\n" }.joined().utf8), reader: EvalReader())
    }

    private func table(_ rows: [EvalRow]) -> EvalFile {
        EvalFile(Array(([EvalForm.header] + rows.map(EvalForm.line)).map { $0 + "\r\n" }.joined().utf8), reader: EvalReader())
    }

    /// Texts that the forms of other tools would trim, take apart or take for something else.
    private static let texts = [
        "plain", " with blanks ", "a,b", "say \"no\"", "two\nlines\r\n", "\"", "{\"score\":1}", "[1,2]", "0.50", "true", "NaN",
        "é\u{202E}\u{0}\t", "=1+1", "null",
        "-", "'", "e-17", "\u{FEFF}x", "\"\u{301}",
    ]

    private static func rows(seed: UInt64) -> [EvalRow] {
        var state = seed
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        func text() -> String? { next(3) == 0 ? nil : texts[next(texts.count)] }
        return (0..<40).map { number in
            var row = EvalRow(name: texts[next(texts.count)])
            row.evalID = text()
            row.runID = text()
            row.exampleID = text() ?? "\(number)"
            row.score = next(4) == 0 ? nil : [0, 1, -0.5, 0.1 + 0.2, 1e-300, 1e22, 9_007_199_254_740_992][next(7)]
            row.label = text() ?? (row.score == nil ? "pass" : nil)
            row.explanation = text()
            row.annotator = text()
            row.annotatorKind = ["HUMAN", "LLM", "CODE", "robot", nil][next(5)]
            row.traceID = next(2) == 0 ? nil : TraceID(high: UInt64(next(1000)) + 1, low: UInt64(number))
            row.spanID = next(2) == 0 ? nil : SpanID(UInt64(number + 1))
            row.sessionID = text()
            row.responseID = text()
            row.error = text()
            row.dataset = text()
            row.gitRevision = text()
            row.metadata =
                [nil, #"{"dataset":"qa","n":1}"#, #"{"a":[1,{"b":"c"}]}"#, #"{"cut":"…"#, #"{"long":12345678901234567890.10}"#][
                    next(5)]
            row.timeUnixNano = [nil, 1_795_240_800_123_456_789, 0, 1, .max, .min, -1_000_000_001][next(7)]
            row.source = EvalRow.Source.allCases[next(3)]
            return row
        }
    }

    @Test(arguments: 1...50)
    func anExportIsImportedAsTheSameRows(seed: Int) {
        let rows = Self.rows(seed: UInt64(seed))
        for file in [lines(rows), table(rows)] {
            #expect(file.problems.map(\.text) == [])
            #expect(file.rows.count == rows.count)
            for (found, row) in zip(file.rows, rows) { #expect(found == row) }
        }
    }

    @Test func anExportWithoutRowsIsNoError() {
        #expect(table([]).problemCount == 0 && table([]).rows.isEmpty)
    }

    @Test func whatIsWrongInAnExportIsTold() {
        var row = EvalRow(name: "quality")
        row.evalID = "e"
        row.score = 1
        let line = EvalForm.json(row).line
        func refusal(_ text: String) -> String? { EvalFile(Array(text.utf8), reader: EvalReader()).problems.first?.text }
        #expect(refusal(line.replacing("\"score\":1", with: "\"score\":\"many\"")) == "line 1: its score 'many' is none")
        #expect(refusal(line.replacing("\"trace_id\":null", with: "\"trace_id\":\"7\"")) == "line 1: its trace id '7' is none")
        #expect(
            refusal(line.replacing("\"eval_id\":\"e\"", with: "\"eval_id\":null"))?.contains("does not say what it is about")
                == true)
        #expect(
            refusal(line.replacing("\"label\":null", with: "\"label\":true"))
                == "line 1: its label is neither a text nor a number")
    }

    @Test func anObjectWithOtherMembersIsReadAsEver() {
        let rows = EvalFile(Array(#"{"eval_id":"e","name":"n","label":" good "}"#.utf8), reader: EvalReader()).rows
        #expect(rows.first?.label == "good")
    }
}
