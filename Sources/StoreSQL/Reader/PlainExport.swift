import CSQLite
import SQLite
package import SpanStore

/// Writes the store into a new SQLite file with ordinary tables, which any program that knows SQLite opens.
package enum PlainExport {
    /// What is written, with the SQL that reads it; the new tables have the same columns.
    private static let tables: [(name: String, query: String)] = [
        ("spans", "SELECT * FROM spans"), ("logs", "SELECT * FROM logs"), ("evals", "SELECT * FROM evals"),
        ("breaker_transitions", "SELECT * FROM breaker_transitions"),
        ("breaker_openings", "SELECT * FROM breaker_openings"), ("costs", "SELECT * FROM costs"),
    ]
    private static let indexes = """
        CREATE INDEX spans_trace_id ON spans (trace_id);
        CREATE INDEX spans_start_time ON spans (start_time_unix_nano);
        CREATE INDEX logs_trace_id ON logs (trace_id);
        CREATE INDEX logs_time ON logs (time_unix_nano);
        """
    private static let rowsPerProgress: Int64 = 5000

    /// Copies every span that started in `times`, the log records of them, and evals, transitions and costs whole.
    ///
    /// - Parameters:
    ///   - target: a path where nothing is yet.
    ///   - progress: told how many of how many spans are copied.
    /// - Returns: how many spans were written.
    package static func run(
        reader: SQLReader, to target: String, startUnixNano times: ClosedRange<Int64>,
        progress: (_ done: Int64, _ total: Int64) -> Void = { _, _ in }
    ) throws(StoreError) -> Int64 {
        do {
            return try NewFile.write(target) { try write(reader, to: $0, times, progress) }
        } catch {
            throw SpanStore.storeError(error)
        }
    }

    private static func write(
        _ reader: SQLReader, to path: String, _ times: ClosedRange<Int64>, _ progress: (Int64, Int64) -> Void
    ) throws -> Int64 {
        let writer = try Connection(path: path, access: .readWrite)
        // Until it is done the file is worth nothing: a crash leaves one to remove.
        try writer.execute("PRAGMA journal_mode = OFF")
        try writer.execute("PRAGMA synchronous = OFF")
        var spans: Int64 = 0
        try reader.connection.execute("BEGIN")
        let total = try reader.connection.integer("SELECT count(*) FROM spans") ?? 0
        try writer.execute("BEGIN")
        for table in tables {
            let isSpans = table.name == "spans"
            let statement = try reader.connection.prepare(table.query + condition(table.name, times))
            let copied = try copy(statement, into: table.name, of: writer) { if isSpans { progress($0, total) } }
            if isSpans { spans = copied }
        }
        try writer.execute(indexes)
        try writer.execute("COMMIT")
        try reader.connection.execute("COMMIT")
        try writer.execute("PRAGMA journal_mode = DELETE")
        return spans
    }

    /// Spans by their start, log records by their time; the others are copied whole.
    private static func condition(_ table: String, _ times: ClosedRange<Int64>) -> String {
        let column: String
        switch table {
        case "spans": column = "start_time_unix_nano"
        case "logs": column = "time_unix_nano"
        default: return ""
        }
        return " WHERE \(column) BETWEEN \(times.lowerBound) AND \(times.upperBound)"
    }

    private static func copy(
        _ source: Statement, into table: String, of writer: Connection, _ progress: (Int64) -> Void
    ) throws(SQLiteError) -> Int64 {
        let columns = (0..<source.columnCount).map { "\(source.columnName($0)) \(source.declaredType($0))" }
        try writer.execute("CREATE TABLE \(table) (\(columns.joined(separator: ", ")))")
        let places = Array(repeating: "?", count: columns.count).joined(separator: ", ")
        let insert = try writer.prepare("INSERT INTO \(table) VALUES (\(places))")
        var rows: Int64 = 0
        while try source.step() {
            for column in 0..<source.columnCount {
                guard let value = sqlite3_column_value(source.handle, column) else { continue }
                let result = sqlite3_bind_value(insert.handle, column + 1, value)
                guard result == SQLITE_OK else { throw writer.error(result, "copy a row of \(table)") }
            }
            try insert.run()
            rows += 1
            if rows % rowsPerProgress == 0 { progress(rows) }
        }
        return rows
    }
}
