import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// A user's own query: one statement that reads, within limits.
package struct SQLAnswer: Sendable {
    package struct Limits: Sendable {
        package var rows = 1000
        /// Of the answer as JSON.
        package var bytes = 8 << 20

        package init() {}
    }

    /// Most that a question may ask for.
    package static let rowsMax = 10_000
    package static let queryBytesMax = 64 << 10

    /// Runs the query and writes `{"columns":[…],"rows":[[…]],"row_count":n,"truncated":…}`.
    package static func write(
        _ query: String, parameters: [String: String], limits: Limits, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        do {
            let statement = try prepared(query, parameters, reader)
            let names = (0..<statement.columnCount).map { statement.columnName($0) }
            json.raw("{\"columns\":[")
            for (index, name) in names.enumerated() {
                if index > 0 { json.raw(",") }
                json.string(name)
            }
            json.raw("],\"rows\":[")
            var count = 0
            var isTruncated = false
            while try statement.step() {
                guard count < limits.rows, json.bytes.count < limits.bytes else {
                    isTruncated = true
                    break
                }
                if count > 0 { json.raw(",") }
                count += 1
                json.raw("[")
                for index in names.indices {
                    if index > 0 { json.raw(",") }
                    QueryReader.value(statement, Int32(index)).write(into: &json)
                }
                json.raw("]")
            }
            json.raw("],\"row_count\":")
            json.integer(Int64(count))
            json.raw(",\"truncated\":")
            json.bool(isTruncated)
            json.raw("}")
        } catch let error as SQLiteError {
            throw reader.translated(error)
        }
    }

    /// Runs the query and calls `body` for each row until it says `false`. Gives the names of the columns.
    @discardableResult
    package static func each(
        _ query: String, parameters: [String: String], _ reader: QueryReader, _ body: ([QueryValue]) throws -> Bool
    ) throws -> [String] {
        do {
            let statement = try prepared(query, parameters, reader)
            while try statement.step() {
                guard try body(QueryReader.row(statement)) else { break }
            }
            return (0..<statement.columnCount).map { statement.columnName($0) }
        } catch let error as SQLiteError {
            throw reader.translated(error)
        }
    }

    private static func prepared(_ query: String, _ parameters: [String: String], _ reader: QueryReader) throws -> Statement {
        guard let (found, rest) = try reader.reader.prepareNext(query[...]), let statement = found else {
            throw QueryError.invalid("there is no query in the text")
        }
        if let (second, _) = try reader.reader.prepareNext(rest), second != nil {
            throw QueryError.invalid("one statement at a time; there is another behind the first")
        }
        try bind(statement, parameters)
        return statement
    }

    private static func bind(_ statement: Statement, _ parameters: [String: String]) throws {
        do {
            try SQLParameters(parameters).bind(to: statement)
        } catch SQLParameters.Problem.unnamed {
            throw QueryError.invalid("use named parameters such as :name, and give their values (p.name=value in the API's URL)")
        } catch SQLParameters.Problem.missing(let name) {
            throw QueryError.invalid("the query has :\(name); give its value (p.\(name)=value in the API's URL)")
        }
    }
}
