import CSQLite
package import SQLite
package import SpanStore
package import TelemetryModel

/// A reading connection whose statements end at a deadline. Used by one thread at a time.
package final class QueryReader {
    /// Bytes of one answer's text.
    package static let answerBytesMax = 64 << 20

    package let reader: SQLReader
    private let watch: StatementWatch
    private var limit = Duration.zero

    package init(folder: StoreFolder) throws(StoreError) {
        reader = try SQLReader(folder: folder)
        watch = StatementWatch(reader.connection)
    }

    /// Starts the clock of one question.
    package func begin(limit: Duration) {
        self.limit = limit
        watch.limit(until: ContinuousClock.now + limit)
    }

    package func end() {
        watch.limit(until: nil)
    }

    /// Runs a statement and calls `body` for each row until it says `false`.
    package func each(
        _ sql: String, _ values: [QueryValue] = [], _ body: (Statement) throws -> Bool
    ) throws {
        do {
            let statement = try reader.connection.prepare(sql)
            for (index, value) in values.enumerated() { try Self.bind(value, to: statement, at: Int32(index + 1)) }
            while try statement.step() {
                guard try body(statement) else { return }
            }
        } catch let error as SQLiteError {
            throw translated(error)
        }
    }

    /// Goes over the columns of spans; ends at the deadline, as statements do.
    func pass(_ bounds: SpanPass.Bounds, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws {
        do throws(SQLiteError) {
            try SpanPass(reader).each(bounds) { segment throws(SQLiteError) in
                try checkDeadline()
                try body(segment)
            }
        } catch {
            throw translated(error)
        }
    }

    /// The same over the model calls whose tokens count.
    func passTokenCalls(_ bounds: SpanPass.Bounds, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws {
        do throws(SQLiteError) {
            try TokenCalls.each(SpanPass(reader), bounds) { segment throws(SQLiteError) in
                try checkDeadline()
                try body(segment)
            }
        } catch {
            throw translated(error)
        }
    }

    /// The prices of models.
    func prices() throws -> PriceBook {
        do throws(SQLiteError) {
            return PriceBook(try AnnexReading.prices(reader.connection).models)
        } catch {
            throw translated(error)
        }
    }

    private func checkDeadline() throws(SQLiteError) {
        guard watch.look() else { return }
        throw SQLiteError(extendedCode: SQLITE_INTERRUPT, message: "interrupted", operation: "read spans")
    }

    /// All rows, by column.
    package func rows(_ sql: String, _ values: [QueryValue] = []) throws -> [[QueryValue]] {
        var rows: [[QueryValue]] = []
        try each(sql, values) { statement in
            rows.append(Self.row(statement))
            return true
        }
        return rows
    }

    /// The first row, if there is one.
    package func first(_ sql: String, _ values: [QueryValue] = []) throws -> [QueryValue]? {
        var row: [QueryValue]?
        try each(sql, values) { statement in
            row = Self.row(statement)
            return false
        }
        return row
    }

    /// Writes the rows as an array of objects by column name. Columns in `json` hold JSON text and are written as it.
    ///
    /// - Returns: how many rows were written.
    @discardableResult
    package func write(
        _ sql: String, _ values: [QueryValue] = [], json columns: Set<String> = [], rowsMax: Int = .max,
        into json: inout JSONWriter
    ) throws -> Int {
        var count = 0
        var names: [String] = []
        json.raw("[")
        try each(sql, values) { statement in
            guard count < rowsMax else { return false }
            if count == 0 { names = (0..<statement.columnCount).map { statement.columnName($0) } } else { json.raw(",") }
            count += 1
            json.raw("{")
            var isFirst = true
            for (index, name) in names.enumerated() {
                json.key(name, isFirst: &isFirst)
                Self.write(Self.value(statement, Int32(index)), name, columns, &json)
            }
            json.raw("}")
            try checkAnswer(json)
            return true
        }
        json.raw("]")
        return count
    }

    /// Throws when an answer has grown too large.
    package func checkAnswer(_ json: JSONWriter) throws(QueryError) {
        guard json.bytes.count <= Self.answerBytesMax else {
            throw .tooLarge("the answer has more than \(Self.answerBytesMax >> 20) MiB; ask for less")
        }
    }

    private static func write(_ value: QueryValue, _ name: String, _ columns: Set<String>, _ json: inout JSONWriter) {
        switch value {
        case .text(let text) where columns.contains(name): json.raw(text)
        case .integer(let integer) where name.hasSuffix("_unix_nano"): json.string("\(integer)")
        default: value.write(into: &json)
        }
    }

    // MARK: Values

    package static func bind(_ value: QueryValue, to statement: Statement, at index: Int32) throws(SQLiteError) {
        switch value {
        case .null: break
        case .integer(let integer): try statement.bind(index, integer)
        case .double(let double): try statement.bind(index, double)
        case .text(let text): try statement.bind(index, text)
        case .blob(let bytes): try statement.bind(index, bytes)
        }
    }

    package static func row(_ statement: Statement) -> [QueryValue] {
        (0..<statement.columnCount).map { value(statement, $0) }
    }

    package static func value(_ statement: Statement, _ column: Int32) -> QueryValue {
        switch statement.type(column) {
        case SQLITE_INTEGER: .integer(statement.integer(column))
        case SQLITE_FLOAT: .double(statement.double(column))
        case SQLITE_TEXT: .text(statement.text(column) ?? "")
        case SQLITE_BLOB: .blob(statement.blob(column))
        default: .null
        }
    }

    // MARK: Errors

    package func translated(_ error: SQLiteError) -> QueryError {
        if watch.hasEnded {
            return .tooLong(seconds: Double(limit.components.seconds) + Double(limit.components.attoseconds) / 1e18)
        }
        switch error.code {
        case SQLITE_AUTH, SQLITE_READONLY: return .invalid("\(error.message): queries only read")
        case SQLITE_ERROR, SQLITE_RANGE, SQLITE_MISMATCH, SQLITE_MISUSE, SQLITE_TOOBIG, SQLITE_CONSTRAINT:
            return .invalid(error.message)
        default: return .store(.database(error))
        }
    }
}
