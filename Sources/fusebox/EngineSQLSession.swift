import ClickHouse
import Fleet

/// Runs queries of an engine and writes their rows.
final class EngineSQLSession: SQLAsking {
    var format: SQLFormat
    private let engine: Engine
    private let parameters: [String: String]
    private let escapes: Bool
    private let limits: EngineLimits

    init(_ engine: Engine, format: SQLFormat, parameters: [String: String], escapes: Bool, limits: EngineLimits) {
        self.engine = engine
        self.format = format
        self.parameters = parameters
        self.escapes = escapes
        self.limits = limits
    }

    /// Runs every statement of the text, one after the other.
    func run(_ text: String) throws {
        let statements = StatementText.parts(text)
        guard !statements.isEmpty else { throw CommandFailure(.usage, "there is no query in the text") }
        for statement in statements { try run(one: statement) }
    }

    private func run(one statement: String) throws {
        let rows = try asking { try engine.rows(statement, parameters: parameters, limits) }
        var writer = SQLRowWriter(format: format, escapes: escapes, columns: rows.names)
        for index in 0..<rows.rowCount { writer.write(try asking { try rows.row(index).map(\.sqlValue) }) }
        writer.finish()
    }

    func tables() throws -> [String] {
        let rows = try asking { try engine.rows("SHOW TABLES", limits) }
        return try (0..<rows.rowCount).compactMap { index in
            guard case .text(let name)? = try asking({ try rows.row(index) }).first else { return nil }
            return name
        }
    }

    func columns(of table: String) throws -> [(name: String, type: String)] {
        let rows = try asking { try engine.rows("DESCRIBE TABLE {table:Identifier}", parameters: ["table": table], limits) }
        return try (0..<rows.rowCount).compactMap { index in
            let row = try asking { try rows.row(index) }
            guard row.count >= 2, case .text(let name) = row[0], case .text(let type) = row[1] else { return nil }
            return (name, type)
        }
    }

    private func asking<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as EngineError {
            throw error.failure
        } catch let error as ClickHouseRows.Problem {
            throw CommandFailure(.failed, "\(engine.name): the answer cannot be read: \(error.message)")
        }
    }
}

extension EngineError {
    /// The failure that a command ends with.
    var failure: CommandFailure { CommandFailure(.failed, message) }
}

extension ClickHouseValue {
    /// The value for `SQLRowWriter`.
    var sqlValue: SQLValue {
        switch self {
        case .null: .null
        case .integer(let integer): .integer(integer)
        case .double(let double): .double(double)
        case .text(let text): .text(text)
        }
    }
}
