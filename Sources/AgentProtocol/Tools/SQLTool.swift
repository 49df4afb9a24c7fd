import Queries
import TelemetryModel

/// `query_sql`: one statement that reads.
enum SQLTool {
    /// Characters of one cell, where a row has few.
    private static let cellMax = 4000
    /// Characters of one cell, however many a row has.
    private static let cellMin = 20

    static let tool = Tool(
        name: name, title: title,
        purpose: """
            Ask SQLite SQL, read-only, at most \(AgentSources.timeLimit.components.seconds) s. The resource fusebox://schema has the tables and \
            examples. Narrow by start_time_unix_nano or trace_id; aggregate rather than list; take substr() of long texts. Functions: \
            attr(attributes, 'key'), percentile(value, 95), iso(nanoseconds).
            """,
        parameters: [
            Parameter("query", .text, "One SELECT.", isRequired: true),
            Parameter("parameters", .texts, "Values for :name in the query."), limit,
        ],
        output: output, run: run)

    static let toolOfEngine = Tool(
        name: name, title: title,
        purpose: """
            Ask ClickHouse SQL, read-only, at most \(AgentSources.engineTimeLimit.components.seconds) s: it is asked where the spans are, and \
            adds up any number of them. The resource fusebox://schema has the views and examples. Always narrow by Timestamp or trace_id; \
            aggregate rather than list; take substring() of long texts. attr(attributes, 'key') gives texts; iso(nanoseconds) a time.
            """,
        parameters: [
            Parameter("query", .text, "One SELECT.", isRequired: true),
            Parameter("parameters", .texts, "Values for {name:Type} in the query."), limit,
        ],
        output: output, run: run)

    private static let name = "query_sql"
    private static let title = "SQL over spans"
    private static let limit = Parameter.limit(100, max: 500, of: "Rows")
    private static let output = AnswerSchema.object([
        ("columns", ["type": "array", "items": ["type": "string"]]),
        ("rows", ["type": "array", "items": ["type": "array"], "description": "Values in the order of the columns."]),
        ("row_count", AnswerSchema.value("integer", "Rows that are given.")),
        (
            "truncated",
            AnswerSchema.value("boolean", "There are more rows: use ORDER BY with LIMIT and OFFSET, or aggregate.")
        ),
        ("clipped_cells", AnswerSchema.value("integer", "Texts that were cut; pieces of the column give the rest.")),
    ])

    /// The rows of an answer as far as they fit.
    private struct Answer {
        let limit: Int
        var page = Page()
        var isTruncated = false
        var clippedCount: Int64 = 0

        init(limit: Int) {
            self.limit = limit
        }

        /// Takes a row, or says `false` when it does not fit.
        mutating func take(_ values: [QueryValue]) -> Bool {
            guard page.rows.count < limit else {
                isTruncated = true
                return false
            }
            let textMax = max(cellMin, min(cellMax, Page.bytesMax / 2 / max(1, values.count)))
            isTruncated = !page.append(.array(values.map { cell($0, textMax, &clippedCount) }))
            return !isTruncated
        }

        func value(_ columns: [String]) -> JSONValue {
            [
                "columns": .array(columns.map(JSONValue.string)), "rows": .array(page.rows), "row_count": .integer(Int64(page.rows.count)),
                "truncated": .bool(isTruncated), "clipped_cells": .integer(clippedCount),
            ]
        }
    }

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let query = call.arguments.text("query") ?? ""
        let parameters = Dictionary(call.arguments.texts("parameters").map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        let limit = call.arguments.integer("limit")
        guard let engine = call.sources.engine else {
            return try await call.read { reader in
                var answer = Answer(limit: limit)
                let columns = try SQLAnswer.each(query, parameters: parameters, reader) { answer.take($0) }
                return answer.value(columns)
            }
        }
        guard call.sources.pool.scope == nil else {
            throw QueryError.notHere("a project's own SQL is asked of nodes; here SQL is the engine's")
        }
        // On a reading thread: whoever asks an engine waits.
        return try await call.read(of: .nothing) { _ in
            var answer = Answer(limit: limit)
            let columns = try engine.each(query, parameters: parameters, rows: limit) { values throws(QueryError) in answer.take(values) }
            return answer.value(columns)
        }
    }

    private static func cell(_ value: QueryValue, _ textMax: Int, _ clipped: inout Int64) -> JSONValue {
        switch value {
        case .null: return .null
        case .integer(let integer) where integer.magnitude > UInt64(QueryValue.exactIntegerMax): return .string("\(integer)")
        case .integer(let integer): return .integer(integer)
        case .double(let double): return double.isFinite ? .double(double) : .string("\(double)")
        case .text(let text):
            let shown = ClippedText.of(text, max: textMax)
            if shown.utf8.count != text.utf8.count { clipped += 1 }
            return .string(shown)
        case .blob(let bytes): return .string("\(bytes.count) bytes")
        }
    }
}
