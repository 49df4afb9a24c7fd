import ArgumentParser
import Queries
import Reports
import SpanStore
import TelemetryModel

extension Eval {
    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write evals as JSON lines or CSV.",
            discussion: """
                The file has every field of every eval, whatever span it joined. `fusebox eval import` makes the same rows of it again, here or in another \
                store.

                Examples:
                  fusebox eval export --run nightly-42 nightly-42.jsonl
                  fusebox eval export --format csv --name faithfulness --since 7d > week.csv
                """)

        @OptionGroup var common: CommonOptions

        @Option(help: "jsonl or csv.")
        var format: EvalExport.Form = .jsonl

        @Option(help: "Only evals of this name.")
        var name: String?

        @Option(name: .customLong("run"), help: "Only evals of this run.")
        var runID: String?

        @Option(
            help:
                "Only evals that were made at or after this: 2026-11-21, 2026-11-21T10:00:00Z, nanoseconds, or an age such as 7d.",
            transform: TimeArgument.init)
        var since: TimeArgument?

        @Option(help: "Only evals that were made at or before this.", transform: TimeArgument.init)
        var until: TimeArgument?

        @Argument(help: "The file to write; without it, or for -, standard output.")
        var file: String?

        mutating func run() throws {
            let now = Clock.unixNano()
            var export = EvalExport()
            export.form = format
            export.name = name
            export.run = runID
            export.window = TimeWindow(
                from: since?.unixNano(nowUnixNano: now) ?? .min,
                to: until.map { $0.unixNano(nowUnixNano: now).addingSaturated(1) } ?? .max)
            guard export.window.from < export.window.to else { throw CommandFailure(.usage, "--since is later than --until") }
            let questions = try StoreQuestions(common)
            guard let file, file != "-" else {
                _ = try Self.write(export, questions, to: LineOutput(path: nil))
                return
            }
            let asked = export
            do {
                let count = try NewFile.write(file) { partial in
                    let output = try LineOutput(path: partial)
                    let count = try Self.write(asked, questions, to: output)
                    try output.close()
                    return count
                }
                Terminal.write("wrote \(count) evals to \(file)\n")
            } catch let error as StoreError {
                throw error.failure
            }
        }

        private static func write(_ export: EvalExport, _ questions: StoreQuestions, to output: LineOutput) throws -> Int {
            try questions.ask { reader in try export.write(reader) { try output.write(text: $0) } }
        }
    }

    struct Runs: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List runs of evals with their scores by name, the newest first.")

        @OptionGroup var common: CommonOptions

        @Option(help: "Only runs over this data set.")
        var dataset: String?

        @Option(help: "\(ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
        var format: ReportFormat = .table

        @Flag(help: "Print the SQL behind the figures.")
        var explain = false

        mutating func run() throws {
            let reader = try ReportReader.open(common.configuration())
            do throws(ReportReader.Failure) {
                try EvalRunReport(reader).runs(.everything, dataset: dataset).write(format, explains: explain)
            } catch {
                throw error.failure
            }
        }
    }

    struct Compare: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare two runs of evals case by case, what got worse first.",
            discussion: """
                A case of one run is the same as one of the other by its eval id, else by its example id. docs/evals.md says what counts as worse.

                Examples:
                  fusebox eval compare nightly-41 nightly-42
                  fusebox eval compare main branch --worse-max 0 --lower-is-better toxicity
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: "The run id of A, such as the one before.")
        var a: String

        @Argument(help: "The run id of B, such as the new one.")
        var b: String

        @Option(help: "Only evals of this name.")
        var name: String?

        @Option(help: "The name of an eval of which a lower score is the better one; may be given more than once.")
        var lowerIsBetter: [String] = []

        @Option(help: "Exit with 1 when more cases than this got worse.")
        var worseMax: Int?

        @Option(help: "Cases that are listed at most.")
        var limit = 20

        @Option(help: "\(ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
        var format: ReportFormat = .table

        @Flag(help: "Print the SQL behind the figures.")
        var explain = false

        mutating func run() throws {
            let reader = try ReportReader.open(common.configuration())
            var settings = EvalRunReport.Settings()
            settings.name = name
            settings.lowerIsBetter = Set(lowerIsBetter)
            settings.casesMax = max(0, limit)
            settings.worseMax = worseMax
            let document: ReportDocument
            do throws(ReportReader.Failure) {
                document = try EvalRunReport(reader).compare(a, b, settings, .everything)
            } catch {
                throw error.failure
            }
            // Explanations are too long for a terminal; traces lead to them.
            (format == .json ? document : document.without(["span_a", "span_b", "explanation_a", "explanation_b"])).write(
                format, explains: explain)
            try document.exit()
        }
    }
}

extension EvalExport.Form: ExpressibleByArgument {}

extension ReportWindow {
    /// All that is stored until now.
    fileprivate static var everything: ReportWindow { ReportWindow(fromUnixNano: 0, untilUnixNano: Clock.unixNano()) }
}

extension ReportDocument {
    /// The document without some columns.
    fileprivate func without(_ names: Set<String>) -> ReportDocument {
        var document = self
        for index in document.sections.indices {
            let kept = document.sections[index].columns.indices.filter { !names.contains(document.sections[index].columns[$0]) }
            document.sections[index].columns = kept.map { document.sections[index].columns[$0] }
            document.sections[index].rows = document.sections[index].rows.map { row in kept.map { row[$0] } }
        }
        return document
    }
}
