import SQLite
import TelemetryModel

/// Two windows, services, environments or hosts side by side. docs/compare.md has the rules.
package struct CompareReport {
    /// One side: what it is called, and its window with its condition.
    package struct Side: Sendable {
        package var name: String
        package var window: ReportWindow

        package init(name: String, window: ReportWindow) {
            self.name = name
            self.window = window
        }
    }

    package struct Settings: Sendable {
        package var seed: UInt64 = 20_260_101
        package var replicates = 10_000
        /// Runs at the start of each side that are left out, by time and by count; the larger part counts.
        package var warmupNanoseconds: Int64 = 300_000_000_000
        package var warmupRuns = 20
        package var limits = GateLimits()

        package init() {}
    }

    struct Run {
        var end: Int64
        var duration: Int64
        var failed: Bool
        var item: String?
    }

    private let reader: ReportReader
    private let settings: Settings

    package init(_ reader: ReportReader, settings: Settings) {
        self.reader = reader
        self.settings = settings
    }

    package func make(_ first: Side, _ second: Side) throws(ReportReader.Failure) -> (comparisons: [Comparison], document: ReportDocument) {
        try reader.check(first.window)
        try reader.check(second.window)
        let a = try runs(first.window)
        let b = try runs(second.window)
        var window = first.window
        window.fromUnixNano = min(first.window.fromUnixNano, second.window.fromUnixNano)
        window.untilUnixNano = max(first.window.untilUnixNano, second.window.untilUnixNano)
        window.condition = nil
        var document = ReportDocument(name: "compare", window: window)
        document.summary = "A is \(first.name), B is \(second.name)"
        let paired = Self.pair(a.kept, b.kept)
        let samples = paired ?? (.init(blocks: Self.blocks(a.kept)), .init(blocks: Self.blocks(b.kept)))
        var bootstrap = BlockBootstrap(replicates: settings.replicates, seed: settings.seed)
        let comparisons = Comparison.compare(
            samples.0, samples.1, fractions: [0.5, 0.95], isPaired: paired != nil, bootstrap: &bootstrap)
        let costA = try cost(first)
        let costB = try cost(second)
        document.sections = [
            latency(comparisons, a, b, isPaired: paired != nil, [try sql(first.window), try sql(second.window)]),
            sides(a, b, costA, costB, first, second),
            decisions(comparisons, a, b, costA, costB),
        ]
        if a.kept.isEmpty || b.kept.isEmpty { document.verdict = .insufficient }
        return (comparisons, document)
    }

    // MARK: Runs

    struct Runs {
        /// Without the warm-up, in the order of their ends.
        var kept: [Run]
        var warmup: Int
        /// From the first to the last end of the kept ones.
        var seconds: Double
    }

    private func sql(_ window: ReportWindow) throws(ReportReader.Failure) -> String {
        """
        SELECT end_time_unix_nano, duration_ns, coalesce(status_code = 2, 0) AS failed, eval_id FROM spans
        WHERE \(RunReport.condition) AND \(try reader.spansCondition(window))
        """
    }

    private func runs(_ window: ReportWindow) throws(ReportReader.Failure) -> Runs {
        var runs = try reader.rows(try sql(window)) {
            Run(end: $0.integer(0), duration: $0.integer(1), failed: $0.integer(2) == 1, item: $0.text(3))
        }
        runs.sort { ($0.end, $0.duration) < ($1.end, $1.duration) }
        guard let start = runs.first?.end else { return Runs(kept: [], warmup: 0, seconds: 0) }
        let early = runs.prefix { $0.end.subtractingSaturated(start) < settings.warmupNanoseconds }.count
        // The warm-up is the first five minutes or the first twenty runs, whichever is over sooner.
        let warmup = min(early, settings.warmupRuns, runs.count)
        let kept = Array(runs.dropFirst(warmup))
        let seconds = Double((kept.last?.end ?? 0).subtractingSaturated(kept.first.map { $0.end.subtractingSaturated($0.duration) } ?? 0)) / 1e9
        return Runs(kept: kept, warmup: warmup, seconds: kept.isEmpty ? 0 : seconds)
    }

    private static func blocks(_ runs: [Run]) -> [[Int64]] {
        BlockBootstrap.blocks(runs.map { ($0.end, $0.duration) })
    }

    /// The runs by eval item, when both sides ran the same items once each.
    private static func pair(_ a: [Run], _ b: [Run]) -> (BlockBootstrap.Sample, BlockBootstrap.Sample)? {
        var partners: [String: Run] = [:]
        for run in b {
            guard let item = run.item, partners.updateValue(run, forKey: item) == nil else { return nil }
        }
        var seen: Set<String> = []
        var pairs: [(Run, Run)] = []
        for run in a {
            guard let item = run.item, seen.insert(item).inserted else { return nil }
            if let partner = partners[item] { pairs.append((run, partner)) }
        }
        // Items that only one side ran would be lost: then the samples are taken as independent.
        guard !pairs.isEmpty, pairs.count * 10 >= max(a.count, b.count) * 9 else { return nil }
        let ranges = BlockBootstrap.blockRanges(pairs.map { $0.0.end })
        return (
            .init(blocks: ranges.map { range in range.map { pairs[$0].0.duration } }),
            .init(blocks: ranges.map { range in range.map { pairs[$0].1.duration } })
        )
    }

    private func cost(_ side: Side) throws(ReportReader.Failure) -> CostReport.Figures {
        var costs = CostReport.Settings()
        costs.slowToolNanoseconds = settings.limits.slowToolNanoseconds
        return try CostReport(reader, settings: costs).make(side.window).figures
    }

    // MARK: Sections

    private func latency(
        _ comparisons: [Comparison], _ a: Runs, _ b: Runs, isPaired: Bool, _ queries: [String]
    ) -> ReportSection {
        var section = ReportSection(
            key: "latency", title: "Latency of runs, failed ones included",
            columns: ["what", "a_ms", "b_ms", "b_minus_a_ms", "low_ms", "high_ms", "margin_ms", "finding"])
        for comparison in comparisons {
            let hasBoth = comparison.first.value != nil && comparison.second.value != nil
            // Where a side has no runs there is no difference, rather than none.
            let between = [comparison.difference, comparison.lower, comparison.upper].map { hasBoth ? ReportValue.milliseconds($0) : .none }
            section.rows.append([
                .text("p\(Int(comparison.fraction * 100))"), .optional(milliseconds: comparison.first.value),
                .optional(milliseconds: comparison.second.value), between[0], between[1], between[2], .milliseconds(comparison.margin),
                .text(comparison.finding.rawValue + (comparison.reason.isEmpty ? "" : ", \(comparison.reason)")),
            ])
        }
        for (name, percentile) in [("A", comparisons.last?.first), ("B", comparisons.last?.second)] {
            guard let percentile, let lower = percentile.lower, let upper = percentile.upper else { continue }
            section.notes.append(
                "p95 of \(name): \(ReportValue.optional(milliseconds: percentile.value).text) ms, 95 % interval by ranks "
                    + "\(ReportValue.milliseconds(lower).text) to \(ReportValue.milliseconds(upper).text) ms, n=\(percentile.count)")
        }
        section.notes.append(
            "\(isPaired ? "paired by eval id" : "independent"), \(settings.replicates) draws of blocks of a minute and 30 runs, "
                + "seed \(settings.seed), levels by Holm; left out as warm-up: \(a.warmup) and \(b.warmup) runs")
        section.queries = zip(["A", "B"], queries).flatMap { name, sql in
            [
                ReportQuery(
                    "runs of \(name), without the first \(name == "A" ? a.warmup : b.warmup)",
                    """
                    SELECT count(*) AS n, percentile(duration_ns, 50) / 1e6 AS p50_ms, percentile(duration_ns, 95) / 1e6 AS p95_ms,
                        sum(failed) AS failed
                    FROM (SELECT * FROM (\(sql)) ORDER BY end_time_unix_nano, duration_ns LIMIT -1 OFFSET \(name == "A" ? a.warmup : b.warmup))
                    """)
            ]
        }
        return section
    }

    private func sides(
        _ a: Runs, _ b: Runs, _ costA: CostReport.Figures, _ costB: CostReport.Figures, _ first: Side, _ second: Side
    ) -> ReportSection {
        var section = ReportSection(key: "sides", title: "Side by side", columns: ["what", "a", "b"])
        let failed = [a, b].map { side in Int64(side.kept.filter(\.failed).count) }
        section.rows = [
            [.text("name"), .text(first.name), .text(second.name)],
            [.text("runs"), .count(Int64(a.kept.count)), .count(Int64(b.kept.count))],
            [.text("failed runs"), .count(failed[0]), .count(failed[1])],
            [.text("runs per hour"), Self.rate(a), Self.rate(b)],
            [.text("tokens"), .count(costA.tokens), .count(costB.tokens)],
            [.text("USD through prices"), .optional(dollars: costA.apiDollars), .optional(dollars: costB.apiDollars)],
            [.text("USD of rent"), .dollars(costA.rentDollars), .dollars(costB.rentDollars)],
            [
                .text("USD per million tokens"), .optional(dollars: costA.dollarsPerMillionTokens),
                .optional(dollars: costB.dollarsPerMillionTokens),
            ],
            [.text("GPU minutes idle"), .number(costA.idleGPUMinutes, digits: 3), .number(costB.idleGPUMinutes, digits: 3)],
        ]
        section.notes = ["tokens and dollars are those of the whole windows, warm-up included; `fusebox cost` has their SQL"]
        return section
    }

    private static func rate(_ runs: Runs) -> ReportValue {
        runs.seconds > 0 ? .number(Double(runs.kept.count) / runs.seconds * 3600, digits: 1) : .none
    }

    /// Which side to use for what, where the data says it.
    private func decisions(
        _ comparisons: [Comparison], _ a: Runs, _ b: Runs, _ costA: CostReport.Figures, _ costB: CostReport.Figures
    ) -> ReportSection {
        var section = ReportSection(key: "decisions", title: "Which side to use", columns: ["use", "side", "because"])
        section.rows = [
            [.text("interactive")] + interactive(comparisons, costA, costB),
            [.text("overnight")] + Self.cheaper(costA, costB),
            [.text("parallel evals")] + Self.faster(a, b, costA, costB),
        ]
        return section
    }

    private func interactive(
        _ comparisons: [Comparison], _ costA: CostReport.Figures, _ costB: CostReport.Figures
    ) -> [ReportValue] {
        guard let p95 = comparisons.last else { return [.none, .text("no runs")] }
        let milliseconds = ReportValue.milliseconds(Int64(clamping: p95.difference.magnitude)).text
        switch p95.finding {
        case .differs:
            return [.text(p95.difference > 0 ? "A" : "B"), .text("its p95 is \(milliseconds) ms lower")]
        case .equivalent:
            let cheaper = Self.cheaper(costA, costB)
            return [cheaper[0], .text("the p95s are equivalent; " + cheaper[1].text)]
        case .notResolved:
            return [.text("either"), .text("the p95s are not told apart, \(p95.reason)")]
        }
    }

    private static func cheaper(_ a: CostReport.Figures, _ b: CostReport.Figures) -> [ReportValue] {
        guard let left = a.dollarsPerMillionTokens, let right = b.dollarsPerMillionTokens else {
            return [.none, .text("a price or tokens are missing on one side")]
        }
        if left == right { return [.text("either"), .text("both cost \(ReportValue.dollars(left).text) USD/Mtok")] }
        return [
            .text(left < right ? "A" : "B"),
            .text("\(ReportValue.dollars(min(left, right)).text) USD/Mtok against \(ReportValue.dollars(max(left, right)).text)"),
        ]
    }

    private static func faster(_ a: Runs, _ b: Runs, _ costA: CostReport.Figures, _ costB: CostReport.Figures) -> [ReportValue] {
        guard a.seconds > 0, b.seconds > 0 else { return [.none, .text("no runs on one side")] }
        let left = Double(a.kept.count) / a.seconds * 3600
        let right = Double(b.kept.count) / b.seconds * 3600
        let (low, high) = (DecimalText.rounded(min(left, right), digits: 1), DecimalText.rounded(max(left, right), digits: 1))
        // What reads the same is no win.
        if low == high { return [.text("either"), .text("both ran \(low) runs per hour")] }
        return [.text(left > right ? "A" : "B"), .text("\(high) runs per hour against \(low)")]
    }
}
