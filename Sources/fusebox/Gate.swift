import ArgumentParser
import FuseboxConfiguration
import Reports

/// `fusebox gate`: judges a window; its exit code is for builds.
struct Gate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Judge a window by latency, cost and completeness; the exit code is for builds.",
        discussion: """
            Limits come from gates in fusebox.yaml, their environment variables (P95_LATENCY_MS_MAX, COST_CAP_USD_PER_MTOK, …) or the \
            flags here. A gate without a limit is shown and not judged.

            Exit codes: 0 all gates pass, 1 one failed, 2 usage, 3 insufficient data, 4 spans were lost under --strict.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var engine: EngineOptions
    @OptionGroup var options: ReportOptions

    @Option(help: "Maximum p95 of whole runs, in milliseconds (P95_LATENCY_MS_MAX).")
    var p95LatencyMsMax: String?

    @Option(help: "Maximum dollars per million tokens (COST_CAP_USD_PER_MTOK).")
    var costUsdPerMtokMax: String?

    @Option(help: "Maximum timed-out attempts (TIMEOUTS_MAX).")
    var timeoutsMax: String?

    @Option(help: "Maximum breaker openings (BREAKER_OPENS_MAX).")
    var breakerOpensMax: String?

    @Option(help: "Maximum stalls (STALLS_MAX).")
    var stallsMax: String?

    @Option(help: "Maximum workflows at once in a process or on a host (WORKFLOW_MAX_CONCURRENCY); without one, what agents declare.")
    var workflowConcurrencyMax: String?

    @Option(help: "Maximum items of one retrieval (RETRIEVAL_BATCH_SIZE).")
    var retrievalBatchMax: String?

    @Option(help: "Maximum texts of one embedding call (EMBED_BATCH_SIZE).")
    var embedBatchMax: String?

    @Option(help: "Minimum part of a host's memory that stays free, 0 to 1 (MEMORY_HEADROOM_MIN).")
    var memoryHeadroomMin: String?

    @OptionGroup var egress: EgressOptions

    @Flag(help: "Spans that the server lost end the command with 4.")
    var strict = false

    @Flag(help: "Show the whole report behind the gates.")
    var full = false

    @Option(help: "table, json, markdown, junit.")
    var format = GateFormat.table

    mutating func run() throws {
        let configuration = try common.configuration(flags: flags)
        var settings = GateReport.Settings()
        settings.limits = configuration.gateLimits
        settings.isStrict = strict
        let window = try options.window(nowUnixNano: Clock.unixNano())
        let reader = try ReportReader.open(configuration, engine, window)
        settings.egressBytes = try egress.bytes(reader)
        let gates: [GateReport.Gate]
        let document: ReportDocument
        do throws(ReportReader.Failure) {
            let report = GateReport(reader, settings: settings)
            (gates, document) = full ? try report.make(window) : try report.makeGates(window)
        } catch {
            throw error.failure
        }
        switch format {
        case .junit: Terminal.write(JUnit.text(gates))
        case .table: document.write(.table, explains: options.explain)
        case .json: document.write(.json, explains: options.explain)
        case .markdown: document.write(.markdown, explains: options.explain)
        }
        try document.exit()
    }

    private var flags: [String: String] {
        var flags: [String: String] = [:]
        flags["gates.p95_latency_ms_max"] = p95LatencyMsMax
        flags["gates.cost_usd_per_mtok_max"] = costUsdPerMtokMax
        flags["gates.timeouts_max"] = timeoutsMax
        flags["gates.breaker_opens_max"] = breakerOpensMax
        flags["gates.stalls_max"] = stallsMax
        flags["gates.workflow_concurrency_max"] = workflowConcurrencyMax
        flags["gates.retrieval_batch_max"] = retrievalBatchMax
        flags["gates.embed_batch_max"] = embedBatchMax
        flags["gates.memory_headroom_min"] = memoryHeadroomMin
        return flags
    }
}

/// How gates are written.
enum GateFormat: String, CaseIterable, ExpressibleByArgument {
    case table, json, markdown, junit
}
