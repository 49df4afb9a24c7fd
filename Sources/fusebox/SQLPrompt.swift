import CEditline
import Foundation
import SQLite
import SpanStore

/// The prompt of `fusebox sql` on a terminal: lines with history and editing, statements that end with a semicolon.
struct SQLPrompt {
    private static let historyLinesMax: Int32 = 1000

    private static let help = """
        Statements end with a semicolon.
          .tables            tables and views
          .schema [TABLE]    columns of all, or of one
          .format FORMAT     \(SQLFormat.allCases.map(\.rawValue).joined(separator: ", "))
          .help              this
          .quit              or control-D

        """

    let session: any SQLAsking
    let historyPath: String

    func run() throws {
        Terminal.write("\(BuildInfo.versionText)\n.help for help; statements end with a semicolon.\n")
        using_history()
        stifle_history(Self.historyLinesMax)
        read_history(historyPath)
        defer { write_history(historyPath) }
        var statement = ""
        while let line = Self.readLine(statement.isEmpty ? "fusebox> " : "    ...> ") {
            if statement.isEmpty && line.hasPrefix(".") {
                if line != "." { add_history(line) }
                if line == ".quit" || line == ".exit" { return }
                attempt { try command(line) }
                continue
            }
            statement += statement.isEmpty ? line : "\n" + line
            guard line.reversed().drop(while: { $0 == " " }).first == ";" else { continue }
            add_history(statement.replacing("\n", with: " "))
            attempt { try session.run(statement) }
            statement = ""
        }
        Terminal.write("\n")
    }

    private static func readLine(_ prompt: String) -> String? {
        guard let line = readline(prompt) else { return nil }
        defer { free(line) }
        return String(cString: line)
    }

    /// Runs a statement or command; a mistake is told and the prompt goes on.
    private func attempt(_ body: () throws -> Void) {
        do {
            try body()
        } catch let failure as CommandFailure {
            Terminal.error(failure.message)
        } catch {
            Terminal.error("\(error)")
        }
    }

    private func command(_ line: String) throws {
        let words = line.split(separator: " ").map(String.init)
        switch words[0] {
        case ".help": Terminal.write(Self.help)
        case ".tables": Terminal.write(try session.tables().joined(separator: "\n") + "\n")
        case ".schema":
            let tables = try session.tables()
            for table in words.count > 1 ? Array(words[1...]) : tables { try schema(table, of: tables) }
        case ".format":
            guard words.count == 2, let format = SQLFormat(rawValue: words[1]) else {
                throw CommandFailure(
                    .usage, ".format takes one of: \(SQLFormat.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            session.format = format
        default: throw CommandFailure(.usage, "there is no command \(words[0]); .help lists them")
        }
    }

    private func schema(_ table: String, of tables: [String]) throws {
        guard tables.contains(table) else {
            throw CommandFailure(.usage, "there is no table \(table); .tables lists them")
        }
        let columns = try session.columns(of: table)
        Terminal.write("\(table)\n")
        for column in columns { Terminal.write("  \(column.name)\(column.type.isEmpty ? "" : " \(column.type)")\n") }
    }
}
