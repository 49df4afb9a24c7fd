import ClickHouse
package import Forwarding
import NIOPosix
package import Queries
import Synchronization
package import TelemetryModel

/// What is asked of an engine by everybody at once: its spans, and SQL in its own dialect. From any thread that may wait.
package final class FleetQuestions: EngineStatements {
    /// Tables of one answer, and columns of all of them.
    private static let columnsMax = 10_000
    /// How long the engine may work for a statement.
    private static let secondsMax = 30

    package let name: String
    package let spans: FleetSpans
    private let plan: ForwardTargetPlan
    private let engine: @Sendable (ForwardTargetPlan) -> Engine?

    package convenience init(_ plan: ForwardTargetPlan, spans: FleetSpans) {
        self.init(plan, spans: spans) { Engine($0, group: MultiThreadedEventLoopGroup.singleton) }
    }

    /// - Parameter engine: makes what is asked, for the thread that asks.
    init(_ plan: ForwardTargetPlan, spans: FleetSpans, engine: @escaping @Sendable (ForwardTargetPlan) -> Engine?) {
        name = plan.name
        self.plan = plan
        self.spans = spans
        self.engine = engine
    }

    /// Why a server over an engine takes nothing in.
    package static func closedBecause(_ engine: String) -> String {
        "this server reads the engine \(engine) and accepts no telemetry: send it to a node, which forwards it there"
    }

    /// Runs a query and writes `{"columns":[…],"rows":[[…]],"row_count":n,"truncated":…}`, as `SQLAnswer` does.
    package func write(
        _ query: String, parameters: [String: String], limits: SQLAnswer.Limits, into json: inout JSONWriter
    ) throws(QueryError) {
        let rows = try answer(query, parameters, rows: limits.rows)
        json.raw("{\"columns\":[")
        for (index, name) in rows.names.enumerated() {
            if index > 0 { json.raw(",") }
            json.string(name)
        }
        json.raw("],\"rows\":[")
        var count = 0
        while count < min(rows.rowCount, limits.rows), json.bytes.count < limits.bytes {
            json.raw(count > 0 ? ",[" : "[")
            for (index, value) in try row(count, of: rows).enumerated() {
                if index > 0 { json.raw(",") }
                value.queryValue.write(into: &json)
            }
            json.raw("]")
            count += 1
        }
        json.raw("],\"row_count\":")
        json.integer(Int64(count))
        json.raw(",\"truncated\":")
        json.bool(count < rows.rowCount)
        json.raw("}")
    }

    @discardableResult
    package func each(
        _ query: String, parameters: [String: String], rows: Int, _ body: ([QueryValue]) throws(QueryError) -> Bool
    ) throws(QueryError) -> [String] {
        let answer = try answer(query, parameters, rows: rows)
        for index in 0..<answer.rowCount {
            guard try body(try row(index, of: answer).map(\.queryValue)) else { break }
        }
        return answer.names
    }

    /// The rows of the only statement of a text, and one more where there are more.
    private func answer(_ query: String, _ parameters: [String: String], rows: Int) throws(QueryError) -> ClickHouseRows {
        let statements = StatementText.parts(query)
        guard statements.count == 1 else {
            throw .invalid(
                statements.isEmpty
                    ? "there is no query in the text" : "one statement at a time; there is another behind the first")
        }
        var asked = EngineLimits()
        asked.seconds = Self.secondsMax
        (asked.rows, asked.isCut) = (rows, true)
        return try self.rows(statements[0], parameters, asked)
    }

    package func tables() throws(QueryError) -> [(name: String, columns: [String])] {
        var limits = EngineLimits()
        (limits.seconds, limits.rows) = (10, Self.columnsMax)
        let rows = try rows(
            "SELECT table, name FROM system.columns WHERE database = currentDatabase() ORDER BY table, position", [:], limits)
        var tables: [(name: String, columns: [String])] = []
        for index in 0..<rows.rowCount {
            let row = try row(index, of: rows)
            guard row.count == 2, case .text(let of) = row[0], case .text(let name) = row[1] else { continue }
            if tables.last?.name != of { tables.append((of, [])) }
            tables[tables.count - 1].columns.append(name)
        }
        return tables
    }

    /// Writes the views and tables that can be asked, with their columns.
    package func writeSchema(into json: inout JSONWriter) throws(QueryError) {
        json.raw("[")
        for (index, table) in try tables().enumerated() {
            json.raw(index > 0 ? ",{\"name\":" : "{\"name\":")
            json.string(table.name)
            json.raw(",\"columns\":[")
            for (place, name) in table.columns.enumerated() {
                if place > 0 { json.raw(",") }
                json.string(name)
            }
            json.raw("]}")
        }
        json.raw("]")
    }

    private func rows(_ statement: String, _ parameters: [String: String], _ limits: EngineLimits) throws(QueryError)
        -> ClickHouseRows
    {
        guard let engine = engine(plan) else {
            throw .unavailable("\(name) is not an engine that can be queried")
        }
        do throws(EngineError) {
            return try engine.rows(statement, parameters: parameters, limits)
        } catch {
            throw QueryError(error)
        }
    }

    private func row(_ index: Int, of rows: ClickHouseRows) throws(QueryError) -> [ClickHouseValue] {
        do throws(ClickHouseRows.Problem) {
            return try rows.row(index)
        } catch {
            throw .unavailable(Engine.unreadable(error, name).message)
        }
    }
}

extension ClickHouseValue {
    fileprivate var queryValue: QueryValue {
        switch self {
        case .null: .null
        case .integer(let integer): .integer(integer)
        case .double(let double): .double(double)
        case .text(let text): .text(text)
        }
    }
}
