import SQLite
import SegmentFormat
import SpanStore
import StoreSQL
package import TelemetryModel

/// Runs of workflows in a window and how long they took (docs/metrics.md 2.1).
package struct RunReport {
    private let reader: ReportReader

    package init(_ reader: ReportReader) {
        self.reader = reader
    }

    /// Durations of runs, in ascending order, failed ones included.
    package struct Runs: Sendable {
        package var durations: [Int64] = []
        package var failed = 0

        package init() {}

        package func percentile(_ fraction: Double) -> Percentile { Percentile(ofSorted: durations, fraction) }
    }

    /// What makes a span a run.
    static let condition = "is_run = 1"

    /// Runs that one window may have; more would not fit memory.
    static let runsMax = 20_000_000

    /// Columns: duration_ns, failed, workflow_name.
    func sql(_ window: ReportWindow) throws(ReportReader.Failure) -> String {
        """
        SELECT duration_ns, coalesce(status_code = 2, 0) AS failed, workflow_name FROM spans
        WHERE \(Self.condition) AND \(try reader.spansCondition(window))
        """
    }

    /// All runs, by workflow too.
    package func runs(_ window: ReportWindow) throws(ReportReader.Failure) -> (all: Runs, byWorkflow: [ExactText: Runs], ok: Runs) {
        var all = Runs()
        var ok = Runs()
        var byWorkflow: [ExactText: Runs] = [:]
        try reader.pass(window) { segment throws(SQLiteError) in
            let workflow = try segment.texts("workflow_name")
            let isRun = try segment.isRun()
            let duration = try segment.integers("duration_ns")
            let status = try segment.integers("status_code")
            var byNumber = Array(repeating: Runs(), count: workflow.texts.count)
            segment.forEachRow { row in
                let number = workflow.number(row)
                guard isRun(row), number >= 0, let nanoseconds = duration[row],
                    all.durations.count < Self.runsMax
                else { return }
                all.durations.append(nanoseconds)
                byNumber[number].durations.append(nanoseconds)
                if status[row] == 2 {
                    all.failed += 1
                    byNumber[number].failed += 1
                } else {
                    ok.durations.append(nanoseconds)
                }
            }
            for (name, runs) in zip(workflow.texts, byNumber) where !runs.durations.isEmpty {
                byWorkflow[ExactText(name), default: Runs()].durations += runs.durations
                byWorkflow[ExactText(name), default: Runs()].failed += runs.failed
            }
        }
        all.durations.sort()
        ok.durations.sort()
        for key in byWorkflow.keys { byWorkflow[key]?.durations.sort() }
        return (all, byWorkflow, ok)
    }

    /// Latency by workflow, in all, and of the runs that did not fail.
    package func section(_ window: ReportWindow) throws(ReportReader.Failure) -> (section: ReportSection, all: Runs) {
        let (all, byWorkflow, ok) = try runs(window)
        var section = ReportSection(
            key: "latency", title: "Runs, end to end",
            columns: ["workflow", "n", "failed", "p50_ms", "p95_ms", "p95_low_ms", "p95_high_ms", "p99_ms"])
        for (name, runs) in byWorkflow.sorted(by: { $0.key < $1.key }) { section.rows.append(Self.row(name.text, runs)) }
        if byWorkflow.count > 1 { section.rows.append(Self.row("(all)", all)) }
        if all.failed > 0 { section.rows.append(Self.row("(without failed ones)", ok)) }
        let sql = try sql(window)
        section.queries = [
            ReportQuery(
                "runs by workflow",
                """
                SELECT workflow_name, count(*) AS n, sum(failed) AS failed, percentile(duration_ns, 50) / 1e6 AS p50_ms,
                    percentile(duration_ns, 95) / 1e6 AS p95_ms, percentile(duration_ns, 99) / 1e6 AS p99_ms
                FROM (\(sql)) GROUP BY workflow_name ORDER BY workflow_name
                """),
            ReportQuery(
                "all runs",
                """
                SELECT count(*) AS n, sum(failed) AS failed, percentile(duration_ns, 50) / 1e6 AS p50_ms,
                    percentile(duration_ns, 95) / 1e6 AS p95_ms, percentile(duration_ns, 99) / 1e6 AS p99_ms
                FROM (\(sql))
                """),
        ]
        if let ranks = OrderStatistics.interval(all.durations.count, 0.95) {
            section.queries.append(
                ReportQuery(
                    "the interval of the p95 of all runs: the values at ranks \(ranks.lower) and \(ranks.upper) of \(all.durations.count)",
                    """
                    SELECT place, duration_ns / 1e6 AS ms FROM (
                        SELECT duration_ns, row_number() OVER (ORDER BY duration_ns) AS place FROM (\(sql)))
                    WHERE place IN (\(ranks.lower), \(ranks.upper))
                    """))
        } else if !all.durations.isEmpty {
            section.notes.append("an interval of the p95 needs 72 runs; there are \(all.durations.count)")
        }
        return (section, all)
    }

    private static func row(_ name: String, _ runs: Runs) -> [ReportValue] {
        let p95 = runs.percentile(0.95)
        return [
            .text(name), .count(Int64(runs.durations.count)), .count(Int64(runs.failed)),
            .optional(milliseconds: runs.percentile(0.5).value), .optional(milliseconds: p95.value),
            .optional(milliseconds: p95.lower), .optional(milliseconds: p95.upper),
            .optional(milliseconds: runs.percentile(0.99).value),
        ]
    }
}
