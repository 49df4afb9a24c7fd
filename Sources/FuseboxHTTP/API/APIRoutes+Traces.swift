import HTTPTypes
import Hummingbird
import NIOCore
import OTLP
import Queries
import SpanStore
import TelemetryModel

extension APIRoutes {
    /// Traces of one page.
    private static let tracesMax = 500

    func traces(_ query: QueryString) async throws -> Response {
        var search = TraceSearch()
        let window = try timeWindow(query)
        (search.from, search.to) = (window.from, window.to)
        search.criteria = try Self.criteria(query)
        search.durationMinimum = try query.milliseconds("min_ms")
        search.durationMaximum = try query.milliseconds("max_ms")
        search.limit = try query.integer("limit", 1...Self.tracesMax, fallback: 50)
        if let text = query["cursor"] {
            guard let cursor = TraceCursor(text: text) else {
                throw QueryError.invalid("cursor is '\(text)', but must be the next_cursor of an answer")
            }
            search.after = cursor
        }
        let asked = search
        return try await context.json { reader, json in
            let answer = try asked.run(reader)
            json.raw("{\"traces\":[")
            for (index, trace) in answer.traces.enumerated() {
                if index > 0 { json.raw(",") }
                trace.write(into: &json)
            }
            json.raw("],\"next_cursor\":")
            (answer.next.map { QueryValue.text($0.text) } ?? .null).write(into: &json)
            json.raw(",\"stopped_early\":")
            json.bool(answer.stoppedEarly)
            json.raw("}")
        }
    }

    func trace(_ text: Substring, _ query: QueryString) async throws -> Response {
        let id = try Self.traceID(text)
        let withAttributes = query["attributes"] == "true"
        return try await context.json { reader, json in
            try TraceReading.write(id, attributes: withAttributes, reader, into: &json)
        }
    }

    func span(_ trace: Substring, _ span: Substring) async throws -> Response {
        let id = try Self.traceID(trace)
        guard let span = SpanID(hexadecimal: span) else {
            throw QueryError.invalid("'\(QueryString.decoded(span))' is no span id: 16 hexadecimal digits")
        }
        return try await context.json { reader, json in try TraceReading.write(id, span: span, reader, into: &json) }
    }

    static func traceID(_ text: Substring) throws(QueryError) -> TraceID {
        guard let id = TraceReading.traceID(text) else {
            throw .invalid("'\(QueryString.decoded(text))' is no trace id: 32 hexadecimal digits")
        }
        return id
    }

    func sessions(_ query: QueryString) async throws -> Response {
        let window = try timeWindow(query)
        let limit = try query.integer("limit", 1...500, fallback: 100)
        var after: (lastUnixNano: Int64, id: String)?
        if let cursor = query["cursor"] {
            let sides = cursor.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, let time = Int64(sides[0]) else {
                throw QueryError.invalid("cursor takes <end_time_unix_nano>-<session_id> of the last session of a page")
            }
            after = (time, String(sides[1]))
        }
        let behind = after
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
            try Boards.writeSessions(window, after: behind, limit: limit, reader, into: &json)
        }
    }

    func session(_ query: QueryString) async throws -> Response {
        guard let id = query["id"] else { throw QueryError.invalid("which session? give its id=") }
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
            try Boards.writeSession(id, reader, into: &json)
        }
    }

    // MARK: SQL

    func sql(_ request: Request, _ query: QueryString) async throws -> Response {
        // A page of another site can post a form or plain text without asking; this type makes its browser ask first.
        guard RequestContent.mediaType(request) == "application/sql" else {
            throw StatusTable.wrongType("Content-Type must be application/sql, and the body the query")
        }
        guard try RequestContent.coding(request) == .identity else {
            throw StatusTable.wrongType("a query is sent as it is, without Content-Encoding")
        }
        let announced = try RequestContent.announcedBytes(request, limit: SQLAnswer.queryBytesMax)
        let body = try await RequestContent.collect(
            request, announced: announced, limit: SQLAnswer.queryBytesMax, permit: nil)
        var limits = SQLAnswer.Limits()
        limits.rows = try query.integer("limit", 1...SQLAnswer.rowsMax, fallback: limits.rows)
        let text = String(decoding: body, as: UTF8.self)
        var parameters: [String: String] = [:]
        for (name, value) in query.pairs where name.hasPrefix("p.") { parameters[String(name.dropFirst(2))] = value }
        let (bound, given) = (limits, parameters)
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
            try SQLAnswer.write(text, parameters: given, limits: bound, reader, into: &json)
        }
    }

    /// Tables that a user queries, with their columns.
    static func writeSchema(_ reader: QueryReader, into json: inout JSONWriter) throws {
        json.raw("[")
        for (index, table) in SQLReader.tables.enumerated() {
            if index > 0 { json.raw(",") }
            json.raw("{\"name\":")
            json.string(table)
            json.raw(",\"columns\":[")
            for (place, column) in try reader.reader.columns(of: table).enumerated() {
                if place > 0 { json.raw(",") }
                json.string(column.name)
            }
            json.raw("]}")
        }
        json.raw("]")
    }
}
