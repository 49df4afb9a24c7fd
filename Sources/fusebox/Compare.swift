import ArgumentParser
import FuseboxConfiguration
import Reports
import SQLite
import TelemetryModel

/// `fusebox compare`: two windows, services, environments or hosts.
struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare two windows, services, environments or hosts: latency with confidence intervals, cost, and which is better for what.",
        discussion: """
            A side is a list of terms with commas between: service=NAME, environment=NAME, host=NAME, workflow=NAME, since=TIME, \
            until=TIME, or ATTRIBUTE=VALUE. A bare word is a service, environment or host, whichever has it.

            Examples:
              fusebox compare laptop gpu-node --since 6h
              fusebox compare since=2d,until=1d since=1d,service=agent
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var engine: EngineOptions
    @OptionGroup var options: ReportOptions

    @Argument(help: "The one side.")
    var a: String

    @Argument(help: "The other side.")
    var b: String

    @Option(help: "Seed of the draws; the same seed gives the same intervals.")
    var seed: UInt64 = CompareReport.Settings().seed

    @Option(help: "Runs that are left out as warm-up at most; those of the first five minutes at most.")
    var warmup = CompareReport.Settings().warmupRuns

    @Option(help: "\(ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: ReportFormat = .table

    mutating func run() throws {
        let configuration = try common.configuration()
        let now = Clock.unixNano()
        let window = try options.window(nowUnixNano: now)
        let reader = try ReportReader.open(configuration, engine, try span(window, nowUnixNano: now))
        let sides = try [a, b].map { try side($0, window, reader, nowUnixNano: now) }
        var settings = CompareReport.Settings()
        settings.seed = seed
        settings.warmupRuns = max(0, warmup)
        settings.limits = configuration.gateLimits
        let document: ReportDocument
        do throws(ReportReader.Failure) {
            document = try CompareReport(reader, settings: settings).make(sides[0], sides[1]).document
        } catch {
            throw error.failure
        }
        document.write(format, explains: options.explain)
        try document.exit()
    }

    /// From the earliest start of a side to the latest end.
    private func span(_ window: ReportWindow, nowUnixNano now: Int64) throws -> ReportWindow {
        try [a, b].reduce(into: window) { span, text in
            let side = try times(text, window, nowUnixNano: now)
            span.fromUnixNano = min(span.fromUnixNano, side.fromUnixNano)
            span.untilUnixNano = max(span.untilUnixNano, side.untilUnixNano)
        }
    }

    /// The times of a side; those of `window` where it says none.
    private func times(_ text: String, _ window: ReportWindow, nowUnixNano now: Int64) throws -> ReportWindow {
        var window = window
        for term in text.split(separator: ",").map(String.init) {
            let sides = term.split(separator: "=", maxSplits: 1).map(String.init)
            guard sides.count == 2 else { continue }
            switch sides[0] {
            case "since": window.fromUnixNano = max(0, try time(sides, nowUnixNano: now))
            case "until": window.untilUnixNano = try time(sides, nowUnixNano: now)
            default: break
            }
        }
        return window
    }

    private func time(_ term: [String], nowUnixNano now: Int64) throws -> Int64 {
        do {
            return try MomentText(term[1]).unixNano(nowUnixNano: now)
        } catch {
            throw CommandFailure(.usage, "\(term[0]) is '\(Terminal.escaped(term[1]))': \(error.message)")
        }
    }

    private func side(_ text: String, _ window: ReportWindow, _ reader: ReportReader, nowUnixNano now: Int64) throws -> CompareReport.Side {
        var window = try times(text, window, nowUnixNano: now)
        var terms = window.condition.map { ["(\($0))"] } ?? []
        for term in text.split(separator: ",").map(String.init) {
            let sides = term.split(separator: "=", maxSplits: 1).map(String.init)
            guard sides.count == 2 else {
                terms.append(try condition(ofWord: term, reader))
                continue
            }
            switch sides[0] {
            case "since", "until": break
            case "service": terms.append("service_name = \(Self.quoted(sides[1]))")
            case "workflow": terms.append("workflow_name = \(Self.quoted(sides[1]))")
            case "environment": terms.append(Self.environment(sides[1]))
            case "host": terms.append(Self.host(sides[1]))
            default:
                let key = Self.quoted(sides[0])
                terms.append("coalesce(attr(attributes, \(key)), attr(resource_attributes, \(key))) = \(Self.quoted(sides[1]))")
            }
        }
        guard window.fromUnixNano < window.untilUnixNano else {
            throw CommandFailure(.usage, "of the side '\(Terminal.escaped(text))', since must be before until")
        }
        window.condition = terms.isEmpty ? nil : terms.joined(separator: " AND ")
        return CompareReport.Side(name: text, window: window)
    }

    private static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

    private static func environment(_ name: String) -> String {
        "coalesce(attr(resource_attributes, 'deployment.environment.name'), attr(resource_attributes, 'deployment.environment')) = "
            + quoted(name)
    }

    private static func host(_ name: String) -> String { "attr(resource_attributes, 'host.name') = \(quoted(name))" }

    private func condition(ofWord word: String, _ reader: ReportReader) throws -> String {
        for condition in ["service_name = \(Self.quoted(word))", Self.environment(word), Self.host(word)] {
            do throws(ReportReader.Failure) {
                if try reader.row("SELECT 1 FROM spans WHERE \(condition) LIMIT 1", { $0.integer(0) }) != nil { return condition }
            } catch {
                throw error.failure
            }
        }
        throw CommandFailure(.usage, "no service, environment or host is called '\(word)'")
    }
}
