import SQLite
import TelemetryModel

/// Runs tabulated over what was varied: batch sizes, models, servers, any attribute. docs/sweep.md has the rules.
package struct SweepReport {
    package struct Settings: Sendable {
        /// Columns of `spans` or attribute keys, in the order of the tuple.
        package var keys: [String] = []
        /// Only runs with this `sweep_id`.
        package var sweepID: String?
        /// Runs of each cell that are left out, oldest first.
        package var warmup = 0
        package var limits = GateLimits()

        package init() {}
    }

    package enum Limits {
        package static let keysMax = 8
        /// Cells that are shown; more say that a key is no knob.
        package static let cellsMax = 500
    }

    /// Tried in this order when no key is named; those that runs carry are used.
    package static let usualKeys = ["retrieval_batch", "embed_batch", "node_batch", "top_k", "model_server"]

    /// One setting of the knobs and what its runs did.
    package struct Cell: Sendable {
        package var values: [String]
        package var durations: [Int64] = []
        package var tokens: Int64 = 0
        package var dollars: Double? = 0
        package var errors: Int64 = 0
        package var timeouts: Int64 = 0
        package var opens: Int64 = 0
        package var peakResidentBytes: Int64?
        var intervals: [IntervalSweep.Interval] = []
        package var rentDollars = 0.0

        package var p95: Percentile { Percentile(ofSorted: durations, 0.95) }

        /// Tokens a second of run time.
        package var tokensPerSecond: Double? {
            let seconds = durations.reduce(0.0) { $0 + Double($1) } / 1e9
            return seconds > 0 && tokens > 0 ? Double(tokens) / seconds : nil
        }

        package var dollarsPerMillionTokens: Double? {
            guard let dollars, tokens > 0 else { return nil }
            return (dollars + rentDollars) / (Double(tokens) / 1e6)
        }
    }

    private let reader: ReportReader
    private let settings: Settings

    package init(_ reader: ReportReader, settings: Settings) {
        self.reader = reader
        self.settings = settings
    }

    package func make(_ window: ReportWindow) throws(ReportReader.Failure) -> ReportDocument {
        try reader.check(window)
        var document = ReportDocument(name: "sweep", window: window)
        let keys = try settings.keys.isEmpty ? present(window) : settings.keys
        guard !keys.isEmpty else {
            document.summary =
                "No run carries \(Self.usualKeys.joined(separator: ", ")): set them as attributes of the run's root span, or name others with --by."
            document.verdict = .insufficient
            return document
        }
        let sql = try runsSQL(keys, window)
        var cells = try cells(keys, sql)
        try addOpens(&cells, keys, sql)
        try addRent(&cells)
        let judged = SweepChoice(limits: settings.limits).judge(cells)
        document.sections = [table(keys, judged.cells, sql, window)]
        document.sections[0].notes += judged.notes
        document.verdict = judged.hasGreen ? .passed : judged.isInsufficient ? .insufficient : .failed
        return document
    }

    // MARK: Runs

    /// The value of a key on a span: a column of that name, else the attribute, else the resource's.
    private static func expression(_ key: String) -> String {
        if key == "model_server" {
            return "coalesce(attr(attributes, 'model_server'), CASE WHEN stage = 'llm' THEN provider END)"
        }
        if columns.contains(key) { return key }
        let quoted = "'" + key.replacing("'", with: "''") + "'"
        return "coalesce(attr(attributes, \(quoted)), attr(resource_attributes, \(quoted)))"
    }

    private static let columns: Set<String> = [
        "service_name", "workflow_name", "scope_name", "tool_name", "retrieval_batch", "cache_hit", "model", "provider", "operation",
        "session_id", "eval_id", "name", "stage",
    ]

    private func present(_ window: ReportWindow) throws(ReportReader.Failure) -> [String] {
        let condition = try reader.spansCondition(window)
        var found: [String] = []
        for key in Self.usualKeys {
            let sql = "SELECT count(DISTINCT value) FROM (SELECT \(Self.expression(key)) AS value FROM spans WHERE \(condition))"
            if try reader.row(sql, { $0.integer(0) }) ?? 0 > 1 { found.append(key) }
        }
        return found
    }

    /// One row a run: its values of the keys (its own, else the largest of its trace), and what its trace did. Runs without one of
    /// the keys are left out.
    private func runsSQL(_ keys: [String], _ window: ReportWindow) throws(ReportReader.Failure) -> String {
        let isRun = "(\(RunReport.condition))"
        let values = keys.enumerated().map { index, key in
            "coalesce(max(CASE WHEN \(isRun) THEN \(Self.expression(key)) END), max(\(Self.expression(key)))) AS key\(index)"
        }
        let sweep = settings.sweepID.map { id in
            " AND sweep_id = '\(id.replacing("'", with: "''"))'"
        } ?? ""
        return """
            \(try CostReport(reader).pricedCallsSQL(window)),
            paid AS (
                SELECT trace_id, saturated_sum(tokens) AS tokens, CASE WHEN count(price_model) = count(*) THEN sum(dollars) END AS dollars
                FROM priced GROUP BY trace_id
            ),
            run AS (
                SELECT trace_id, \(values.joined(separator: ",\n        ")),
                    max(CASE WHEN \(isRun) THEN attr(attributes, 'sweep_id') END) AS sweep_id,
                    max(CASE WHEN \(isRun) THEN duration_ns END) AS duration_ns,
                    max(CASE WHEN \(isRun) THEN start_time_unix_nano END) AS start,
                    max(CASE WHEN \(isRun) THEN end_time_unix_nano END) AS finish,
                    max(CASE WHEN \(isRun) THEN status_code = 2 END) AS failed,
                    coalesce(sum(outcome = 'timeout'), 0) AS timeouts,
                    max(coalesce(attr(attributes, 'peak_rss_bytes'), attr(attributes, 'process.memory.usage'),
                        attr(attributes, 'process.memory.rss'), attr(resource_attributes, 'peak_rss_bytes'),
                        attr(resource_attributes, 'process.memory.usage'))) AS peak_rss
                FROM spans WHERE \(try reader.spansCondition(window)) GROUP BY trace_id
            ),
            sweep AS (
                SELECT run.*, paid.tokens, CASE WHEN paid.trace_id IS NULL THEN 0 ELSE paid.dollars END AS dollars,
                    row_number() OVER (
                        PARTITION BY \(keys.indices.map { "key\($0)" }.joined(separator: ", ")) ORDER BY start, run.trace_id) AS place
                FROM run LEFT JOIN paid ON paid.trace_id = run.trace_id
                WHERE duration_ns IS NOT NULL \(keys.indices.map { "AND key\($0) IS NOT NULL" }.joined(separator: " "))\(sweep)
            )
            """
    }

    private func cells(_ keys: [String], _ sql: String) throws(ReportReader.Failure) -> [Cell] {
        var positions: [[String]: Int] = [:]
        var cells: [Cell] = []
        let columns = keys.indices.map { "key\($0)" }.joined(separator: ", ")
        try reader.each(
            """
            \(sql)
            SELECT \(columns), duration_ns, start, finish, failed, timeouts, peak_rss, tokens, dollars FROM sweep
            WHERE place > \(settings.warmup)
            """
        ) { row in
            let values = keys.indices.map { row.text(Int32($0)) ?? "" }
            var position = positions[values]
            if position == nil {
                guard cells.count < Limits.cellsMax else { return }
                position = cells.count
                positions[values] = cells.count
                cells.append(Cell(values: values))
            }
            guard let position else { return }
            let first = Int32(keys.count)
            cells[position].durations.append(row.integer(first))
            cells[position].intervals.append(.init(row.integer(first + 1), row.integer(first + 2)))
            cells[position].errors += row.integer(first + 3)
            cells[position].timeouts += row.integer(first + 4)
            if !row.isNull(first + 5) {
                cells[position].peakResidentBytes = max(cells[position].peakResidentBytes ?? 0, row.integer(first + 5))
            }
            cells[position].tokens = TokenCounts.sum(cells[position].tokens, row.integer(first + 6))
            cells[position].dollars = row.isNull(first + 7) ? nil : cells[position].dollars.map { $0 + row.double(first + 7) }
        }
        for index in cells.indices { cells[index].durations.sort() }
        return cells.sorted { Self.isBefore($0.values, $1.values) }
    }

    /// Numbers by size, other texts by letters, key by key.
    static func isBefore(_ left: [String], _ right: [String]) -> Bool {
        for (first, second) in zip(left, right) where first != second {
            if let a = Double(first), let b = Double(second), a != b { return a < b }
            return first < second
        }
        return false
    }

    /// Openings by the run whose span opened the breaker; those that the fuse table derives where none was reported.
    private func addOpens(_ cells: inout [Cell], _ keys: [String], _ sql: String) throws(ReportReader.Failure) {
        let columns = keys.indices.map { "key\($0)" }.joined(separator: ", ")
        var opens: [[String]: Int64] = [:]
        try reader.each(
            """
            \(sql)
            SELECT \(columns), sum(machine = 'reported'), sum(machine = 'derived') FROM sweep
            JOIN breaker_transitions ON breaker_transitions.trace_id = sweep.trace_id AND to_state = 'open'
            WHERE place > \(settings.warmup) GROUP BY \(columns)
            """
        ) { row in
            let first = Int32(keys.count)
            let reported = row.integer(first)
            opens[keys.indices.map { row.text(Int32($0)) ?? "" }] = reported > 0 ? reported : row.integer(first + 1)
        }
        for index in cells.indices { cells[index].opens = opens[cells[index].values] ?? 0 }
    }

    /// Machines are paid for while a cell's runs last.
    private func addRent(_ cells: inout [Cell]) throws(ReportReader.Failure) {
        let rate = try CostReport(reader).prices().hosts.reduce(0) { $0 + $1.dollarsPerHour }
        for index in cells.indices {
            let hours = Double(IntervalSweep.length(IntervalSweep.union(cells[index].intervals))) / 3.6e12
            cells[index].rentDollars = rate * hours
        }
    }

    // MARK: Table

    private func table(_ keys: [String], _ cells: [SweepChoice.JudgedCell], _ sql: String, _ window: ReportWindow) -> ReportSection {
        var section = ReportSection(
            key: "cells", title: "Cells",
            columns: keys + [
                "n", "p50_ms", "p95_ms", "p95_low", "p95_high", "tok_s", "usd_mtok", "timeouts", "opens", "errors", "peak_rss", "result",
            ])
        for judged in cells {
            let cell = judged.cell
            let p95 = cell.p95
            var row: [ReportValue] = cell.values.map { .text($0) }
            row += [
                .count(Int64(cell.durations.count)), .optional(milliseconds: OrderStatistics.nearestRank(cell.durations, 0.5)),
                .optional(milliseconds: p95.value), .optional(milliseconds: p95.lower), .optional(milliseconds: p95.upper),
                cell.tokensPerSecond.map { .number($0, digits: 1) } ?? .none, .optional(dollars: cell.dollarsPerMillionTokens),
                .count(cell.timeouts), .count(cell.opens), .count(cell.errors),
                cell.peakResidentBytes.map { .bytes($0) } ?? .none, .text(judged.result),
            ]
            section.rows.append(row)
        }
        let columns = keys.indices.map { "key\($0)" }.joined(separator: ", ")
        section.queries = [
            ReportQuery(
                "cells, \(keys.enumerated().map { "key\($0.offset) is \($0.element)" }.joined(separator: ", "))",
                """
                \(sql)
                SELECT \(columns), count(*) AS n, percentile(duration_ns, 50) / 1e6 AS p50_ms, percentile(duration_ns, 95) / 1e6 AS p95_ms,
                    saturated_sum(tokens) / (saturated_sum(duration_ns) / 1e9) AS tok_s, sum(timeouts) AS timeouts, sum(failed) AS errors,
                    max(peak_rss) AS peak_rss, CASE WHEN count(dollars) = count(*) THEN sum(dollars) END AS token_dollars
                FROM sweep WHERE place > \(settings.warmup) GROUP BY \(columns)
                """)
        ]
        return section
    }
}
