import ArgumentParser
import Evals
import Foundation
import FuseboxConfiguration
import Ingest
import Reports
import SpanStore
import StoreSQL
import TelemetryModel

/// `fusebox eval`: evals from files, and what is known of them.
struct Eval: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Import, list and export evals, and compare two runs.",
        subcommands: [Import.self, List.self, Export.self, Runs.self, Compare.self])

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Import evals from JSON lines, JSON, CSV or TSV.",
            discussion: """
                Takes the forms of Phoenix, Langfuse, MLflow, LangSmith, DeepEval, ragas and plain ones; docs/evals.md lists the names of \
                fields. Importing a file twice changes nothing. Works beside a running server and without one. Lines that are no eval \
                are reported with their number and skipped.
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: "Files; - is standard input.")
        var files: [String]

        @Flag(help: "Import nothing when a line is not an eval, and exit with 1.")
        var strict = false

        @Option(help: "Columns that are a metric each, with commas between; those that end in _score are anyway.")
        var scoreColumns: String?

        @Option(help: "What was judged, for rows that do not say it.")
        var name: String?

        @Option(help: "The run id of rows that have none.")
        var runID: String?

        @Option(help: "The data set of rows that name none.")
        var dataset: String?

        @Option(help: "The git revision of rows that name none.")
        var gitRevision: String?

        mutating func run() throws {
            let folder = StoreFolder(path: try common.configuration().dataFolder)
            let parser = EvalReader(scoreColumns: scoreColumns?.split(separator: ",").map(String.init) ?? [], name: name)
            var rows: [EvalRow] = []
            var problems = 0
            for path in files {
                let file = EvalFile(try Self.content(path), reader: parser)
                report(file, path)
                problems += file.problemCount
                rows += file.rows.map(completed)
            }
            guard problems == 0 || !strict else {
                throw CommandFailure(.failed, "\(problems) lines are not evals, so with --strict nothing was imported")
            }
            guard !rows.isEmpty else {
                throw CommandFailure(
                    .failed,
                    "no eval was found in \(files.joined(separator: ", ")), so nothing was imported; docs/evals.md lists the forms"
                )
            }
            guard folder.databaseExists else {
                throw CommandFailure(
                    .failed,
                    "there is no data file in \(folder.path); start `fusebox serve` once, or name its folder with --data-dir")
            }
            // The last row of a key counts, as it does in the table.
            let last = Dictionary(rows.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
            let changes = try Self.read(folder) { report throws(ReportReader.Failure) in
                try report.changes(of: Array(last.values))
            }
            try send(rows, folder)
            let joining = try Self.read(folder) { report throws(ReportReader.Failure) in try report.joining(of: Set(last.keys)) }
            let repeated = rows.count - last.count
            Terminal.write(
                """
                evals: \(last.count) (\(changes.new) new, \(changes.changed) changed, \(changes.same) as before)\
                \(repeated > 0 ? ", \(repeated) repeated in the files" : "")\
                \(problems > 0 ? ", \(problems) lines skipped" : "")
                spans: \(joining.matched) matched, \(joining.unmatched) unmatched, \(joining.ambiguous) ambiguous

                """)
            if joining.unmatched > 0 {
                Terminal.write("Unmatched evals join when their spans arrive; `fusebox eval list --unmatched` shows them.\n")
            }
        }

        private func completed(_ row: EvalRow) -> EvalRow {
            var row = row
            row.runID = row.runID ?? runID
            row.dataset = row.dataset ?? dataset
            row.gitRevision = row.gitRevision ?? gitRevision
            return row
        }

        private static func content(_ path: String) throws -> [UInt8] {
            let data = try InputFile.bytes(path)
            guard path == "-" || data.count <= EvalFile.Limits.bytesMax else {
                throw CommandFailure(.usage, "\(path) is larger than \(EvalFile.Limits.bytesMax >> 20) MiB; split it")
            }
            return data
        }

        /// Problems that are printed of one file.
        private static let printedProblemsMax = 20

        private func report(_ file: EvalFile, _ path: String) {
            for problem in file.problems.prefix(Self.printedProblemsMax) {
                Terminal.error("\(path) \(Terminal.escaped(problem.text))")
            }
            let more = file.problemCount - min(file.problemCount, Self.printedProblemsMax)
            if more > 0 { Terminal.error("\(path): and \(more) more lines that are not evals") }
        }

        private static func read<Value>(
            _ folder: StoreFolder, _ body: (EvalReport) throws(ReportReader.Failure) -> Value
        ) throws -> Value {
            let reader: SQLReader
            do {
                reader = try SQLReader(folder: folder)
            } catch {
                throw error.failure
            }
            do throws(ReportReader.Failure) {
                return try body(EvalReport(ReportReader(reader)))
            } catch {
                throw error.failure
            }
        }

        private func send(_ rows: [EvalRow], _ folder: StoreFolder) throws {
            var start = 0
            while start < rows.count {
                let end = min(start + InboxDocument.Limits.evalsPerFile, rows.count)
                try folder.handOver(.evals(Array(rows[start..<end])))
                start = end
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show scores by name, and the newest evals with their spans.")

        @OptionGroup var common: CommonOptions

        @Option(help: "Only evals of this name.")
        var name: String?

        @Flag(help: "Only evals whose spans are not stored.")
        var unmatched = false

        @Option(help: "Evals that are listed at most.")
        var limit = 20

        @Option(help: "\(ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
        var format: ReportFormat = .table

        @Flag(help: "Print the SQL behind the figures.")
        var explain = false

        mutating func run() throws {
            let reader = try ReportReader.open(common.configuration())
            do throws(ReportReader.Failure) {
                let window = ReportWindow(fromUnixNano: 0, untilUnixNano: Clock.unixNano())
                try EvalReport(reader).list(window: window, name: name, unmatchedOnly: unmatched, limit: limit)
                    .write(format, explains: explain)
            } catch {
                throw error.failure
            }
        }
    }
}

extension StoreFolder {
    /// Hands rows to whoever owns the data file, or writes them when nobody does. Returns when they are committed.
    func handOver(_ document: InboxDocument) throws {
        let now = Clock.unixNano()
        let name = "\(now)-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: 0 ... .max)).jsonl"
        do throws(Handover.Failure) {
            try Handover(self).send(document, name: name, nowUnixNano: now, pause: { Thread.sleep(forTimeInterval: 0.02) })
        } catch {
            throw CommandFailure(.failed, error.message)
        }
    }
}
