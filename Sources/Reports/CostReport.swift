import SQLite
import SpanStore
package import TelemetryModel

/// What a window cost: tokens by price, rent, egress, and what idle GPUs cost while slow tools ran. docs/costs.md has the formulas.
package struct CostReport {
    /// What is not in the data file.
    package struct Settings: Sendable {
        /// A tool attempt of at least this long is slow.
        package var slowToolNanoseconds: Int64 = 5_000_000_000
        /// Bytes that went over each link in the window, from its counters.
        package var egressBytes: [String: Int64] = [:]

        package init() {}
    }

    /// The sums of a window.
    package struct Figures: Equatable, Sendable {
        /// Dollars of tokens; `nil` when a model that was called has no price.
        package var apiDollars: Double?
        package var rentDollars = 0.0
        package var egressDollars = 0.0
        /// Dollars of GPUs that waited; a part of the rent.
        package var idleDollars = 0.0
        package var idleGPUMinutes = 0.0
        /// Each counted once.
        package var tokens: Int64 = 0
        package var outputTokens: Int64 = 0
        /// Tokens of spans that give only a total; priced as output.
        package var unspecifiedTokens: Int64 = 0
        package var calls: Int64 = 0
        package var unpricedModels: [String] = []
        /// Hours of the window in which the server ran.
        package var hours = 0.0

        package init() {}

        package var totalDollars: Double? { apiDollars.map { $0 + rentDollars + egressDollars } }

        /// Dollars a million tokens; `nil` without tokens or prices.
        package var dollarsPerMillionTokens: Double? { perMillion(totalDollars, tokens) }

        package var apiDollarsPerMillionTokens: Double? { perMillion(apiDollars, tokens) }

        package var dollarsPerMillionOutputTokens: Double? {
            perMillion(totalDollars, TokenCounts.sum(outputTokens, unspecifiedTokens))
        }

        private func perMillion(_ dollars: Double?, _ tokens: Int64) -> Double? {
            guard let dollars, tokens > 0 else { return nil }
            return dollars / (Double(tokens) / 1e6)
        }
    }

    private let reader: ReportReader
    private let settings: Settings

    package init(_ reader: ReportReader, settings: Settings = Settings()) {
        self.reader = reader
        self.settings = settings
    }

    /// The figures and the sections that show them.
    package func make(_ window: ReportWindow) throws(ReportReader.Failure) -> (figures: Figures, document: ReportDocument) {
        try reader.check(window)
        let uptime = try Uptime(reader, window)
        var figures = Figures()
        figures.hours = uptime.hours
        let prices = try prices()
        let models = try models(window, prices, &figures)
        let rent = rent(prices, window, uptime, &figures)
        let egress = egress(prices, &figures)
        let idle = try IdleReport(reader, slowNanoseconds: settings.slowToolNanoseconds).section(window, prices, &figures)
        var document = ReportDocument(name: "cost", window: window)
        document.sections = [totals(figures, uptime), models]
        if !prices.hosts.isEmpty { document.sections.append(rent) }
        if !prices.links.isEmpty { document.sections.append(egress) }
        if let idle { document.sections.append(idle) }
        document.verdict = figures.dollarsPerMillionTokens == nil ? .insufficient : .passed
        return (figures, document)
    }

    package func prices() throws(ReportReader.Failure) -> PriceTable {
        do throws(SQLiteError) {
            return try AnnexReading.prices(reader.connection)
        } catch {
            throw .database(error)
        }
    }

    // MARK: Tokens

    /// How far before the window a child's end is looked for: its parent, which repeats its tokens, may end inside.
    private static let childMarginNanoseconds: Int64 = 3_600_000_000_000

    private func wide(_ window: ReportWindow) -> ReportWindow {
        var wide = window
        wide.fromUnixNano = max(0, window.fromUnixNano - Self.childMarginNanoseconds)
        return wide
    }

    /// Model calls of the window, each token once, with the price that held at their end: the law of the view `costs`, for a
    /// window. Columns: service_name, workflow_name, model, is_bare, tokens, fresh, cache_read, cache_write, produced, price_*.
    func pricedCallsSQL(_ window: ReportWindow) throws(ReportReader.Failure) -> String {
        return """
            WITH counted AS MATERIALIZED (
                SELECT trace_id, span_id, parent_span_id, service_name, workflow_name, model, end_time_unix_nano, tokens, input_tokens,
                    output_tokens, cached_tokens,
                    CASE WHEN input_tokens IS NOT NULL THEN CAST(cache_write_tokens AS INTEGER) END AS cache_write_tokens
                FROM spans WHERE tokens IS NOT NULL AND coalesce(operation, '') NOT IN
                        ('invoke_agent', 'invoke_workflow', 'create_agent', 'chain', 'task', 'execute_task')
                    AND \(try reader.spansCondition(wide(window)))
            ),
            leaf AS (
                SELECT * FROM counted AS outer_span WHERE end_time_unix_nano >= \(window.fromUnixNano) AND NOT EXISTS (
                    SELECT 1 FROM counted AS inner_span
                    WHERE inner_span.trace_id = outer_span.trace_id AND inner_span.parent_span_id = outer_span.span_id)
            ),
            typed AS (
                SELECT trace_id, service_name, workflow_name, model, end_time_unix_nano, tokens,
                    input_tokens IS NULL AND output_tokens IS NULL AS is_bare,
                    max(0, coalesce(input_tokens, 0) - coalesce(cached_tokens, 0) - coalesce(cache_write_tokens, 0)) AS fresh,
                    coalesce(cached_tokens, 0) AS cache_read, coalesce(cache_write_tokens, 0) AS cache_write,
                    coalesce(output_tokens, 0) AS produced
                FROM leaf
            ),
            priced AS (
                SELECT typed.*, prices.model AS price_model, prices.kind AS price_kind,
                    CASE WHEN is_bare THEN typed.tokens * prices.output ELSE fresh * prices.input
                        + typed.cache_read * prices.cache_read + typed.cache_write * prices.cache_write
                        + produced * prices.output END / 1e6 AS dollars
                FROM typed LEFT JOIN prices ON prices.model = typed.model
                    AND prices.effective_from_unix_nano <= typed.end_time_unix_nano
                    AND typed.end_time_unix_nano < prices.effective_until_unix_nano
            )
            """
    }

    private func models(
        _ window: ReportWindow, _ prices: PriceTable, _ figures: inout Figures
    ) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "models", title: "Models",
            columns: ["service", "workflow", "model", "calls", "input", "cached", "output", "other", "dollars"])
        let calls = try pricedCallsSQL(window)
        var models: [ModelUsage.Model: ModelUsage] = [:]
        let book = PriceBook(prices.models)
        try reader.passTokenCalls(wide(window)) { segment throws(SQLiteError) in
            for (model, usage) in try ModelUsage.read(segment, from: window.fromUnixNano, book) {
                models[model, default: ModelUsage()].add(usage)
            }
        }
        show(models, in: &section, &figures)
        section.queries = [
            ReportQuery(
                "tokens and dollars by model",
                """
                \(calls)
                SELECT service_name, workflow_name, model, count(*) AS calls,
                    sum(CASE WHEN is_bare THEN 0 ELSE fresh + cache_write END) AS input,
                    sum(CASE WHEN is_bare THEN 0 ELSE cache_read END) AS cached, sum(CASE WHEN is_bare THEN 0 ELSE produced END) AS output,
                    sum(CASE WHEN is_bare THEN tokens ELSE 0 END) AS other,
                    CASE WHEN count(price_model) = count(*) THEN sum(dollars) END AS dollars
                FROM priced GROUP BY service_name, workflow_name, model ORDER BY service_name, workflow_name, model
                """)
        ]
        return section
    }

    private func show(_ models: [ModelUsage.Model: ModelUsage], in section: inout ReportSection, _ figures: inout Figures) {
        var unpriced: Set<String> = []
        var dollars: Double? = 0
        let ordered = models.sorted {
            ($0.key.service ?? "", $0.key.workflow ?? "", $0.key.name ?? "") < (
                $1.key.service ?? "", $1.key.workflow ?? "", $1.key.name ?? ""
            )
        }
        for (model, usage) in ordered {
            if usage.dollars == nil { unpriced.insert(model.name ?? "(no model named)") }
            dollars = dollars.flatMap { sum in usage.dollars.map { sum + $0 } }
            figures.calls += usage.calls
            figures.tokens = TokenCounts.sum(figures.tokens, usage.tokens.total)
            figures.outputTokens = TokenCounts.sum(figures.outputTokens, usage.tokens.output)
            figures.unspecifiedTokens = TokenCounts.sum(figures.unspecifiedTokens, usage.tokens.unspecified)
            section.rows.append([
                .optional(model.service), .optional(model.workflow), .optional(model.name), .count(usage.calls),
                .count(TokenCounts.sum(usage.tokens.input, usage.tokens.cacheWrite)), .count(usage.tokens.cacheRead),
                .count(usage.tokens.output),
                .count(usage.tokens.unspecified), .optional(dollars: usage.dollars),
            ])
        }
        figures.apiDollars = dollars
        figures.unpricedModels = unpriced.sorted()
        if !unpriced.isEmpty {
            section.notes.append(
                "no price: \(figures.unpricedModels.joined(separator: ", ")); put them into prices.yaml (docs/costs.md)")
        }
        if figures.unspecifiedTokens > 0 {
            section.notes.append("other: tokens of spans that give only a total, priced as output")
        }
    }

    // MARK: Rent and egress

    private func rent(_ prices: PriceTable, _ window: ReportWindow, _ uptime: Uptime, _ figures: inout Figures) -> ReportSection {
        var section = ReportSection(
            key: "rent", title: "Rent", columns: ["host", "dollars_per_hour", "billed_hours", "dollars"])
        for host in prices.hosts {
            let seconds = Self.billedSeconds(host, window, watchedSeconds: uptime.hours * 3600)
            let dollars = host.dollarsPerHour * seconds / 3600
            figures.rentDollars += dollars
            section.rows.append([
                .text(host.host), .dollars(host.dollarsPerHour), .number(seconds / 3600, digits: 4), .dollars(dollars),
            ])
        }
        section.notes = [
            "billed: from start to stop of the machine where prices.yaml says them, else the hours that were watched"
        ]
        section.queries = [
            ReportQuery(
                "rent by host, for \(DecimalText.rounded(uptime.hours, digits: 4)) watched hours",
                Self.rentSQL(window, watchedSeconds: uptime.hours * 3600))
        ]
        return section
    }

    /// Whole units of the machine's billing.
    static func billedSeconds(_ host: HostRent, _ window: ReportWindow, watchedSeconds: Double) -> Double {
        let seconds =
            host.billedFromUnixNano.map { from in
                max(
                    0,
                    Double((host.billedUntilUnixNano ?? window.untilUnixNano).subtractingReportingOverflow(from).partialValue)
                        / 1e9)
            } ?? watchedSeconds
        let unit = Double(host.granularitySeconds)
        return (seconds / unit - 1e-9).rounded(.up) * unit
    }

    private static func rentSQL(_ window: ReportWindow, watchedSeconds: Double) -> String {
        """
        WITH billed AS (
            SELECT host, dollars_per_hour, granularity_s, CASE WHEN billed_from_unix_nano IS NOT NULL
                THEN max(0, (coalesce(billed_until_unix_nano, \(window.untilUnixNano)) - billed_from_unix_nano) / 1e9)
                ELSE \(watchedSeconds) END AS seconds
            FROM host_rent
        )
        SELECT host, dollars_per_hour,
            ceil(seconds / granularity_s - 1e-9) * granularity_s / 3600 AS billed_hours,
            dollars_per_hour * ceil(seconds / granularity_s - 1e-9) * granularity_s / 3600 AS dollars
        FROM billed ORDER BY host
        """
    }

    private func egress(_ prices: PriceTable, _ figures: inout Figures) -> ReportSection {
        var section = ReportSection(key: "egress", title: "Egress", columns: ["link", "bytes", "billed_units", "dollars"])
        for link in prices.links {
            guard let bytes = settings.egressBytes[link.link] else {
                section.rows.append([.text(link.link), .none, .none, .none])
                section.notes = ["bytes come from the link's counters: --egress link=bytes, or a soak's packet"]
                continue
            }
            let units = max(0, Double(bytes) / Double(link.unitBytes) - link.freeUnits)
            figures.egressDollars += units * link.dollarsPerUnit
            section.rows.append([
                .text(link.link), .count(bytes), .number(units, digits: 4), .dollars(units * link.dollarsPerUnit),
            ])
            section.queries.append(
                ReportQuery(
                    "egress of \(link.link)",
                    """
                    SELECT link, max(0, \(bytes) * 1.0 / unit_bytes - free_units) AS billed_units,
                        max(0, \(bytes) * 1.0 / unit_bytes - free_units) * dollars_per_unit AS dollars
                    FROM egress_price WHERE link = '\(link.link.replacing("'", with: "''"))'
                    """))
        }
        return section
    }

    private func totals(_ figures: Figures, _ uptime: Uptime) -> ReportSection {
        var section = ReportSection(key: "totals", title: "Totals", columns: ["what", "value", "unit"])
        section.rows = [
            [.text("tokens through prices"), .optional(dollars: figures.apiDollars), .text("USD")],
            [.text("rent"), .dollars(figures.rentDollars), .text("USD")],
            [.text("egress"), .dollars(figures.egressDollars), .text("USD")],
            [.text("total"), .optional(dollars: figures.totalDollars), .text("USD")],
            [.text("tokens"), .count(figures.tokens), .text("")],
            [.text("per million tokens"), .optional(dollars: figures.dollarsPerMillionTokens), .text("USD/Mtok")],
            [.text("  tokens through prices only"), .optional(dollars: figures.apiDollarsPerMillionTokens), .text("USD/Mtok")],
            [.text("per million output tokens"), .optional(dollars: figures.dollarsPerMillionOutputTokens), .text("USD/Mtok")],
            [.text("watched"), .number(figures.hours, digits: 4), .text("hours")],
        ]
        section.queries = [uptime.query]
        if figures.tokens == 0 { section.notes.append("no model call with tokens ended in the window") }
        return section
    }
}
