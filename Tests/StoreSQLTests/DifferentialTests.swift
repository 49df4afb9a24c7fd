import Foundation
import SQLite
import SpanStore
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import StoreSQL

/// Random statements give over the store what SQLite alone gives over plain tables with the same rows.
///
/// FUSEBOX_SQL_QUERIES says how many statements, FUSEBOX_SEED by which they are chosen.
@Suite struct DifferentialTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let queryCount = environment["FUSEBOX_SQL_QUERIES"].flatMap { Int($0) } ?? 300
    private static let seed = environment["FUSEBOX_SEED"].flatMap { UInt64($0) } ?? 1
    /// Rows of one statement that are compared.
    private static let rowsMax = 20_000

    @Test func everyStatementGivesWhatPlainTablesGive() throws {
        let fixture = try Self.filled()
        let reader = try SQLReader(folder: fixture.folder)
        let plain = try PlainTables(of: fixture, reader)
        var queries = RandomQueries(seed: Self.seed, values: try plain.values())
        var answers = (rows: 0, errors: 0)
        var groupings = (tried: 0, byColumn: 0)
        for number in 0..<Self.queryCount {
            let (text, isOrdered) = queries.next()
            reader.report.clear()
            let (ours, theirs) = Self.answers(text, isOrdered, reader, plain)
            if text.hasPrefix("SELECT /*grouped*/") {
                groupings.tried += 1
                groupings.byColumn += reader.report.groupings > 0 ? 1 : 0
            }
            switch theirs {
            case .rows(let rows): if !rows.isEmpty { answers.rows += 1 }
            case .tooMany: answers.rows += 1
            case .error: answers.errors += 1
            }
            guard ours != theirs else { continue }
            let shortest = Self.shrink(text) { Self.answers($0, isOrdered, reader, plain) }
            let (found, wanted) = Self.answers(shortest, isOrdered, reader, plain)
            Issue.record(
                """
                statement \(number) of seed \(Self.seed): \(Self.plainText(shortest))
                plain: \(wanted.summary)
                store: \(found.summary)
                """)
        }
        // Else the statements would not say much.
        #expect(answers.rows * 2 > Self.queryCount)
        #expect(answers.errors * 20 < Self.queryCount)
        #expect(groupings.byColumn * 2 > groupings.tried)
    }

    // MARK: Statements

    private enum Answer: Equatable {
        case rows([String])
        /// More rows than are compared, in no order: which come first is not said.
        case tooMany
        /// What it says is not compared.
        case error(String)

        static func == (left: Answer, right: Answer) -> Bool {
            switch (left, right) {
            case (.rows(let left), .rows(let right)): left == right
            case (.tooMany, .tooMany), (.error, .error): true
            default: false
            }
        }

        var summary: String {
            switch self {
            case .rows(let rows): "\(rows.count) rows: \(rows.prefix(5))"
            case .tooMany: "more than \(rowsMax) rows"
            case .error(let message): "an error: \(message)"
            }
        }
    }

    private static func plainText(_ text: String) -> String {
        text.filter { $0 != RandomQueries.begin && $0 != RandomQueries.end }
    }

    private static func answers(
        _ text: String, _ isOrdered: Bool, _ reader: SQLReader, _ plain: PlainTables
    ) -> (ours: Answer, theirs: Answer) {
        let sql = plainText(text)
        let ours = answer(isOrdered) { try reader.prepareNext(sql[...])?.statement }
        return (ours, answer(isOrdered) { try plain.connection.prepare(sql) })
    }

    private static func answer(_ isOrdered: Bool, _ prepare: () throws -> Statement?) -> Answer {
        var rows: [String] = []
        do {
            guard let statement = try prepare() else { return .error("no statement") }
            while try statement.step() {
                if rows.count == rowsMax { return isOrdered ? .rows(rows) : .tooMany }
                rows.append((0..<statement.columnCount).map { value(statement, $0) }.joined(separator: " | "))
            }
        } catch {
            return .error("\(error)")
        }
        return .rows(isOrdered ? rows : rows.sorted())
    }

    /// A value with its type. Sums of doubles depend on the order of what is summed, in the last digits.
    private static func value(_ statement: Statement, _ column: Int32) -> String {
        switch statement.type(column) {
        case 1: "\(statement.integer(column))"
        case 2: String(format: "%.9g", statement.double(column))
        case 3: "'\(statement.text(column) ?? "")'"
        case 4: "x\(statement.blob(column))"
        default: "NULL"
        }
    }

    /// The statement with as many conditions taken out as leave the answers different.
    private static func shrink(_ text: String, _ answers: (String) -> (ours: Answer, theirs: Answer)) -> String {
        var text = Array(text)
        var position = 0
        while let start = text[position...].firstIndex(of: RandomQueries.begin) {
            var depth = 0
            let end = text[start...].firstIndex { character in
                depth += character == RandomQueries.begin ? 1 : character == RandomQueries.end ? -1 : 0
                return depth == 0
            }
            guard let end else { break }
            let shorter = Array(text[..<start]) + ["1"] + Array(text[(end + 1)...])
            let (ours, theirs) = answers(String(shorter))
            if ours != theirs { text = shorter } else { position = start + 1 }
        }
        return String(text)
    }

    // MARK: Data

    private static let texts = [
        "", "a\0b", "a\0c", "Ab", "aB", "É", "é", "a%b", "a_b", "web_search", "WEB 2", "12", "1e3", " 12", "\u{FFFD}",
    ]

    /// Spans and logs, most of them merged so that some attributes have no column of their own, some as commits wrote them.
    private static func filled() throws -> StoreFixture {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: 7), keyCount: 12)
        for number in 0..<24 {
            if number == 20 {
                try fixture.merge()
                try fixture.mergeLogs()
            }
            try fixture.ingest(spans(&workload, number))
            try fixture.ingest(logs(&workload, number))
        }
        let evaluations = try fixture.sql("SELECT trace_id, span_id, session_id FROM spans WHERE session_id IS NOT NULL LIMIT 6")
        let writer = try Connection(path: fixture.folder.databasePath, access: .readWrite)
        for (number, row) in evaluations.enumerated() {
            let targets = ["'\(row[0])', '\(row[1])', NULL", "'\(row[0])', NULL, NULL", "NULL, NULL, '\(row[2])'"]
            try writer.execute(
                """
                INSERT INTO evaluation (row_key, name, score, source, updated_unix_nano, trace_id, span_id, session_id)
                VALUES ('\(number)', 'quality', 0.5, 'file', 1, \(targets[number % 3]))
                """)
        }
        try writer.execute(
            """
            INSERT INTO model_price VALUES ('gpt', 0, 'api', 1, 0.5, 2, 4, NULL), ('gpt', 1500000, 'api', 2, 1, 3, 5, NULL)
            """)
        return fixture
    }

    private static func spans(_ workload: inout Workload, _ number: Int) -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string(number % 4 == 3 ? "svc\0\(number % 3)" : "svc\(number % 3)")])
        builder.beginScope(name: number % 5 == 0 ? "" : "scope \(number % 2)")
        for _ in 0..<6 {
            var span = workload.span(.random(in: 1...12, using: &workload.random))
            span.name = texts.randomElement(using: &workload.random) ?? ""
            if Bool.random(using: &workload.random) {
                span.attributes.append("tool_name", .string(texts.randomElement(using: &workload.random) ?? ""))
            }
            if Int.random(in: 0..<3, using: &workload.random) == 0 {
                span.attributes.append("gen_ai.operation.name", .string("chat"))
                span.attributes.append("gen_ai.request.model", .string(Bool.random(using: &workload.random) ? "gpt" : "other"))
                span.attributes.append("gen_ai.usage.input_tokens", .int(.random(in: 0..<900, using: &workload.random)))
            }
            if Int.random(in: 0..<5, using: &workload.random) == 0 {
                span.attributes.append("workflow.name", .string("flow \(workload.nextSpan % 3)"))
                span.attributes.append("key.7", .string(texts.randomElement(using: &workload.random) ?? ""))
            }
            // A number, whose column shows it as a text.
            if Int.random(in: 0..<3, using: &workload.random) == 0 { span.attributes.append("session.id", .int(.random(in: 11...13, using: &workload.random))) }
            // Enough keys that a merged segment cannot give each a column.
            for key in 0..<5 { span.attributes.append("key.\(workload.nextSpan * 5 + UInt64(key))", workload.value()) }
            builder.append(span)
        }
        return builder.batch
    }

    private static func logs(_ workload: inout Workload, _ number: Int) -> LogBatch {
        let records = (0..<3).map { index -> LogBatches.Description in
            var record = LogBatches.Description()
            record.time = Int64(1_000_000 + number * 10 + index)
            record.trace = .random(in: 0...12, using: &workload.random)
            record.span = record.trace == 0 ? 0 : .random(in: 0...workload.nextSpan, using: &workload.random)
            record.severity = .random(in: 0...20, using: &workload.random)
            record.event = ["", "exception", "a\0b", "started"].randomElement(using: &workload.random) ?? ""
            record.body = workload.value()
            if Bool.random(using: &workload.random) { record.body = .string(texts.randomElement(using: &workload.random) ?? "") }
            record.attributes = ["key.1": workload.value(), "exception.type": .string("E\(number % 2)")]
            return record
        }
        return LogBatches.of(records, service: "svc\(number % 3)")
    }
}

/// The rows of a store in tables that SQLite reads without help, with the views over them.
private final class PlainTables {
    let connection: Connection

    init(of fixture: StoreFixture, _ reader: SQLReader) throws {
        let path = fixture.folder.path + "/plain.db"
        try Connection(path: fixture.folder.databasePath, access: .readOnly).execute("VACUUM INTO '\(path)'")
        connection = try Connection(path: path, access: .readWrite)
        try SQLFunctions.register(on: connection)
        let columns = SpansColumn.all.map { ($0.name, $0.type.replacing(" HIDDEN", with: "")) }
        try copy("spans", columns, from: reader)
        try copy("logs", LogsColumn.allCases.map { ($0.name, $0.isInteger ? "INTEGER" : "TEXT") }, from: reader)
        // As they are written, and not as readers have them, which group by column.
        for view in StoredView.all { try connection.execute("CREATE TEMP VIEW \(view.name) AS \(view.definition)") }
        try connection.execute(ContractQuery.view)
    }

    private func copy(_ table: String, _ columns: [(name: String, type: String)], from reader: SQLReader) throws {
        let names = columns.map(\.name).joined(separator: ", ")
        try connection.execute("CREATE TABLE \(table)(\(columns.map { "\($0.name) \($0.type)" }.joined(separator: ", ")))")
        let rows = try reader.connection.prepare("SELECT \(names) FROM \(table)")
        let insertion = try connection.prepare(
            "INSERT INTO \(table) VALUES (\(columns.map { _ in "?" }.joined(separator: ", ")))")
        while try rows.step() {
            for column in 0..<rows.columnCount {
                switch rows.type(column) {
                case 1: try insertion.bind(column + 1, rows.integer(column))
                case 2: try insertion.bind(column + 1, rows.double(column))
                case 3: try insertion.bind(column + 1, rows.text(column) ?? "")
                default: try insertion.bindNull(column + 1)
                }
            }
            try insertion.run()
        }
    }

    /// Literals of some values of each column that statements ask about.
    func values() throws -> [String: [String]] {
        var values: [String: [String]] = [:]
        for table in [RandomQueries.spans, RandomQueries.logs] + RandomQueries.views {
            for column in table.columns {
                let statement = try connection.prepare(
                    "SELECT DISTINCT \(column) FROM \(table.name) WHERE \(column) IS NOT NULL ORDER BY 1 LIMIT 40")
                var literals: [String] = []
                while try statement.step() {
                    if statement.type(0) == 3 {
                        let text = statement.text(0) ?? ""
                        let hex = text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                        literals.append(
                            text.contains("\0") ? "CAST(x'\(hex)' AS TEXT)" : "'\(text.replacing("'", with: "''"))'")
                    } else {
                        literals.append(statement.text(0) ?? "NULL")
                    }
                }
                values["\(table.name).\(column)"] = literals
            }
        }
        return values
    }
}
