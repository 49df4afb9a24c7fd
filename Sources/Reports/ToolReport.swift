import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// Attempts, breakers, models and stalls of a window, as sections.
package struct ToolReport {
    private let reader: ReportReader

    package init(_ reader: ReportReader) {
        self.reader = reader
    }

    /// Counts that gates judge.
    package struct Counts: Equatable, Sendable {
        package var calls: Int64 = 0
        package var timeouts: Int64 = 0
        package var opens: Int64 = 0
        package var stalls: Int64 = 0

        package init() {}
    }

    /// Attempts by tool and outcome, over columns: SQL's GROUP BY would sort all rows.
    func tools(_ window: ReportWindow, _ counts: inout Counts) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "tools", title: "Tools",
            columns: ["service", "tool", "stage", "calls", "ok", "error", "timeout", "rejected", "p50_ms", "p95_ms"])
        let condition = "outcome IS NOT NULL AND \(try reader.spansCondition(window))"
        var attempts = ToolAttempts()
        try reader.pass(window) { segment throws(SQLiteError) in try attempts.add(segment) }
        for (tool, figures) in attempts.figures.sorted(by: { $0.key < $1.key }) {
            counts.calls += figures.calls
            counts.timeouts += figures.counts["timeout"] ?? 0
            let durations = figures.durations.sorted()
            var row: [ReportValue] = [tool.service, tool.name, tool.stage].map { .text($0?.text ?? "") }
            row.append(.count(figures.calls))
            for outcome in ["ok", "error", "timeout", "rejected"] { row.append(.count(figures.counts[outcome] ?? 0)) }
            for fraction in [0.5, 0.95] {
                row.append(.optional(milliseconds: OrderStatistics.nearestRank(durations, fraction)))
            }
            section.rows.append(row)
        }
        section.queries = [
            ReportQuery(
                "attempts by tool",
                """
                SELECT service_name, coalesce(tool_name, stage) AS tool, stage, count(*) AS calls, sum(outcome = 'ok') AS ok,
                    sum(outcome = 'error') AS error, sum(outcome = 'timeout') AS timeout, sum(outcome = 'rejected') AS rejected,
                    percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 50) / 1e6 AS p50_ms,
                    percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 95) / 1e6 AS p95_ms
                FROM spans WHERE \(condition)
                GROUP BY service_name, coalesce(tool_name, stage), stage ORDER BY 1, 2, 3
                """)
        ]
        return section
    }

    /// Timed-out attempts by the rule that says so.
    func timeouts(_ window: ReportWindow) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "timeouts", title: "Timeouts", columns: ["service", "tool", "reason", "phase", "timeouts"])
        let sql = """
            SELECT service_name, coalesce(tool_name, stage), timeout_reason, timeout_phase, count(*)
            FROM spans WHERE outcome = 'timeout' AND \(try reader.spansCondition(window))
            GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4
            """
        section.rows = try reader.rows(sql) { row in
            [
                .optional(row.text(0)), .optional(row.text(1)), .optional(row.text(2)), .optional(row.text(3)),
                .count(row.integer(4)),
            ]
        }
        section.queries = [ReportQuery("timeouts by reason", sql)]
        return section
    }

    private struct BreakerFigures {
        var opens: Int64 = 0
        var openNanoseconds: Int64 = 0
    }

    /// Openings of breakers in the window; the window's condition is over spans and so does not narrow them.
    func breakers(_ window: ReportWindow, _ counts: inout Counts) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "breakers", title: "Breakers",
            columns: ["service", "tool", "reported_opens", "derived_opens", "reported_open_min", "derived_open_min"])
        let (from, until) = (window.fromUnixNano, window.untilUnixNano)
        let sql = """
            SELECT \(OpeningRows.columns) FROM breaker_openings
            WHERE from_unix_nano < \(until) AND until_unix_nano >= \(from)
            """
        var tools: [ToolAttempts.Tool: [Bool: BreakerFigures]] = [:]
        try reader.each(sql) { row throws(SQLiteError) in
            let opening = OpeningRows.read(row)
            let tool = ToolAttempts.Tool(service: opening.serviceName, name: opening.toolName)
            var figures = tools[tool]?[opening.isReported] ?? BreakerFigures()
            if opening.isCounted(from: from, to: until) { figures.opens += 1 }
            let (sum, overflow) = figures.openNanoseconds.addingReportingOverflow(
                opening.openNanoseconds(from: from, to: until, at: until))
            figures.openNanoseconds = overflow ? .max : sum
            tools[tool, default: [:]][opening.isReported] = figures
        }
        for (tool, machines) in tools.sorted(by: { $0.key < $1.key }) {
            let (reported, derived) = (machines[true] ?? BreakerFigures(), machines[false] ?? BreakerFigures())
            // A tool that reports its breaker is judged by that; else by what the fuse table derives.
            counts.opens += reported.opens > 0 ? reported.opens : derived.opens
            section.rows.append([
                .text(tool.service?.text ?? ""), .text(tool.name?.text ?? ""), .count(reported.opens), .count(derived.opens),
                .number(Double(reported.openNanoseconds) / 6e10, digits: 2),
                .number(Double(derived.openNanoseconds) / 6e10, digits: 2),
            ])
        }
        section.notes = [
            "open minutes are what /metrics credits: up to the next edge, at most one cooldown behind the last evidence"
        ]
        section.queries = [ReportQuery("openings that touch the window", sql)]
        return section
    }

    func stalls(_ window: ReportWindow, _ counts: inout Counts) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "stalls", title: "Stalls", columns: ["service", "workflow", "kind", "stalls", "longest_s"])
        let sql = """
            SELECT service_name, workflow_name, kind, count(*), max(duration_ns) / 1e9 FROM stalls
            WHERE time_unix_nano >= \(window.fromUnixNano) AND time_unix_nano < \(window.untilUnixNano)
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """
        section.rows = try reader.rows(sql) { row in
            counts.stalls += row.integer(3)
            return [
                .text(row.text(0) ?? ""), .text(row.text(1) ?? ""), .text(row.text(2) ?? ""), .count(row.integer(3)),
                row.isNull(4) ? .none : .seconds(row.double(4)),
            ]
        }
        section.queries = [ReportQuery("stalls by kind", sql)]
        return section
    }
}
