import ArgumentParser
import FuseboxConfiguration
import Reports

/// `fusebox stalls`: where agents' loops stood still or ran in circles.
struct Stalls: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List stalls of agents' loops, each with its suspected span: gaps, repeats, cycles, blocked event loops.",
        discussion: "The server looks for them some seconds after a run has ended; docs/stalls.md has the rules.")

    @OptionGroup var common: CommonOptions
    @OptionGroup var options: ReportOptions

    @Option(help: "Stalls that are listed at most.")
    var limit = 50

    @Option(help: "\(ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: ReportFormat = .table

    mutating func run() throws {
        let reader = try ReportReader.open(common.configuration())
        let window = try options.window(nowUnixNano: Clock.unixNano())
        let document: ReportDocument
        do throws(ReportReader.Failure) {
            document = try StallReport(reader).make(window, limit: limit)
        } catch {
            throw error.failure
        }
        document.write(format, explains: options.explain)
    }
}
