import ArgumentParser
import FuseboxConfiguration
import Reports

/// `fusebox sweep`: runs tabulated over what was varied.
struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tabulate runs over batch sizes, models, servers or any attribute, and pick the last green tuple.",
        discussion: """
            Without --by it takes those of \(SweepReport.usualKeys.joined(separator: ", ")) that vary. A value is read from the run's root \
            span, else from the other spans of its trace.

            Example: fusebox sweep --since 4h --by embed_batch --by top_k --p95-latency-ms-max 4500
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var options: ReportOptions

    @Option(help: "A column of spans or an attribute to tabulate by; may be given more than once.")
    var by: [String] = []

    @Option(help: "Only runs with this sweep_id attribute.")
    var sweepID: String?

    @Option(help: "Runs of each cell to leave out, oldest first.")
    var warmup = 0

    @Option(help: "Most milliseconds of a green cell's p95 (P95_LATENCY_MS_MAX).")
    var p95LatencyMsMax: String?

    @Option(help: "\(ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: ReportFormat = .table

    mutating func validate() throws {
        guard by.count <= SweepReport.Limits.keysMax else {
            throw ValidationError("--by may be given \(SweepReport.Limits.keysMax) times at most")
        }
    }

    mutating func run() throws {
        var flags: [String: String] = [:]
        flags["gates.p95_latency_ms_max"] = p95LatencyMsMax
        let configuration = try common.configuration(flags: flags)
        try configuration.loadPricesForReport()
        let reader = try ReportReader.open(configuration)
        var settings = SweepReport.Settings()
        settings.keys = by.flatMap { $0.split(separator: ",").map(String.init) }
        settings.sweepID = sweepID
        settings.warmup = max(0, warmup)
        settings.limits = configuration.gateLimits
        let window = try options.window(nowUnixNano: Clock.unixNano())
        let document: ReportDocument
        do throws(ReportReader.Failure) {
            document = try SweepReport(reader, settings: settings).make(window)
        } catch {
            throw error.failure
        }
        document.write(format, explains: options.explain)
        try document.exit()
    }
}
