import SpanStore
import TelemetryModel
import Testing

@testable import Reports

/// Two runs of evals, case by case.
@Suite struct EvalRunTests {
    private func row(
        _ id: String?, _ score: Double?, _ label: String? = nil, example: String? = nil, name: String = "quality",
        error: String? = nil
    ) -> EvalPairing.Row {
        EvalPairing.Row(
            evalID: id, exampleID: example, name: name, score: score, label: label, hasFailed: label == "fail", error: error)
    }

    private func told(_ before: [EvalPairing.Row], _ after: [EvalPairing.Row], lower: Set<String> = []) -> [String] {
        EvalPairing(before, after, lowerIsBetter: lower).cases.map { "\($0.item) \($0.name) \($0.change.rawValue)" }
    }

    @Test func whatBrokeComesFirstThenTheLargestLoss() {
        let before = [row("a", 0.9), row("b", 0.9), row("c", 0.5, "pass"), row("d", 0.2), row("e", 0.4, "fail"), row("f", 0.5)]
        let after = [
            row("a", 0.8), row("b", 0.1), row("c", 0.45, "fail"), row("d", 0.2 + 1e-12), row("e", 0.9, "pass"), row("f", 0.6),
        ]
        #expect(
            told(before, after) == [
                "c quality broke", "b quality worse", "a quality worse", "e quality mended", "f quality better", "d quality same",
            ])
    }

    @Test func aCaseIsFoundByItsEvalIDElseByItsExample() {
        let before = [row("a", 1, example: "x"), row("b", 1, example: "y"), row(nil, 1, example: "z"), row("gone", 1)]
        let after = [row("a", 0, example: "other"), row("new", 1, example: "y"), row(nil, 0, example: "z"), row("fresh", 1)]
        #expect(told(before, after) == ["a quality worse", "z quality worse", "b quality same"])
        let summary = EvalPairing(before, after, lowerIsBetter: []).summaries
        #expect(summary.map { [$0.cases, $0.worse, $0.better, $0.same, $0.onlyFirst, $0.onlySecond] } == [[3, 2, 0, 1, 1, 1]])
        #expect(summary.first?.meanDifference.map { abs($0 + 2.0 / 3) < 1e-12 } == true)
    }

    @Test func ofSomeNamesLowerIsBetter() {
        let before = [row("a", 0.2, name: "toxicity"), row("a", 0.2)]
        let after = [row("a", 0.1, name: "toxicity"), row("a", 0.1)]
        #expect(told(before, after, lower: ["toxicity"]) == ["a quality worse", "a toxicity better"])
    }

    @Test func severalJudgesOfACaseAreOne() {
        let pairing = EvalPairing([row("a", 0.5), row("a", 1)], [row("a", 0.75), row("a", 0.75)], lowerIsBetter: [])
        #expect(pairing.cases.map(\.change) == [.same] && pairing.cases.first?.first.score == 0.75)
        #expect(
            told([row("a", 1, "pass"), row("a", 1, "pass")], [row("a", 1, "pass"), row("a", 1, "fail")]) == ["a quality broke"])
    }

    @Test func aCaseThatEndsInAnErrorBroke() {
        #expect(told([row("a", 1)], [row("a", nil, error: "timed out")]) == ["a quality broke"])
        #expect(told([row("a", nil, error: "timed out")], [row("a", 0)]) == ["a quality mended"])
    }

    @Test func runsAreListedAndComparedFromTheStore() async throws {
        let fixture = ReportFixture()
        try await fixture.store([
            Spans.batch([
                Spans.span(1, 1, "root", 0, 2, ["eval_id": "e1"]), Spans.span(2, 1, "root", 5, 8, ["eval_id": "both"]),
                Spans.span(3, 1, "root", 6, 9, ["eval_id": "both"]),
            ])
        ])
        var annex = AnnexRows()
        for (run, scores) in [("one", [0.9, 0.8]), ("two", [0.4, 0.85])] {
            for (id, score) in zip(["e1", "both"], scores) {
                var row = EvalRow(name: "faithfulness")
                (row.evalID, row.runID, row.dataset, row.score, row.label) = (id, run, "qa", score, score < 0.5 ? "fail" : "pass")
                row.timeUnixNano = ReportFixture.epoch + (run == "one" ? 0 : 1_000_000_000)
                annex.evals.append(row)
            }
        }
        try fixture.write(annex)
        let report = EvalRunReport(try fixture.reader())
        let window = ReportWindow(fromUnixNano: 0, untilUnixNano: .max)
        let runs = try report.runs(window, dataset: "qa").sections[0].rows
        #expect(runs.map { $0[0].text } == ["two", "one"] && runs.map { $0[6].text } == ["0.625", "0.85"])
        #expect(try report.runs(window, dataset: "o'ther").sections[0].rows.isEmpty)
        var settings = EvalRunReport.Settings()
        settings.worseMax = 0
        let document = try report.compare("one", "two", settings, window)
        #expect(document.verdict == .failed)
        let cases = document.sections[1].rows
        #expect(cases.map { $0[0].text } == ["e1", "both"] && cases.map { $0[2].text } == ["broke", "better"])
        // Two traces carry the second id, so it does not say which was judged.
        #expect(cases.map { $0[9] != .none } == [true, false] && cases[0][7] == .milliseconds(2_000_000_000))
        #expect(try report.compare("one", "gone", settings, window).verdict == .insufficient)
        settings.worseMax = 1
        #expect(try report.compare("one", "two", settings, window).verdict == .passed)
    }
}
