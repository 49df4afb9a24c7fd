import SQLite
import TelemetryModel

/// Runs of experiments, and two of them case by case: what got worse first. docs/evals.md has the rules.
package struct EvalRunReport {
    package struct Settings: Sendable {
        /// Only evals of this name.
        package var name: String?
        /// Names of evals of which a lower score is the better one.
        package var lowerIsBetter: Set<String> = []
        /// Cases that are listed; all are counted.
        package var casesMax = 50
        /// Cases that may have got worse before the verdict is "failed"; without it there is none but for a lack of data.
        package var worseMax: Int?

        package init() {}
    }

    /// Evals of one run that are compared.
    package static let evalsMax = 500_000
    private static let runsMax = 1000

    private let reader: ReportReader

    package init(_ reader: ReportReader) {
        self.reader = reader
    }

    // MARK: Runs

    /// Runs with their evals by name, the newest first.
    package func runs(_ window: ReportWindow, dataset: String?) throws(ReportReader.Failure) -> ReportDocument {
        var document = ReportDocument(name: "eval runs", window: window)
        var section = ReportSection(
            key: "runs", title: "Runs of evals, the newest first",
            columns: [
                "run_id", "dataset", "git_revision", "name", "cases", "evals", "mean_score", "failed", "errors", "first", "last",
            ])
        let time = "coalesce(created_unix_nano, updated_unix_nano)"
        let sql = """
            SELECT run_id, max(dataset), max(git_revision), name, count(DISTINCT \(Self.item)), count(*), avg(score), sum(\(EvalReport.hasFailed)),
                count(error), min(\(time)), max(\(time)), max(max(\(time))) OVER (PARTITION BY run_id) AS latest
            FROM main.evaluation AS evaluation
            WHERE run_id IS NOT NULL AND \(time) >= \(window.fromUnixNano) AND \(time) < \(window.untilUnixNano)
                \(dataset.map { "AND dataset = \(EvalReport.quoted($0))" } ?? "")
            GROUP BY run_id, name ORDER BY latest DESC, run_id, name LIMIT \(Self.runsMax + 1)
            """
        section.rows = try reader.rows(sql) { row in
            [
                .text(row.text(0) ?? ""), .optional(row.text(1)), .optional(row.text(2)), .text(row.text(3) ?? ""),
                .count(row.integer(4)),
                .count(row.integer(5)), EvalReport.score(row, 6), .count(row.integer(7)), .count(row.integer(8)),
                .text(TimeText.iso8601(unixNano: row.integer(9))), .text(TimeText.iso8601(unixNano: row.integer(10))),
            ]
        }
        if section.rows.count > Self.runsMax {
            section.rows.removeLast()
            section.notes.append("there are more; a window or a data set shows them")
        }
        section.queries = [ReportQuery("runs with their evals by name", sql)]
        document.sections = [section]
        return document
    }

    /// What a row is a judgement of, whatever the run.
    private static let item = "coalesce(eval_id, example_id, session_id, trace_id || coalesce(span_id, ''))"

    // MARK: Two runs

    package func compare(
        _ first: String, _ second: String, _ settings: Settings, _ window: ReportWindow
    ) throws(ReportReader.Failure) -> ReportDocument {
        var document = ReportDocument(name: "eval compare", window: window)
        document.summary = "A is \(first), B is \(second)"
        let sides = [try read(first, settings, window), try read(second, settings, window)]
        let pairing = EvalPairing(sides[0].rows, sides[1].rows, lowerIsBetter: settings.lowerIsBetter)
        let queries = zip(["A", "B"], sides).map { ReportQuery("evals of run \($0)", $1.sql) }
        document.sections = [names(pairing, queries), cases(pairing, settings)]
        if sides.contains(where: \.isCut) {
            document.sections[0].notes.append("of a run only the first \(Self.evalsMax) evals are compared")
        }
        let worse = pairing.cases.count { $0.change.isWorse }
        if pairing.cases.isEmpty {
            document.verdict = .insufficient
        } else if let limit = settings.worseMax {
            document.verdict = worse > limit ? .failed : .passed
        }
        return document
    }

    private func read(
        _ run: String, _ settings: Settings, _ window: ReportWindow
    ) throws(ReportReader.Failure) -> (rows: [EvalPairing.Row], sql: String, isCut: Bool) {
        // Spans of both runs may carry the same eval id; then it does not say which trace was judged.
        let sql = """
            SELECT evaluation.eval_id, coalesce(evaluation.example_id, evaluation.session_id), evaluation.name, evaluation.score, evaluation.label,
                evaluation.explanation, \(EvalReport.hasFailed), evaluation.error,
                coalesce(evaluation.trace_id, CASE WHEN span_evals.is_ambiguous = 0 THEN span_evals.trace_id END),
                CASE WHEN span_evals.is_ambiguous = 0 OR evaluation.trace_id IS NOT NULL THEN span_evals.span_id END,
                CASE WHEN span_evals.is_ambiguous = 0 OR evaluation.trace_id IS NOT NULL THEN span_evals.duration_ns END
            FROM main.evaluation LEFT JOIN span_evals ON span_evals.evaluation_id = evaluation.id
            WHERE evaluation.run_id = \(EvalReport.quoted(run))
                \(settings.name.map { "AND evaluation.name = \(EvalReport.quoted($0))" } ?? "")
            ORDER BY evaluation.id LIMIT \(Self.evalsMax + 1)
            """
        let rows = try reader.rows(sql) { row in
            EvalPairing.Row(
                evalID: row.text(0), exampleID: row.text(1), name: row.text(2) ?? "", score: row.isNull(3) ? nil : row.double(3),
                label: row.text(4),
                explanation: row.text(5), hasFailed: row.integer(6) == 1, error: row.text(7), traceID: row.text(8),
                spanID: row.text(9),
                durationNanoseconds: row.isNull(10) ? nil : row.integer(10))
        }
        return (Array(rows.prefix(Self.evalsMax)), sql, rows.count > Self.evalsMax)
    }

    private func names(_ pairing: EvalPairing, _ queries: [ReportQuery]) -> ReportSection {
        var section = ReportSection(
            key: "names", title: "Evals by name",
            columns: [
                "name", "cases", "worse", "better", "same", "only_a", "only_b", "mean_a", "mean_b", "mean_b_minus_a", "failed_a",
                "failed_b",
            ])
        for summary in pairing.summaries {
            section.rows.append([
                .text(summary.name), .count(Int64(summary.cases)), .count(Int64(summary.worse)), .count(Int64(summary.better)),
                .count(Int64(summary.same)), .count(Int64(summary.onlyFirst)), .count(Int64(summary.onlySecond)),
                Self.score(summary.meanFirst), Self.score(summary.meanSecond), Self.score(summary.meanDifference),
                .count(Int64(summary.failedFirst)), .count(Int64(summary.failedSecond)),
            ])
        }
        section.notes = ["means are over the cases that both runs have a score of"]
        section.queries = queries
        return section
    }

    private func cases(_ pairing: EvalPairing, _ settings: Settings) -> ReportSection {
        var section = ReportSection(
            key: "cases", title: "Case by case, what got worse first",
            columns: [
                "case", "name", "change", "score_a", "score_b", "label_a", "label_b", "ms_a", "ms_b", "trace_a", "trace_b",
                "span_a", "span_b",
                "explanation_a", "explanation_b",
            ])
        for one in pairing.cases.prefix(settings.casesMax) {
            section.rows.append([
                .text(one.item), .text(one.name), .text(one.change.rawValue), Self.score(one.first.score),
                Self.score(one.second.score),
                .optional(one.first.label), .optional(one.second.label), .optional(milliseconds: one.first.durationNanoseconds),
                .optional(milliseconds: one.second.durationNanoseconds), .optional(one.first.traceID),
                .optional(one.second.traceID),
                .optional(one.first.spanID), .optional(one.second.spanID), .optional(one.first.explanation ?? one.first.error),
                .optional(one.second.explanation ?? one.second.error),
            ])
        }
        let more = pairing.cases.count - section.rows.count
        if more > 0 { section.notes.append("and \(more) more") }
        return section
    }

    private static func score(_ value: Double?) -> ReportValue { value.map { .number($0, digits: 4) } ?? .none }
}
