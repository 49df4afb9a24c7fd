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
        /// Dollars of the tokens that have a price: what was spent at least when a model has none.
        package var leastDollars = 0.0
        /// Models that count by a public list's price and not one of the user's own.
        package var listPricedModels: [String] = []
        /// Hours of the window in which the server ran.
        package var hours = 0.0
        /// Hosts whose rent is by hours that a server watched, where spans of an engine are read, which nobody watched.
        package var unwatchedHosts: [String] = []

        package init() {}

        /// `nil` when a part of it is not known.
        package var totalDollars: Double? { unwatchedHosts.isEmpty ? apiDollars.map { $0 + rentDollars + egressDollars } : nil }

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

    /// Model calls of the window, each token once, with the price that held at their end, or at their start without one: the law of the view `costs`, for a
    /// window. The expression `priced` has the columns trace_id, service_name, workflow_name, model, tokens, input, cache_read, cache_write,
    /// output, unspecified, price_model and dollars.
    func pricedCallsSQL(_ window: ReportWindow) throws(ReportReader.Failure) -> String {
        let counts = "tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens"
        let types = ["input", "cache_read", "cache_write", "output", "unspecified"].map { "token_count('\($0)', \(counts)) AS \($0)" }
        return """
            WITH call AS (
                SELECT trace_id, service_name, call_workflow AS workflow_name, model, latest_known_unix_nano, \(counts)
                FROM spans WHERE counts_tokens = 1 AND tokens IS NOT NULL AND \(try reader.spansCondition(window))
            ),
            priced AS (
                SELECT trace_id, service_name, workflow_name, call.model, tokens, \(types.joined(separator: ", ")),
                    prices.model AS price_model,
                    token_dollars(\(counts), prices.input, prices.cache_read, prices.cache_write, prices.output) AS dollars
                FROM call LEFT JOIN prices ON prices.model = call.model
                    AND prices.effective_from_unix_nano <= call.latest_known_unix_nano
                    AND call.latest_known_unix_nano < prices.effective_until_unix_nano
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
        try reader.passTokenCalls(window) { segment throws(SQLiteError) in
            for (model, usage) in try ModelUsage.read(segment, from: window.fromUnixNano, book) {
                models[model, default: ModelUsage()].add(usage)
            }
        }
        let listed = Set(prices.models.lazy.filter(\.isListPrice).map(\.model))
        show(models, listed, in: &section, &figures)
        section.queries = [
            ReportQuery(
                "tokens and dollars by model",
                """
                \(calls)
                SELECT service_name, workflow_name, model, count(*) AS calls, saturated_sum(input) + saturated_sum(cache_write) AS input,
                    saturated_sum(cache_read) AS cached, saturated_sum(output) AS output, saturated_sum(unspecified) AS other,
                    CASE WHEN count(price_model) = count(*) THEN sum(dollars) END AS dollars
                FROM priced GROUP BY service_name, workflow_name, model ORDER BY service_name, workflow_name, model
                """)
        ]
        return section
    }

    /// - Parameter listed: models whose price is a public list's.
    private func show(
        _ models: [ModelUsage.Model: ModelUsage], _ listed: Set<String>, in section: inout ReportSection, _ figures: inout Figures
    ) {
        var unpriced: Set<String> = []
        var byList: Set<String> = []
        var dollars: Double? = 0
        let ordered = models.sorted {
            ($0.key.service ?? "", $0.key.workflow ?? "", $0.key.name ?? "") < (
                $1.key.service ?? "", $1.key.workflow ?? "", $1.key.name ?? ""
            )
        }
        for (model, usage) in ordered {
            if usage.dollars == nil { unpriced.insert(model.name ?? "(no model named)") }
            if let name = model.name, usage.dollars != nil, listed.contains(name) { byList.insert(name) }
            figures.leastDollars += usage.dollars ?? 0
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
        figures.listPricedModels = byList.sorted()
        if !byList.isEmpty {
            section.notes.append("public list prices, not your own: \(figures.listPricedModels.joined(separator: ", "))")
        }
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
            if !reader.isOfNode && host.billedFromUnixNano == nil {
                figures.unwatchedHosts.append(host.host)
                continue
            }
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
        if !figures.unwatchedHosts.isEmpty {
            section.notes.append("left out, since only a node knows its hours: \(figures.unwatchedHosts.joined(separator: ", "))")
        }
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
                    Double((host.billedUntilUnixNano ?? window.untilUnixNano).subtractingSaturated(from))
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
            figures.unpricedModels.isEmpty
                ? [.text("tokens through prices"), .optional(dollars: figures.apiDollars), .text("USD")]
                : [.text("tokens through prices, at least"), .dollars(figures.leastDollars), .text("USD")],
            [.text("rent"), .dollars(figures.rentDollars), .text("USD")],
            [.text("egress"), .dollars(figures.egressDollars), .text("USD")],
            [.text("total"), .optional(dollars: figures.totalDollars), .text("USD")],
            [.text("tokens"), .count(figures.tokens), .text("")],
            [.text("per million tokens"), .optional(dollars: figures.dollarsPerMillionTokens), .text("USD/Mtok")],
            [.text("per million tokens, prices only"), .optional(dollars: figures.apiDollarsPerMillionTokens), .text("USD/Mtok")],
            [.text("per million output tokens"), .optional(dollars: figures.dollarsPerMillionOutputTokens), .text("USD/Mtok")],
            [.text("watched"), reader.isOfNode ? .number(figures.hours, digits: 4) : .none, .text("hours")],
        ]
        section.queries = [uptime.query]
        if figures.tokens == 0 { section.notes.append("no model call with tokens ended in the window") }
        return section
    }
}
