import Evals
import Foundation
import Ingest
import OTLP
import SpanStore
import TelemetryModel
import Testing

@testable import Reports

/// Evals beside spans: real exports, truth counted by the agent itself.
@Suite struct EvalJoinTests {
    private static let fixtures = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures")

    private static func requests(_ name: String) throws -> [SpanBatch] {
        let folder = fixtures.appendingPathComponent("otlp/\(name)")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        return try files.filter { $0.hasSuffix(".bin") }.compactMap { file in
            let headers = try String(contentsOf: folder.appendingPathComponent(file.replacing(".bin", with: ".json-headers")), encoding: .utf8)
            guard headers.contains(#""signal": "traces""#) else { return nil }
            return try TraceDecoder().decode([UInt8](try Data(contentsOf: folder.appendingPathComponent(file))))
        }
    }

    private static func evals(_ path: String) throws -> EvalFile {
        EvalFile([UInt8](try Data(contentsOf: fixtures.appendingPathComponent(path))), reader: EvalReader())
    }

    private func importing(_ rows: [EvalRow], into fixture: ReportFixture) throws {
        var annex = AnnexRows()
        annex.evals = rows
        try fixture.write(annex)
    }

    @Test(arguments: ["handmade", "handmade-logical", "handmade-retries"])
    func countsAndMeansEqualTheAgentsOwn(name: String) async throws {
        let truth = try JSONValue.parse([UInt8](try Data(contentsOf: Self.fixtures.appendingPathComponent("truth/\(name)/truth.json")))[...])
        let fixture = ReportFixture(now: 1_795_300_000_000_000_000)
        let file = try Self.evals("truth/\(name)/evals.jsonl")
        #expect(file.problems.isEmpty)
        // Evals first: they join when their spans arrive. Twice: nothing changes.
        try importing(file.rows, into: fixture)
        try importing(file.rows, into: fixture)
        try await fixture.store(try Self.requests(name))
        let evals = try #require(truth["evals"])
        #expect(try fixture.number("SELECT count(*) FROM evals") == evals["lines"]?.number)
        for evaluator in ["faithfulness", "answer_relevance"] {
            let expected = try #require(evals["by_evaluator"]?[evaluator])
            #expect(try fixture.number("SELECT count(*) FROM evals WHERE name = '\(evaluator)'") == expected["count"]?.number)
            let mean = try fixture.number("SELECT avg(score) FROM evals WHERE name = '\(evaluator)'")
            #expect(abs(mean - (expected["mean"]?.number ?? 0)) < 1e-6)
        }
        #expect(try fixture.number("SELECT count(*) FROM evals WHERE label = 'pass'") == evals["labels"]?["pass"]?.number)
        #expect(try fixture.number("SELECT count(DISTINCT eval_id) FROM span_evals") == evals["eval_ids_evaluated"]?.number)
        let without = "SELECT count(DISTINCT eval_id) FROM evals WHERE eval_id NOT IN (SELECT eval_id FROM span_evals)"
        #expect(try fixture.number(without) == evals["eval_ids_without_span"]?.number)
        guard case .object(let traces)? = truth["eval_id_to_trace"] else { return }
        let joined = Dictionary(try fixture.rows("SELECT eval_id, trace_id FROM span_evals").map { ($0[0], $0[1]) }, uniquingKeysWith: { a, _ in a })
        for (evalID, trace) in joined { #expect(traces.first { $0.name == evalID }?.value.text == trace) }
        #expect(try fixture.number("SELECT count(*) FROM span_evals WHERE span_name NOT LIKE 'workflow %'") == 0)
    }

    private func row(_ name: String, _ change: (inout EvalRow) -> Void) -> EvalRow {
        var row = EvalRow(name: name)
        row.score = 1
        change(&row)
        return row
    }

    @Test func anEvalJoinsTheSpanNamedElseTheTopmostCarrierElseTheRoot() async throws {
        let fixture = ReportFixture()
        let spans = [
            Spans.span(1, 1, "root", 0, 10), Spans.span(1, 2, "outer", 1, 9, parent: 1, ["eval_id": "e1"]),
            Spans.span(1, 3, "inner", 2, 8, parent: 2, ["eval_id": "e1", "gen_ai.response.id": "r1"]),
            Spans.span(2, 1, "other root", 0, 5, ["eval_id": "twice", "session.id": "s"]),
            Spans.span(3, 1, "third root", 1, 5, ["eval_id": "twice", "session.id": "s"]),
        ]
        try await fixture.store([Spans.batch(spans)])
        let trace = TraceID(high: 1, low: 1)
        try importing(
            [
                row("span") { ($0.traceID, $0.spanID) = (trace, SpanID(3)) }, row("span only") { $0.spanID = SpanID(2) },
                row("carrier") { $0.evalID = "e1" }, row("example") { $0.exampleID = "e1" }, row("trace") { $0.traceID = trace },
                row("trace and id of its own") { ($0.traceID, $0.evalID) = (trace, "score-77") },
                row("response") { $0.responseID = "r1" }, row("session") { $0.sessionID = "s" },
                row("ambiguous") { $0.evalID = "twice" }, row("later") { ($0.traceID, $0.spanID) = (trace, SpanID(99)) },
            ], into: fixture)
        let found = try fixture.rows("SELECT name, span_name, matched_by, is_ambiguous FROM span_evals ORDER BY name")
        #expect(
            found == [
                ["ambiguous", "other root", "eval_id", "1"], ["carrier", "outer", "eval_id", "0"], ["example", "outer", "example_id", "0"],
                ["response", "inner", "response_id", "0"], ["session", "other root", "session_id", "0"], ["span", "inner", "span_id", "0"],
                ["span only", "outer", "span_id", "0"], ["trace", "root", "trace_id", "0"],
                ["trace and id of its own", "root", "trace_id", "0"],
            ])
        let report = EvalReport(try fixture.reader())
        let keys = Set([row("ambiguous") { $0.evalID = "twice" }.key, row("later") { ($0.traceID, $0.spanID) = (trace, SpanID(99)) }.key])
        let joining = try report.joining(of: keys)
        #expect((joining.matched, joining.unmatched, joining.ambiguous) == (1, 1, 1))
        try await fixture.store([Spans.batch([Spans.span(1, 99, "late", 3, 4, parent: 1)])])
        #expect(try fixture.rows("SELECT span_name FROM span_evals WHERE name = 'later'") == [["late"]])
    }

    @Test func evalsSentAsTelemetryAreInTheSameTransactionAsTheirSpans() async throws {
        let fixture = ReportFixture()
        var span = Spans.span(1, 1, "chat", 0, 1)
        span.events = [
            .init(
                "gen_ai.evaluation.result", timeUnixNano: ReportFixture.epoch,
                attributes: ["gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": 0.5])
        ]
        try await fixture.store([Spans.batch([span]), Spans.batch([span])])
        #expect(try fixture.rows("SELECT name, score, matched_by, span_name FROM span_evals") == [["tone", "0.5", "span_id", "chat"]])
    }

    /// Files that the packages themselves wrote: scripts/make-eval-fixtures.py.
    @Test(arguments: ["phoenix.json", "langfuse.json", "mlflow.json", "langsmith.jsonl", "deepeval.json"])
    func realExportsAreImportedAndJoin(name: String) async throws {
        let file = try Self.evals("evals/\(name)")
        #expect(file.problems.isEmpty)
        #expect(file.rows.count >= 2)
        let fixture = ReportFixture(now: 1_795_300_000_000_000_000)
        try await fixture.store(try Self.requests("handmade"))
        try importing(file.rows, into: fixture)
        let joined = try fixture.number("SELECT count(*) FROM span_evals")
        #expect(joined == Double(file.rows.count), "\(name)")
    }
}
