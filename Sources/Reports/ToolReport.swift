import SQLite
import SpanStore

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

    private struct Tool: Hashable {
        var service: String
        var name: String
        var stage: String
    }

    private struct Attempts {
        /// By outcome.
        var counts: [String: Int64] = [:]
        /// Of those that were not rejected.
        var durations: [Int64] = []
    }

    /// What attempts of a segment are told apart by: numbers of texts.
    private struct AttemptKind: Hashable {
        var service: Int
        var name: Int
        var stage: Int
        var outcome: Int
    }

    /// Attempts by tool and outcome. Summed up here and not by SQL's GROUP BY, which would sort all rows.
    func tools(_ window: ReportWindow, _ counts: inout Counts) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "tools", title: "Tools",
            columns: ["service", "tool", "stage", "calls", "ok", "error", "timeout", "rejected", "p50_ms", "p95_ms"])
        let condition = "outcome IS NOT NULL AND \(try reader.spansCondition(window))"
        var tools: [Tool: Attempts] = [:]
        try reader.pass(window) { segment throws(SQLiteError) in
            let outcome = try segment.texts("outcome")
            if outcome.texts.isEmpty { return }
            let service = try segment.texts("service_name")
            let name = try segment.texts("tool_name")
            let stage = try segment.texts("stage")
            let duration = try segment.integers("duration_ns")
            // Attempts of one kind each, by the numbers of their texts.
            var places: [AttemptKind: Int] = [:]
            var kinds: [(kind: AttemptKind, count: Int64, durations: [Int64])] = []
            segment.forEachRow { row in
                let number = outcome.number(row)
                if number < 0 { return }
                let kind = AttemptKind(
                    service: service.number(row), name: name.number(row), stage: stage.number(row), outcome: number)
                let place = places[kind] ?? kinds.count
                if place == kinds.count {
                    places[kind] = place
                    kinds.append((kind, 0, []))
                }
                kinds[place].count += 1
                if let nanoseconds = duration[row] { kinds[place].durations.append(nanoseconds) }
            }
            for (kind, count, durations) in kinds {
                let stageName = stage.text(kind.stage) ?? ""
                let tool = Tool(
                    service: service.text(kind.service) ?? "", name: name.text(kind.name) ?? stageName, stage: stageName)
                let outcomeName = outcome.text(kind.outcome) ?? ""
                tools[tool, default: Attempts()].counts[outcomeName, default: 0] += count
                if outcomeName != "rejected" { tools[tool, default: Attempts()].durations += durations }
            }
        }
        let ordered = tools.sorted { left, right in
            (left.key.service, left.key.name, left.key.stage) < (right.key.service, right.key.name, right.key.stage)
        }
        for (tool, attempts) in ordered {
            let calls = attempts.counts.values.reduce(0, +)
            counts.calls += calls
            counts.timeouts += attempts.counts["timeout"] ?? 0
            let durations = attempts.durations.sorted()
            var row: [ReportValue] = [.text(tool.service), .text(tool.name), .text(tool.stage), .count(calls)]
            for outcome in ["ok", "error", "timeout", "rejected"] { row.append(.count(attempts.counts[outcome] ?? 0)) }
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

    /// Edges of breakers in the window; the window's condition is over spans and so does not narrow them.
    func breakers(_ window: ReportWindow, _ counts: inout Counts) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "breakers", title: "Breakers",
            columns: ["service", "tool", "reported_opens", "derived_opens", "reported_open_min", "derived_open_min"])
        let sql = """
            WITH edges AS (
                SELECT service_name, tool_name, machine, to_state, time_unix_nano AS time, lead(time_unix_nano) OVER (
                    PARTITION BY service_name, scope, tool_name, machine ORDER BY time_unix_nano) AS next
                FROM breaker_transitions WHERE time_unix_nano < \(window.untilUnixNano)
            ),
            opens AS (
                SELECT *, max(0, min(coalesce(next, \(window.untilUnixNano)), \(window.untilUnixNano))
                    - max(time, \(window.fromUnixNano))) AS nanoseconds
                FROM edges WHERE to_state = 'open' AND coalesce(next, \(window.untilUnixNano)) >= \(window.fromUnixNano)
            )
            SELECT service_name, tool_name, sum(machine = 'reported' AND time >= \(window.fromUnixNano)),
                sum(machine = 'derived' AND time >= \(window.fromUnixNano)),
                sum(CASE WHEN machine = 'reported' THEN nanoseconds ELSE 0 END) / 6e10,
                sum(CASE WHEN machine = 'derived' THEN nanoseconds ELSE 0 END) / 6e10
            FROM opens GROUP BY service_name, tool_name ORDER BY 1, 2
            """
        section.rows = try reader.rows(sql) { row in
            // A tool that reports its breaker is judged by that; else by what the fuse table derives.
            counts.opens += row.integer(2) > 0 ? row.integer(2) : row.integer(3)
            return [
                .text(row.text(0) ?? ""), .text(row.text(1) ?? ""), .count(row.integer(2)), .count(row.integer(3)),
                .number(row.double(4), digits: 2), .number(row.double(5), digits: 2),
            ]
        }
        section.notes = [
            "open minutes run from an opening to the next edge, or the end of the window; /metrics bounds them by the last evidence"
        ]
        section.queries = [ReportQuery("openings and open minutes", sql)]
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
