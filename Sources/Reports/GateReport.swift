import SQLite
import TelemetryModel

/// Judges a window by limits: the exit code of a build, or of a soak. docs/gates.md has the rules.
package struct GateReport {
    package struct Settings: Sendable {
        package var limits = GateLimits()
        package var egressBytes: [String: Int64] = [:]
        /// Judge how long the window was watched, as a soak does.
        package var requiresSoak = false
        /// Spans that were lost are damage, not a failure.
        package var isStrict = false

        package init() {}
    }

    /// One gate and how it went.
    package struct Gate: Sendable {
        package enum Outcome: String, Sendable {
            case pass, fail
            /// It passes or fails, but the interval of the value holds the limit.
            case marginalPass = "pass, marginal"
            case marginalFail = "fail, marginal"
            case insufficient = "no data"
            case integrity = "integrity"
            /// There is no limit: shown only.
            case reported = "–"
        }

        package var name: String
        package var value: ReportValue
        package var limit: ReportValue
        package var count: Int64?
        package var interval: (ReportValue, ReportValue)?
        package var outcome: Outcome
        /// By how much it failed, or what is missing; empty when it passed.
        package var message = ""

        var verdict: ReportDocument.Verdict {
            switch outcome {
            case .pass, .marginalPass, .reported: .passed
            case .fail, .marginalFail: .failed
            case .insufficient: .insufficient
            case .integrity: .integrity
            }
        }
    }

    private let reader: ReportReader
    private let settings: Settings

    package init(_ reader: ReportReader, settings: Settings) {
        self.reader = reader
        self.settings = settings
    }

    /// The gates alone, from the figures that they judge: cost only where it has a limit or prices are known.
    package func makeGates(_ window: ReportWindow) throws(ReportReader.Failure) -> (gates: [Gate], document: ReportDocument) {
        try reader.check(window)
        var costs = CostReport.Settings()
        costs.slowToolNanoseconds = settings.limits.slowToolNanoseconds
        costs.egressBytes = settings.egressBytes
        let report = CostReport(reader, settings: costs)
        var cost = CostReport.Figures()
        let hasPrices = try report.prices() != PriceTable()
        if hasPrices || settings.limits.dollarsPerMillionTokens != nil {
            cost = try report.make(window).figures
        }
        let tools = ToolReport(reader)
        var counts = ToolReport.Counts()
        let timeouts = ReportQuery(
            "timed-out attempts", "SELECT count(*) FROM spans WHERE outcome = 'timeout' AND \(try reader.spansCondition(window))")
        counts.timeouts = try reader.row(timeouts.sql) { $0.integer(0) } ?? 0
        let breakers = try tools.breakers(window, &counts)
        let stalls = try tools.stalls(window, &counts)
        let (latency, runs) = try RunReport(reader).section(window)
        let contract = try ContractReport(reader).section(window, settings.limits)
        let uptime = try Uptime(reader, window)
        let gates = judge(runs, cost, counts, contract.figures, uptime)
        var document = ReportDocument(name: "gate", window: window)
        var section = table(gates, uptime)
        section.queries += latency.queries.dropFirst()
        section.queries.append(timeouts)
        section.queries += breakers.queries
        section.queries += stalls.queries
        section.queries += contract.section.queries
        document.sections = [section]
        document.verdict = ReportDocument.Verdict.worst(gates.map(\.verdict))
        return (gates, document)
    }

    /// The gates, and the report with all sections behind them.
    package func make(_ window: ReportWindow) throws(ReportReader.Failure) -> (gates: [Gate], document: ReportDocument) {
        try reader.check(window)
        var costs = CostReport.Settings()
        costs.slowToolNanoseconds = settings.limits.slowToolNanoseconds
        costs.egressBytes = settings.egressBytes
        let cost = try CostReport(reader, settings: costs).make(window)
        let (latency, runs) = try RunReport(reader).section(window)
        let tools = ToolReport(reader)
        var counts = ToolReport.Counts()
        let contract = try ContractReport(reader).section(window, settings.limits)
        var sections = [latency, try tools.tools(window, &counts), try tools.timeouts(window)]
        // Over an engine their tables are empty, which says nothing.
        if reader.isOfNode { sections += [try tools.breakers(window, &counts), try tools.stalls(window, &counts)] }
        sections.append(contract.section)
        let uptime = try Uptime(reader, window)
        let gates = judge(runs, cost.figures, counts, contract.figures, uptime)
        var document = ReportDocument(name: settings.requiresSoak ? "soak" : "gate", window: window)
        document.sections = [table(gates, uptime)] + sections + cost.document.sections
        if reader.isOfNode { document.sections.append(try EvalReport(reader).names()) }
        document.verdict = ReportDocument.Verdict.worst(gates.map(\.verdict))
        return (gates, document)
    }

    private func judge(
        _ runs: RunReport.Runs, _ cost: CostReport.Figures, _ counts: ToolReport.Counts, _ contract: ContractReport.Figures,
        _ uptime: Uptime
    ) -> [Gate] {
        let limits = settings.limits
        var gates = [Self.any(runs), p95(runs), usdPerMillion(cost)]
        gates.append(Self.cap("idle_gpu_minutes", .number(cost.idleGPUMinutes, digits: 3), cost.idleGPUMinutes, limits.idleGPUMinutes))
        gates.append(Self.cap("rent_usd", .dollars(cost.rentDollars), cost.rentDollars, limits.rentDollars, unit: { .dollars($0) }))
        gates.append(
            Self.cap("egress_usd", .dollars(cost.egressDollars), cost.egressDollars, limits.egressDollars, unit: { .dollars($0) }))
        if settings.requiresSoak { gates.append(soak(uptime)) }
        gates.append(Self.cap("timeouts", .count(counts.timeouts), Double(counts.timeouts), limits.timeouts))
        for (name, count, limit) in [("breaker_opens", counts.opens, limits.breakerOpens), ("stalls", counts.stalls, limits.stalls)] {
            gates.append(reader.isOfNode ? Self.cap(name, .count(count), Double(count), limit) : Self.ofNodes(name, limit))
        }
        gates += ContractReport.gates(contract, limits)
        gates.append(reader.isOfNode ? completeness(uptime) : Self.ofNodes(Self.completenessName, nil))
        return gates
    }

    /// A gate that judges what an engine is not sent: it is not judged, and one with a limit does not pass.
    private static func ofNodes(_ name: String, _ limit: Double?) -> Gate {
        var gate = Gate(name: name, value: .none, limit: limit.map { .number($0, digits: 3) } ?? .none, outcome: .reported)
        guard limit != nil else { return gate }
        gate.outcome = .insufficient
        gate.message = "only nodes have that: run fusebox gate on each of them for it"
        return gate
    }

    private static let completenessName = "lost_spans"

    // MARK: Gates

    /// A window in which nothing ran passes nothing: an agent that sends to the wrong address would make a build green.
    private static func any(_ runs: RunReport.Runs) -> Gate {
        var gate = Gate(name: runsName, value: .count(Int64(runs.durations.count)), limit: .count(1), outcome: .pass)
        if runs.durations.isEmpty {
            gate.outcome = .insufficient
            gate.message = "no run of a workflow ended in the window; does the agent send to this collector?"
        }
        return gate
    }

    /// The gate that asks for a run; its limit is the least.
    static let runsName = "runs"

    private func p95(_ runs: RunReport.Runs) -> Gate {
        let p95 = runs.percentile(0.95)
        let limit = settings.limits.p95LatencyNanoseconds
        var gate = Gate(
            name: "p95_latency_ms", value: .optional(milliseconds: p95.value), limit: .optional(milliseconds: limit),
            count: Int64(p95.count), outcome: .reported)
        if let lower = p95.lower, let upper = p95.upper { gate.interval = (.milliseconds(lower), .milliseconds(upper)) }
        guard let limit else { return gate }
        guard let value = p95.value, p95.count >= OrderStatistics.p95CountMin else {
            gate.outcome = .insufficient
            gate.message = "\(p95.count) runs; a p95 needs \(OrderStatistics.p95CountMin), so \(OrderStatistics.p95CountMin - p95.count) more"
            return gate
        }
        let isMarginal = p95.lower.map { $0 <= limit } ?? false && p95.upper.map { $0 > limit } ?? true
        if value <= limit {
            gate.outcome = isMarginal ? .marginalPass : .pass
        } else {
            gate.outcome = isMarginal ? .marginalFail : .fail
            gate.message =
                "\(ReportValue.milliseconds(value).text) ms is \(ReportValue.milliseconds(value.subtractingSaturated(limit)).text) ms "
                + "(\(DecimalText.rounded(Double(value.subtractingSaturated(limit)) / Double(limit) * 100, digits: 1)) %) over the limit of "
                + "\(ReportValue.milliseconds(limit).text) ms"
        }
        return gate
    }

    private func usdPerMillion(_ cost: CostReport.Figures) -> Gate {
        let limit = settings.limits.dollarsPerMillionTokens
        let value = cost.dollarsPerMillionTokens
        var gate = Gate(
            name: "usd_per_mtok", value: .optional(dollars: value), limit: .optional(dollars: limit),
            count: value == nil && limit == nil ? nil : cost.calls,
            outcome: .reported)
        guard let limit else { return gate }
        if settings.limits.requiresOwnPrices, !cost.listPricedModels.isEmpty {
            gate.outcome = .insufficient
            gate.message = "only a list price for \(cost.listPricedModels.joined(separator: ", ")); put your own into prices.yaml"
            return gate
        }
        guard let value else {
            gate.outcome = .insufficient
            gate.message =
                !cost.unwatchedHosts.isEmpty
                ? "the hours of \(cost.unwatchedHosts.joined(separator: ", ")) are known to nodes alone; say in prices.yaml from when they are billed"
                : cost.unpricedModels.isEmpty
                ? "no tokens in the window" : "no price for \(cost.unpricedModels.joined(separator: ", "))"
            return gate
        }
        gate.outcome = value <= limit ? .pass : .fail
        if value > limit { gate.message = Self.excess(value, limit, { .dollars($0) }, " USD/Mtok") }
        return gate
    }

    private static func cap(
        _ name: String, _ shown: ReportValue, _ value: Double, _ limit: Double?,
        unit: (Double) -> ReportValue = { .number($0, digits: 3) }
    ) -> Gate {
        var gate = Gate(name: name, value: shown, limit: limit.map(unit) ?? .none, outcome: .reported)
        guard let limit else { return gate }
        gate.outcome = value <= limit ? .pass : .fail
        if value > limit { gate.message = excess(value, limit, unit, "") }
        return gate
    }

    private static func excess(_ value: Double, _ limit: Double, _ unit: (Double) -> ReportValue, _ name: String) -> String {
        "\(unit(value).text)\(name) is \(unit(value - limit).text) over the limit of \(unit(limit).text)"
    }

    private func soak(_ uptime: Uptime) -> Gate {
        let limit = settings.limits.soakHoursMin
        var gate = Gate(
            name: "soak_hours", value: .number(uptime.hours, digits: 4), limit: .number(limit, digits: 4), outcome: .pass)
        if uptime.hours < limit {
            gate.outcome = .insufficient
            gate.message =
                "watched for \(DecimalText.rounded(uptime.hours, digits: 4)) h, "
                + "\(DecimalText.rounded(limit - uptime.hours, digits: 4)) h short of the \(DecimalText.rounded(limit, digits: 4)) h "
                + "that REMOTE_SOAK_MIN_HOURS asks for"
        }
        return gate
    }

    /// The longest time without a heartbeat that a complete window may have.
    private static let gapMax: Int64 = 300_000_000_000

    private func completeness(_ uptime: Uptime) -> Gate {
        var gate = Gate(
            name: Self.completenessName, value: .count(uptime.dropped + uptime.rejected), limit: .count(0), outcome: .pass)
        var faults: [String] = []
        if uptime.dropped > 0 { faults.append("\(uptime.dropped) spans could not be stored and were answered with 503") }
        if uptime.rejected > 0 { faults.append("\(uptime.rejected) spans were refused") }
        if uptime.longestGap > Self.gapMax {
            faults.append("the server did not run for \(DecimalText.rounded(Double(uptime.longestGap) / 1e9, digits: 0)) s")
        }
        guard !faults.isEmpty else { return gate }
        gate.outcome = settings.isStrict && uptime.dropped > 0 ? .integrity : .fail
        gate.message = faults.joined(separator: "; ")
        return gate
    }

    // MARK: Table

    private func table(_ gates: [Gate], _ uptime: Uptime) -> ReportSection {
        var section = ReportSection(
            key: "gates", title: "Gates", columns: ["gate", "value", "limit", "n", "low", "high", "result"])
        for gate in gates {
            section.rows.append([
                .text(gate.name), gate.value, gate.limit, gate.count.map { .count($0) } ?? .none, gate.interval?.0 ?? .none,
                gate.interval?.1 ?? .none, .text(gate.outcome.rawValue),
            ])
        }
        section.notes = gates.filter { !$0.message.isEmpty }.map { "\($0.name): \($0.message)" }
        if !reader.isOfNode { section.notes.append("breakers, stalls, lost spans and evals are kept by each node, and not judged here") }
        section.queries = [uptime.query]
        return section
    }
}
