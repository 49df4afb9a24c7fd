import ArgumentParser
import ClickHouse
import Fleet
import Foundation
import FuseboxConfiguration
import SQLite
import SpanStore
import StoreSQL

/// `fusebox sql`: read-only SQL over the store, beside a running server or without one.
struct SQL: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql",
        abstract: "Query spans with SQL.",
        discussion: """
            Tables: \(SQLReader.tables.joined(separator: ", ")). Functions: attr(attributes, 'key'), attr_type(attributes, 'key'), percentile(value, p), iso(nanoseconds).

            Examples:
              fusebox sql 'SELECT tool_name, calls, timeouts, p95_ms FROM tools'
              fusebox sql -p trace=80f198ee56343ba864fe8b2a57d3eff7 'SELECT name, duration_ns FROM spans WHERE trace_id = :trace'
              fusebox sql --engine fleet 'SELECT tool_name, calls, timeouts FROM tools'

            A query of an engine goes there as it is, in its dialect (docs/fleet.md). Its values are {name:Type}: {trace:String}.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var engineOptions: EngineOptions

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

    @Option(help: "Seconds that an engine may take for a query.")
    var deadlineS = EngineLimits().seconds

    @Option(help: "Rows that an engine may answer a query with; more is an error.")
    var rowsMax = EngineLimits().rows

    @Option(help: "Bytes that an engine may read for a query.")
    var readBytesMax = EngineLimits().readBytes

    mutating func validate() throws {
        guard (1...86_400).contains(deadlineS) else { throw ValidationError("--deadline-s takes 1 to 86400") }
        guard (1...100_000_000).contains(rowsMax) else { throw ValidationError("--rows-max takes 1 to 100000000") }
        guard readBytesMax > 0 else { throw ValidationError("--read-bytes-max takes a number of bytes") }
        if engineOptions.engine != nil && explain {
            throw ValidationError("--explain is of the data file; an engine explains itself: EXPLAIN indexes = 1 SELECT …")
        }
    }

    mutating func run() async throws {
        let configuration = try common.configuration()
        let folder = StoreFolder(path: configuration.dataFolder)
        let session = try session(configuration, folder)
        if let text = try queryText() {
            try session.run(text)
        } else {
            try SQLPrompt(session: session, historyPath: "\(folder.path)/sql_history").run()
        }
    }

    private func session(_ configuration: Configuration, _ folder: StoreFolder) throws -> any SQLAsking {
        let escapes = Terminal.isTerminal(.standardOutput)
        if let engine = try engineOptions.engine(configuration) {
            var limits = EngineLimits()
            (limits.seconds, limits.rows, limits.readBytes) = (deadlineS, rowsMax, readBytesMax)
            return EngineSQLSession(
                engine, format: format ?? .table, parameters: try parsedParameters(), escapes: escapes, limits: limits)
        }
        let reader: SQLReader
        do {
            reader = try SQLReader(folder: folder)
        } catch {
            throw error.failure
        }
        return SQLSession(
            reader: reader, format: format ?? .table, parameters: try parsedParameters(), escapes: escapes, explains: explain)
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
