import ArgumentParser
import FuseboxConfiguration
import Reports

/// `fusebox cost`: what a window cost.
struct Cost: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a window cost: tokens, rent, egress, idle GPUs, dollars per million tokens.",
        discussion: """
            Prices come from prices.yaml in the data folder, then from an imported table, then from the public list prices that come with \
            the program (docs/costs.md). A model without a price makes the totals "at least", and ends the command with 3, as a window \
            without tokens does.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var engine: EngineOptions
    @OptionGroup var options: ReportOptions

    @OptionGroup var egress: EgressOptions

    @Option(help: "\(ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: ReportFormat = .table

    mutating func run() throws {
        let configuration = try common.configuration()
        let window = try options.window(nowUnixNano: Clock.unixNano())
        let reader = try ReportReader.open(configuration, engine, window)
        var settings = CostReport.Settings()
        settings.slowToolNanoseconds = configuration.gates.slowToolNanoseconds
        settings.egressBytes = try egress.bytes(reader)
        let document: ReportDocument
        do throws(ReportReader.Failure) {
            document = try CostReport(reader, settings: settings).make(window).document
        } catch {
            throw error.failure
        }
        document.write(format, explains: options.explain)
        try document.exit()
    }
}

extension ReportDocument {
    /// Ends the command with the verdict's exit code when it is not success.
    func exit() throws {
        guard let verdict, verdict != .passed else { return }
        throw ExitCode(Int32(verdict.rawValue))
    }
}
