import ArgumentParser
import Fleet
import FuseboxConfiguration
import Queries
import Reports
import SQLite
import SpanStore
import TelemetryModel

/// How a report is written.
enum ReportFormat: String, CaseIterable, ExpressibleByArgument {
    case table, json, markdown
}

/// Flags that reports share: the window, the form.
struct ReportOptions: ParsableArguments {
    @Option(help: "Start of the window: how long ago (90s, 15m, 4h, 7d), or a time (2026-11-21T08:00:00Z).")
    var since = "24h"

    @Option(help: "End of the window, in the same forms; without it, now.")
    var until: String?

    @Option(help: "Count only spans that meet this SQL condition, such as \"service_name = 'agent'\".")
    var `where`: String?

    @Flag(help: "Print the SQL behind the figures.")
    var explain = false

    func window(nowUnixNano now: Int64) throws -> ReportWindow {
        let from = try ReportTime.parse(since, nowUnixNano: now, flag: "--since")
        // Nobody watched the future.
        let until = min(now, try until.map { try ReportTime.parse($0, nowUnixNano: now, flag: "--until") } ?? now)
        guard from < until else { throw CommandFailure(.usage, "--since must be before --until") }
        return ReportWindow(fromUnixNano: from, untilUnixNano: until, condition: self.where)
    }
}

/// Times on the command line.
enum ReportTime {
    /// A time, or how long ago.
    static func parse(_ text: String, nowUnixNano now: Int64, flag: String) throws -> Int64 {
        if text == "now" { return now }
        if let nanoseconds = duration(text) { return max(0, now - nanoseconds) }
        if let time = TimeText.unixNano(iso8601: text) { return time }
        throw CommandFailure(.usage, "\(flag) is '\(text)'; give how long ago (90s, 15m, 4h, 7d) or a time (2026-11-21T08:00:00Z)")
    }

    /// `90s`, `15m`, `4h`, `7d`, `2w` in nanoseconds.
    static func duration(_ text: String) -> Int64? {
        let seconds: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800]
        guard let unit = text.last.flatMap({ seconds[$0] }), let count = Double(text.dropLast()), count > 0, count * unit < 9e9
        else { return nil }
        return Int64(count * unit * 1e9)
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
