import ArgumentParser
import Foundation
import FuseboxConfiguration
import SQLite
import SpanStore

/// `fusebox sql`: read-only SQL over the store, beside a running server or without one.
struct SQL: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql",
        abstract: "Ask SQL about spans.",
        discussion: """
            Tables: \(SQLReader.tables.joined(separator: ", ")). Functions: attr(attributes, 'key'), percentile(value, p), iso(nanoseconds).

            Examples:
              fusebox sql 'SELECT tool_name, calls, timeouts, p95_ms FROM tools'
              fusebox sql -p trace=80f198ee56343ba864fe8b2a57d3eff7 'SELECT name, duration_ns FROM spans WHERE trace_id = :trace'
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The query; without it, a prompt on a terminal, or queries from standard input.")
    var query: String?

    @Option(name: .shortAndLong, help: "Read the query from a file.")
    var file: String?

    @Option(name: .shortAndLong, help: "A value for :name in the query, as name=value; may be given more than once.")
    var parameter: [String] = []

    @Flag(help: "Say on standard error which segments and columns each query read, and which it skipped.")
    var explain = false

    @Option(help: "\(SQLFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
    var format: SQLFormat?

    mutating func run() async throws {
        let folder = StoreFolder(path: try common.configuration().dataFolder)
        let reader: SQLReader
        do {
            reader = try SQLReader(folder: folder)
        } catch {
            throw error.failure
        }
        let session = SQLSession(
            reader: reader, format: format ?? .table, parameters: try parsedParameters(),
            escapes: Terminal.isTerminal(.standardOutput), explains: explain)
        if let text = try queryText() {
            try session.run(text)
        } else {
            try SQLPrompt(session: session, historyPath: "\(folder.path)/sql_history").run()
        }
    }

    /// The text to run; `nil` for a prompt.
    private func queryText() throws -> String? {
        if let query, file != nil {
            throw CommandFailure(.usage, "give the query itself or a file with -f, not both: \(query)")
        }
        if let query { return query }
        if let file { return try InputFile.text(file) }
        if Terminal.inputIsTerminal { return nil }
        return String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
    }

    private func parsedParameters() throws -> [String: String] {
        var parameters: [String: String] = [:]
        for text in parameter {
            guard let (name, value) = SQLParameters.assignment(text) else {
                throw CommandFailure(.usage, "-p takes name=value, not '\(text)'")
            }
            parameters[name] = value
        }
        return parameters
    }
}

/// How rows are written.
enum SQLFormat: String, CaseIterable, ExpressibleByArgument {
    case table, csv, json, jsonl, markdown
}
