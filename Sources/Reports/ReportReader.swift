package import SQLite
import SpanStore
package import StoreSQL
import TelemetryModel

/// Reads figures by SQL: the same text that `--explain` prints.
package struct ReportReader {
    package let connection: Connection
    private let reader: SQLReader
    private let held: (any AnyObject & Sendable)?
    /// Whether what stands beside spans is there too: breakers, stalls, heartbeats, evals. An engine has the spans alone.
    package var isOfNode: Bool { held == nil }

    /// - Parameter held: what has to be there while spans of an engine are read; `nil` for a node's data folder.
    package init(_ reader: SQLReader, over held: (any AnyObject & Sendable)? = nil) {
        connection = reader.connection
        self.reader = reader
        self.held = held
    }

    /// Why a report could not be made.
    package enum Failure: Error, Sendable {
        /// The user's condition is not SQL over the columns of `spans`.
        case condition(String)
        case database(SQLiteError)

        package var isRetryable: Bool {
            switch self {
            case .condition: false
            case .database(let error): error.isRetryable
            }
        }

        package var message: String {
            switch self {
            case .condition(let message): message
            case .database(let error): error.message
            }
        }
    }

    /// The rows of a query.
    package func rows<Row>(_ sql: String, _ read: (Statement) throws(SQLiteError) -> Row) throws(Failure) -> [Row] {
        var rows: [Row] = []
        try each(sql) { statement throws(SQLiteError) in rows.append(try read(statement)) }
        return rows
    }

    /// Runs over the rows of a query without keeping them.
    package func each(_ sql: String, _ body: (Statement) throws(SQLiteError) -> Void) throws(Failure) {
        do throws(SQLiteError) {
            let statement = try connection.prepare(sql)
            while try statement.step() { try body(statement) }
        } catch {
            throw .database(error)
        }
    }

    /// The first row of a query; `nil` without one.
    package func row<Row>(_ sql: String, _ read: (Statement) throws(SQLiteError) -> Row) throws(Failure) -> Row? {
        try rows(sql, read).first
    }

    /// Checks a user's condition before it goes into queries: it must be one expression over the columns of `spans`.
    package func check(_ window: ReportWindow) throws(Failure) {
        guard let condition = window.condition else { return }
        if let problem = UserCondition.problem(condition) {
            throw .condition(Self.message(of: problem, in: condition))
        }
        do throws(SQLiteError) {
            _ = try connection.prepare("SELECT 1 FROM spans WHERE (\(condition)) LIMIT 0")
        } catch {
            throw .condition("--where is not a condition over the columns of spans: \(error.message)")
        }
    }

    /// What is wrong with a user's condition.
    package static func message(of problem: String, in condition: String) -> String {
        "--where takes one SQL condition over the columns of spans, but of '\(condition)' \(problem)"
    }

    // MARK: Columns

    /// Goes over the columns of the spans that `spansCondition` is met by: for sums over so many that a row of SQL for each would
    /// cost seconds. The query that a report prints gives the same figures, and tests hold the two together.
    func pass(_ window: ReportWindow, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws(Failure) {
        do throws(SQLiteError) {
            try SpanPass(reader).each(bounds(window), body)
        } catch {
            throw .database(error)
        }
    }

    /// The same over the model calls whose tokens count.
    func passTokenCalls(_ window: ReportWindow, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws(Failure) {
        do throws(SQLiteError) {
            try SpanPass(reader).eachTokenCall(bounds(window), body)
        } catch {
            throw .database(error)
        }
    }

    private func bounds(_ window: ReportWindow) -> SpanPass.Bounds {
        SpanPass.Bounds(.latestKnown, from: window.fromUnixNano, until: window.untilUnixNano, condition: window.condition)
    }

    // MARK: Windows in SQL

    /// The condition for spans that end in the window, or begin in it while they have no end. The start is bounded by the segments that reach into it, so that the others
    /// are not read.
    package func spansCondition(_ window: ReportWindow) throws(Failure) -> String {
        let earliest = try row(
            "SELECT min(start_min) FROM segment WHERE end_max >= \(window.fromUnixNano) OR end_min <= 0", { $0.isNull(0) ? nil : $0.integer(0) })
        var terms = [
            "latest_known_unix_nano >= \(window.fromUnixNano)", "latest_known_unix_nano < \(window.untilUnixNano)",
            "start_time_unix_nano < \(window.untilUnixNano)",
        ]
        if let earliest, let earliest { terms.append("start_time_unix_nano >= \(earliest)") }
        if let condition = window.condition { terms.append("(\(condition))") }
        return terms.joined(separator: "\n    AND ")
    }
}
