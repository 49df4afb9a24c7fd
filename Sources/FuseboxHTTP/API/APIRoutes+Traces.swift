import Fleet
import HTTPTypes
import NIOCore
import OTLP
import Queries
import SpanStore
import StoreSQL
import TelemetryModel

extension APIRoutes {
    /// Traces of one page.
    private static let tracesMax = 500

    func traces(_ query: QueryString) async throws -> Response {
        var search = TraceSearch()
        let window = try timeWindow(query)
        (search.from, search.to) = (window.from, window.to)
        search.criteria = try Self.criteria(query)
        search.limits = try Self.limits(query)
        search.limit = try query.integer("limit", 1...Self.tracesMax, fallback: 50)
        if let text = query["cursor"] {
            guard let cursor = TraceCursor(text: text) else {
                throw QueryError.invalid("cursor is '\(text)', but must be the next_cursor of an answer")
            }
            search.after = cursor
        }
        let asked = search
        let hasPreview = query["preview"] == "true"
        return try await context.json(of: search.need) { reader, json in
            let answer = try asked.run(reader)
            let previews = try hasPreview ? TracePreview.read(answer.traces.map(\.traceID), reader) : nil
            json.raw("{\"traces\":[")
            for (index, trace) in answer.traces.enumerated() {
                if index > 0 { json.raw(",") }
                trace.write(preview: previews.map { $0[trace.traceID] ?? TracePreview() }, into: &json)
            }
            json.raw("],\"next_cursor\":")
            (answer.next.map { QueryValue.text($0.text) } ?? .null).write(into: &json)
            json.raw(",\"stopped_early\":")
            json.bool(answer.stoppedEarly)
            json.raw("}")
        }
    }

    /// How many traces match over time.
    func histogram(_ query: QueryString) async throws -> Response {
        var histogram = TraceHistogram()
        histogram.window = try timeWindow(query)
        histogram.criteria = try Self.criteria(query)
        histogram.limits = try Self.limits(query)
        histogram.points = try query.integer("points", 10...TraceHistogram.pointsMax, fallback: histogram.points)
        let (asked, now) = (histogram, context.clock())
        return try await context.json(of: .window(histogram.window)) { reader, json in try asked.write(nowUnixNano: now, reader, into: &json) }
    }

    /// Traces whose id, or whose span's id, is or begins with the text.
    func ids(_ text: String) async throws -> Response {
        guard let digits = IdentityFind.digits(text) else {
            throw QueryError.invalid("'\(text)' is not an id: \(IdentityFind.digitsMin) to 32 hexadecimal digits")
        }
        return try await context.json(of: .identity(digits)) { reader, json in try IdentityFind.write(digits, reader, into: &json) }
    }

    /// Keys of attributes that spans carried lately; with `key`, its values, most frequent first.
    func attributes(_ query: QueryString) async throws -> Response {
        let window = try timeWindow(query)
        let key = query["key"]
        return try await context.json(of: .window(window)) { reader, json in
            let found: [QueryValue] =
                if let key {
                    try AttributeKeys.values(of: "span." + key, matching: nil, window, reader).map(\.value)
                } else {
                    try AttributeKeys.keys(of: .span, window, reader).map { .text($0) }
                }
            json.raw("[")
            for (index, value) in found.enumerated() {
                if index > 0 { json.raw(",") }
                value.write(into: &json)
            }
            json.raw("]")
        }
    }

    func trace(_ text: String, _ query: QueryString) async throws -> Response {
        let id = try Self.traceID(text)
        let withAttributes = query["attributes"] == "true"
        return try await context.json(of: .trace(id.hexadecimal)) { reader, json in
            try TraceReading.write(id, attributes: withAttributes, reader, into: &json)
        }
    }

    func span(_ trace: String, _ text: String, _ query: QueryString) async throws -> Response {
        let id = try Self.traceID(trace)
        guard let span = SpanID(hexadecimal: text) else {
            throw QueryError.invalid("'\(text)' is not a span id: 16 hexadecimal digits")
        }
        let kind = try query["kind"].map { _ in Int64(try query.integer("kind", 0...Int(Int32.max), fallback: 0)) }
        return try await context.json(of: .trace(id.hexadecimal)) { reader, json in try TraceReading.write(id, span: span, kind: kind, reader, into: &json) }
    }

    static func traceID(_ text: String) throws(QueryError) -> TraceID {
        guard let id = TraceReading.traceID(text) else {
            throw .invalid("'\(text)' is not a trace id: 32 hexadecimal digits")
        }
        return id
    }

    /// Conversations or users, each with the sums of its traces.
    func totals(by key: TraceTotals.Key, _ query: QueryString) async throws -> Response {
        var totals = TraceTotals(by: key, try timeWindow(query))
        totals.limit = try query.integer("limit", 1...Self.tracesMax, fallback: totals.limit)
        totals.user = query["user"]
        totals.id = query["id"]
        if let cursor = query["cursor"] {
            let sides = cursor.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, let time = Int64(sides[0]) else {
                throw QueryError.invalid("cursor takes <end_time_unix_nano>-<\(key.rawValue)> of the last row of a page")
            }
            totals.after = (time, String(sides[1]))
        }
        let asked = totals
        return try await context.json(limit: APIContext.TimeLimit.query, of: .window(totals.window)) { reader, json in
            try asked.write(reader, into: &json)
        }
    }

    func session(_ query: QueryString) async throws -> Response {
        guard let id = query["id"] else { throw QueryError.invalid("which session? give its id=") }
        return try await context.json(limit: APIContext.TimeLimit.query, of: .session(id)) { reader, json in
            try Boards.writeSession(id, reader, into: &json)
        }
    }

    // MARK: SQL

    func sql(_ request: Request, _ query: QueryString) async throws -> Response {
        // A page of another site can post a form or plain text without asking; this type makes its browser ask first.
        guard RequestContent.mediaType(request) == "application/sql" else {
            throw StatusTable.wrongType("Content-Type must be application/sql, and the body the query")
        }
        guard try RequestContent.coding(request.headers[.contentEncoding]) == .identity else {
            throw StatusTable.wrongType("a query is sent as it is, without Content-Encoding")
        }
        var limits = SQLAnswer.Limits()
        limits.rows = try query.integer("limit", 1...SQLAnswer.rowsMax, fallback: limits.rows)
        let text = String(buffer: request.body)
        var parameters: [String: String] = [:]
        for (name, value) in query.pairs where name.hasPrefix("p.") { parameters[String(name.dropFirst(2))] = value }
        let (bound, given) = (limits, parameters)
        if let engine = context.engine {
            guard context.scope == nil else { throw QueryError.notHere("a project's own SQL is asked of nodes; here SQL is the engine's") }
            return try await context.json(limit: APIContext.TimeLimit.query, of: .nothing) { _, json in
                try engine.write(text, parameters: given, limits: bound, into: &json)
            }
        }
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
            try SQLAnswer.write(text, parameters: given, limits: bound, reader, into: &json)
        }
    }

    func schema() async throws -> Response {
        guard let engine = context.engine else { return try await context.json(Self.writeSchema) }
        return try await context.json(of: .nothing) { _, json in try engine.writeSchema(into: &json) }
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
