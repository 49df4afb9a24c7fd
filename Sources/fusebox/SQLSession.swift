import CSQLite
import SQLite
import SpanStore
import StoreSQL

/// Where queries go: the data file or an engine. Used by one thread.
protocol SQLAsking: AnyObject {
    /// How rows are written.
    var format: SQLFormat { get set }
    /// Runs every statement of the text, one after the other, and writes what each gives. One that fails is the last.
    func run(_ text: String) throws
    /// Tables and views that can be asked.
    func tables() throws -> [String]
    /// A table's columns, in order; the type is empty where it has none.
    func columns(of table: String) throws -> [(name: String, type: String)]
}

/// Runs queries of the data file and writes their rows.
final class SQLSession: SQLAsking {
    private let reader: SQLReader
    var format: SQLFormat
    private let parameters: SQLParameters
    /// Whether values go to a terminal, where control characters must not act.
    private let escapes: Bool
    /// Whether to say of each query what it read.
    private let explains: Bool

    init(reader: SQLReader, format: SQLFormat, parameters: [String: String], escapes: Bool, explains: Bool) {
        self.explains = explains
        self.reader = reader
        self.format = format
        self.parameters = SQLParameters(parameters)
        self.escapes = escapes
    }

    /// Runs every statement of the text, one after the other.
    func run(_ text: String) throws {
        do {
            var rest = text[...]
            var isEmpty = true
            while let (statement, behind) = try reader.prepareNext(rest) {
                rest = behind
                guard let statement else { continue }
                isEmpty = false
                try bind(statement)
                var writer = SQLRowWriter(format: format, escapes: escapes, columns: Self.columnNames(statement))
                reader.report.clear()
                while try statement.step() { writer.write(Self.row(statement)) }
                writer.finish()
                statement.reset()
                if explains { Terminal.write(reader.report.text, to: .standardError) }
            }
            if isEmpty { throw CommandFailure(.usage, "there is no query in the text") }
        } catch let error as SQLiteError {
            throw Self.failure(error)
        }
    }

    func tables() -> [String] { SQLReader.tables }

    func columns(of table: String) throws -> [(name: String, type: String)] { try reader.columns(of: table) }

    private func bind(_ statement: Statement) throws {
        do {
            try parameters.bind(to: statement)
        } catch SQLParameters.Problem.unnamed {
            throw CommandFailure(.usage, "use named parameters such as :name, and give them with -p name=value")
        } catch SQLParameters.Problem.missing(let name) {
            throw CommandFailure(.usage, "the query has :\(name); give it with -p \(name)=value")
        }
    }

    private static func columnNames(_ statement: Statement) -> [String] {
        (0..<statement.columnCount).map { statement.columnName($0) }
    }

    private static func row(_ statement: Statement) -> [SQLValue] {
        (0..<statement.columnCount).map { column in
            switch statement.type(column) {
            case SQLITE_INTEGER: .integer(statement.integer(column))
            case SQLITE_FLOAT: .double(statement.double(column))
            case SQLITE_TEXT: .text(statement.text(column) ?? "")
            case SQLITE_BLOB: .blob(statement.blob(column))
            default: .null
            }
        }
    }

    private static func failure(_ error: SQLiteError) -> CommandFailure {
        switch error.code {
        case SQLITE_AUTH, SQLITE_READONLY:
            CommandFailure(.failed, "\(error.message): `fusebox sql` only reads")
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            StoreError.database(error).failure
        default: CommandFailure(.failed, hint(error.message))
        }
    }

    /// Messages that a newcomer meets, with what helps.
    private static func hint(_ message: String) -> String {
        if message.hasPrefix("no such table") { return "\(message); tables are: \(SQLReader.tables.joined(separator: ", "))" }
        if message.hasPrefix("no such column") {
            return "\(message); `.schema` at the prompt lists columns, and attr(attributes, 'key') reads any other attribute"
        }
        return message
    }
}
