import CSQLite
package import SQLite
package import SpanStore
package import StoreSQL
package import TelemetryModel

/// A reading connection whose statements end at a deadline. Used by one thread at a time.
package final class QueryReader {
    /// Bytes of one answer's text.
    package static let answerBytesMax = 64 << 20
    /// Bytes of one value that a statement makes: what a question cannot give it need not hold.
    private static let valueBytesMax: Int32 = 256 << 20

    package let reader: SQLReader
    private let watch: StatementWatch
    private var limit = Duration.zero
    /// What the answer under way leaves out, such as `tools after 1000`: to be told beside it.
    package private(set) var truncations: [String] = []

    package init(folder: StoreFolder, calls: CallsOfSegments = CallsOfSegments()) throws(StoreError) {
        reader = try SQLReader(folder: folder, calls: calls)
        watch = StatementWatch(reader.connection)
        do throws(SQLiteError) {
            try TraceQLFunctions.register(on: reader.connection)
        } catch {
            throw .database(error)
        }
        sqlite3_limit(reader.connection.handle, SQLITE_LIMIT_LENGTH, Self.valueBytesMax)
    }

    /// Starts the clock of one question.
    ///
    /// - Parameters:
    ///   - scope: the only project that it is about; `nil` for all.
    ///   - giveWay: called every few dozen microseconds; a question that stands behind others sleeps in it.
    /// - Returns: what ends it from another thread.
    @discardableResult
    package func begin(
        limit: Duration, scope: ProjectScope? = nil, givingWay giveWay: @escaping () -> Void = {}
    ) -> StatementWatch.Leave {
        reader.scope = scope
        self.limit = limit
        truncations = []
        watch.limit(until: ContinuousClock.now + limit, givingWay: giveWay)
        return watch.leave
    }

    package func end() {
        watch.limit(until: nil)
        reader.scope = nil
    }

    /// Notes that an answer ends after so many of something, and that there are more.
    package func noteTruncated(_ what: String, after count: Int) { truncations.append("\(what) after \(count)") }

    /// Runs a statement and calls `body` for each row until it says `false`. What it groups is grouped by column where that is possible.
    package func each(
        _ sql: String, _ values: [QueryValue] = [], _ body: (Statement) throws -> Bool
    ) throws {
        do {
            guard let statement = try reader.prepareNext(sql[...])?.statement else { return }
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
        try passing { () throws(SQLiteError) in
            try SpanPass(reader).each(bounds) { segment throws(SQLiteError) in
                try checkDeadline()
                try body(segment)
            }
        }
    }

    /// The same over whole traces.
    func passTraces(_ bounds: SpanPass.Bounds, _ body: (SpanPass.TracePart) throws(SQLiteError) -> Void) throws {
        try passing { () throws(SQLiteError) in
            try SpanPass(reader).eachTracePart(bounds) { part throws(SQLiteError) in
                try checkDeadline()
                try body(part)
            }
        }
    }

    /// The same over the model calls whose tokens count.
    func passTokenCalls(_ bounds: SpanPass.Bounds, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws {
        try passing { () throws(SQLiteError) in
            try SpanPass(reader).eachTokenCall(bounds) { segment throws(SQLiteError) in
                try checkDeadline()
                try body(segment)
            }
        }
    }

    /// The same over those of some traces.
    func passTokenCalls(of traces: Set<TraceID>, _ body: (PassedSegment) throws(SQLiteError) -> Void) throws {
        try passing { () throws(SQLiteError) in
            try SpanPass(reader).eachTokenCall(of: traces) { segment throws(SQLiteError) in
                try checkDeadline()
                try body(segment)
            }
        }
    }

    /// Runs a pass; its end is told as that of a statement.
    private func passing(_ pass: () throws(SQLiteError) -> Void) throws {
        do throws(SQLiteError) { try pass() } catch { throw translated(error) }
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
    /// - Parameters:
    ///   - rowsMax: rows that are written; a row that the query gives beyond them is noted.
    ///   - what: what the rows are, for that note.
    /// - Returns: how many rows were written.
    @discardableResult
    package func write(
        _ sql: String, _ values: [QueryValue] = [], json columns: Set<String> = [], rowsMax: Int = .max, of what: String = "rows",
        into json: inout JSONWriter
    ) throws -> Int {
        var count = 0
        var names: [String] = []
        json.raw("[")
        try each(sql, values) { statement in
            guard count < rowsMax else {
                noteTruncated(what, after: rowsMax)
                return false
            }
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

    /// Writes an array of objects, and notes that there are more of them than are written.
    func write(_ rows: some Collection<[(String, QueryValue)]>, rowsMax: Int, of what: String, into json: inout JSONWriter) throws(QueryError) {
        if rows.count > rowsMax { noteTruncated(what, after: rowsMax) }
        json.raw("[")
        for (place, row) in rows.prefix(rowsMax).enumerated() {
            if place > 0 { json.raw(",") }
            Self.write(row, into: &json)
            try checkAnswer(json)
        }
        json.raw("]")
    }

    /// Writes an object as `write` does it of a row.
    private static func write(_ row: [(String, QueryValue)], into json: inout JSONWriter) {
        json.raw("{")
        var isFirst = true
        for (name, value) in row {
            json.key(name, isFirst: &isFirst)
            write(value, name, [], &json)
        }
        json.raw("}")
    }

    private static func write(_ value: QueryValue, _ name: String, _ columns: Set<String>, _ json: inout JSONWriter) {
        switch value {
        case .text(let text) where columns.contains(name): json.exact(text)
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
            if watch.leave.wasAsked { return .gaveWay }
            return .tooLong(seconds: Double(limit.components.seconds) + Double(limit.components.attoseconds) / 1e18)
        }
        switch error.code {
        case SQLITE_AUTH where reader.scope?.isLimit == true:
            return .forbidden("this token may read project '\(reader.scope?.name ?? "")' alone, and the query cannot be limited to one project: \(error.message)")
        case SQLITE_AUTH, SQLITE_READONLY: return .invalid("\(error.message): queries only read")
        case SQLITE_ERROR, SQLITE_RANGE, SQLITE_MISMATCH, SQLITE_MISUSE, SQLITE_TOOBIG, SQLITE_CONSTRAINT:
            return .invalid(error.message)
        default: return .store(.database(error))
        }
    }
}
