import SQLite
import TelemetryModel

/// GPU time that waited for slow tools: no model call ran on the host, and a slow tool did.
struct IdleReport {
    private let reader: ReportReader
    private let slowNanoseconds: Int64

    init(_ reader: ReportReader, slowNanoseconds: Int64) {
        self.reader = reader
        self.slowNanoseconds = slowNanoseconds
    }

    /// Adds up over the hosts with GPUs; `nil` without one.
    func section(
        _ window: ReportWindow, _ prices: PriceTable, _ figures: inout CostReport.Figures
    ) throws(ReportReader.Failure) -> ReportSection? {
        let hosts = prices.hosts.filter { $0.gpus > 0 }
        if hosts.isEmpty { return nil }
        var section = ReportSection(
            key: "idle", title: "GPUs idle during slow tools", columns: ["host", "tool", "idle_s", "gpu_minutes", "dollars"])
        for host in hosts {
            let slow = slowSQL(try condition(window, host, of: hosts))
            let busy = busySQL(try condition(window, host, of: hosts))
            let slowSpans = try reader.rows(slow) { ($0.text(0) ?? "", IntervalSweep.Interval($0.integer(1), $0.integer(2))) }
            let busySpans = try reader.rows(busy) { IntervalSweep.Interval($0.integer(0), $0.integer(1)) }
            let idle = IntervalSweep.idle(
                slow: slowSpans.map { (name: $0.0, interval: $0.1) }, busy: busySpans, from: window.fromUnixNano,
                until: window.untilUnixNano)
            let seconds = Double(idle.nanoseconds) / 1e9
            figures.idleGPUMinutes += seconds / 60 * Double(host.gpus)
            figures.idleDollars += seconds / 3600 * host.dollarsPerHour
            for (tool, nanoseconds) in [("(all)", Double(idle.nanoseconds))] + idle.byName.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
                section.rows.append([
                    .text(host.host), .text(tool), .seconds(nanoseconds / 1e9),
                    .number(nanoseconds / 6e10 * Double(host.gpus), digits: 3), .dollars(nanoseconds / 3.6e12 * host.dollarsPerHour),
                ])
            }
            section.queries += queries(slow: slow, busy: busy, host: host, window)
        }
        section.notes = [
            "slow: attempts of tools and vector queries of \(DecimalText.rounded(Double(slowNanoseconds) / 1e9, digits: 3)) s and more; "
                + "busy: calls of models that prices.yaml calls local",
            "time that several slow tools share is split equally; the dollars are a part of the rent",
        ]
        return section
    }

    /// With one GPU host it serves everybody; with more, each serves the spans of its `host.name`.
    private func condition(_ window: ReportWindow, _ host: HostRent, of hosts: [HostRent]) throws(ReportReader.Failure) -> String {
        let base = try reader.spansCondition(window)
        guard hosts.count > 1 else { return base }
        return base + " AND attr(resource_attributes, 'host.name') = '\(host.host.replacing("'", with: "''"))'"
    }

    private func slowSQL(_ condition: String) -> String {
        """
        SELECT coalesce(tool_name, stage) AS tool, start_time_unix_nano AS start, end_time_unix_nano AS finish FROM spans
        WHERE outcome IS NOT NULL AND stage <> 'llm' AND duration_ns >= \(slowNanoseconds) AND \(condition)
        """
    }

    private func busySQL(_ condition: String) -> String {
        """
        SELECT start_time_unix_nano AS start, end_time_unix_nano AS finish FROM spans
        WHERE (stage = 'llm' OR operation = 'embeddings') AND model IN (SELECT model FROM model_price WHERE kind = 'local')
            AND duration_ns IS NOT NULL AND \(condition)
        """
    }

    private func queries(slow: String, busy: String, host: HostRent, _ window: ReportWindow) -> [ReportQuery] {
        let steps = """
            WITH slow AS MATERIALIZED (
                SELECT tool, max(start, \(window.fromUnixNano)) AS start, finish FROM (\(slow))),
            busy AS (SELECT max(start, \(window.fromUnixNano)) AS start, finish FROM (\(busy))),
            edges AS (
                SELECT start AS time, 1 AS slow, 0 AS busy FROM slow UNION ALL SELECT finish, -1, 0 FROM slow
                UNION ALL SELECT start, 0, 1 FROM busy UNION ALL SELECT finish, 0, -1 FROM busy),
            steps AS (
                SELECT time, lead(time) OVER times AS next, sum(sum(slow)) OVER times AS slow, sum(sum(busy)) OVER times AS busy
                FROM edges GROUP BY time WINDOW times AS (ORDER BY time))
            """
        return [
            ReportQuery(
                "idle seconds of \(host.host)",
                "\(steps)\nSELECT coalesce(sum(next - time), 0) / 1e9 AS idle_s FROM steps WHERE slow > 0 AND busy = 0"),
            ReportQuery(
                "idle seconds of \(host.host) by tool",
                """
                \(steps)
                SELECT slow.tool, sum((steps.next - steps.time) * 1.0 / steps.slow) / 1e9 AS idle_s
                FROM steps JOIN slow ON slow.start <= steps.time AND slow.finish > steps.time
                WHERE steps.slow > 0 AND steps.busy = 0 GROUP BY slow.tool ORDER BY idle_s DESC
                """),
        ]
    }
}
