import ArgumentParser
import Fleet
import FuseboxConfiguration
import Queries
import Reports
import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// How a report is written.
enum ReportFormat: String, CaseIterable, ExpressibleByArgument {
    case table, json, markdown
}

/// Flags that reports share: the window, the form.
struct ReportOptions: ParsableArguments {
    @Option(
        help: "Start of the window: how long ago (90s, 15m, 4h, 7d), a time (2026-11-21T08:00:00Z), or nanoseconds since 1970 (default: 24h).",
        transform: TimeArgument.init)
    var since: TimeArgument?

    @Option(help: "End of the window, in the same forms; without it, now.", transform: TimeArgument.init)
    var until: TimeArgument?

    @Option(help: "Count only spans that meet this SQL condition, such as \"service_name = 'agent'\".")
    var `where`: String?

    @Flag(help: "Print the SQL behind the figures.")
    var explain = false

    func window(nowUnixNano now: Int64) throws -> ReportWindow {
        // A side of a comparison joins it with conditions of its own.
        if let condition = self.where, let problem = UserCondition.problem(condition) {
            throw CommandFailure(.usage, ReportReader.message(of: problem, in: condition))
        }
        let day: Int64 = 86_400_000_000_000
        let from = max(0, since?.unixNano(nowUnixNano: now) ?? now.subtractingSaturated(day))
        // Nobody watched the future.
        let until = min(now, until?.unixNano(nowUnixNano: now) ?? now)
        guard from < until else { throw CommandFailure(.usage, "--since must be before --until, and in the past") }
        return ReportWindow(fromUnixNano: from, untilUnixNano: until, condition: self.where)
    }
}

extension ReportReader.Failure {
    var failure: CommandFailure {
        switch self {
        case .condition(let message): CommandFailure(.usage, message)
        case .database(let error): StoreError.database(error).failure
        }
    }
}

extension ReportDocument {
    /// Writes the report, and ends the command with the verdict's exit code when it is not "passed".
    func write(_ format: ReportFormat, explains: Bool) {
        let escape: (String) -> String = { Terminal.escaped($0) }
        switch format {
        case .table: Terminal.write(text(explains: explains, escaped: escape))
        case .markdown: Terminal.write(markdown(explains: explains, escaped: escape))
        case .json:
            let text = json(explains: explains).pretty
            Terminal.write(Terminal.isTerminal(.standardOutput) ? Terminal.escapedJSON(text) : text)
        }
    }
}

extension ReportReader {
    /// Seconds that an engine may take for the spans of a report.
    private static let engineSecondsMax = 300

    /// A reader of the data folder.
    static func open(_ configuration: Configuration) throws -> ReportReader {
        do throws(StoreError) {
            return ReportReader(try SQLReader(folder: StoreFolder(path: configuration.dataFolder)))
        } catch {
            throw error.failure
        }
    }

    /// A reader of the data folder, or of the spans of a window that an engine has.
    static func open(_ configuration: Configuration, _ engine: EngineOptions, _ window: ReportWindow) throws -> ReportReader {
        guard let fleet = try engine.fleet(configuration) else {
            try configuration.loadPricesForReport()
            return try open(configuration)
        }
        do {
            let (folder, held) = try fleet.folder(
                of: .window(from: window.fromUnixNano, to: window.untilUnixNano), seconds: engineSecondsMax)
            return ReportReader(try SQLReader(folder: folder), over: held)
        } catch let error as QueryError {
            throw error.failure
        } catch let error as StoreError {
            throw error.failure
        }
    }
}
