import ArgumentParser
import Foundation
import FuseboxConfiguration
import Ingest
import Reports
import SpanStore
import TelemetryModel

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

    @Option(help: "Bytes that went over a link in the window, as link=bytes; may be given more than once.")
    var egress: [String] = []

    @Option(help: "\(ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: ReportFormat = .table

    mutating func run() throws {
        let configuration = try common.configuration()
        let window = try options.window(nowUnixNano: Clock.unixNano())
        let reader = try ReportReader.open(configuration, engine, window)
        let document: ReportDocument
        do throws(ReportReader.Failure) {
            document = try CostReport(reader, settings: Self.settings(configuration, egress)).make(window).document
        } catch {
            throw error.failure
        }
        document.write(format, explains: options.explain)
        try document.exit()
    }

    static func settings(_ configuration: Configuration, _ egress: [String]) -> CostReport.Settings {
        var settings = CostReport.Settings()
        settings.slowToolNanoseconds = configuration.gates.slowToolNanoseconds
        settings.egressBytes = Dictionary(egress.compactMap(link), uniquingKeysWith: { $1 })
        return settings
    }

    mutating func validate() throws {
        for text in egress where Self.link(text) == nil {
            throw ValidationError("--egress takes link=bytes, not '\(text)'")
        }
    }

    private static func link(_ text: String) -> (String, Int64)? {
        let sides = text.split(separator: "=", maxSplits: 1)
        guard sides.count == 2, let bytes = Int64(sides[1]), bytes >= 0 else { return nil }
        return (String(sides[0]), bytes)
    }
}

extension ReportDocument {
    /// Ends the command with the verdict's exit code when it is not success.
    func exit() throws {
        guard let verdict, verdict != .passed else { return }
        throw ExitCode(Int32(verdict.rawValue))
    }
}
