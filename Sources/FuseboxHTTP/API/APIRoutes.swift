import HTTPTypes
import Hummingbird
import Ingest
import NIOCore
import Queries
import TelemetryModel

/// `/api`: questions about the store as JSON. docs/api.md and docs/openapi.json tell each; a test holds them together.
struct APIRoutes: Sendable {
    let context: APIContext
    let writer: IngestWriter

    /// Every path, with the methods that it takes.
    static let paths: [(path: String, methods: [HTTPRequest.Method])] = [
        ("/api/status", [.get]), ("/api/overview", [.get]), ("/api/services", [.get]), ("/api/values", [.get]),
        ("/api/tools", [.get]), ("/api/breakers", [.get]), ("/api/traces", [.get]), ("/api/traces/{trace_id}", [.get]),
        ("/api/traces/{trace_id}/spans/{span_id}", [.get]), ("/api/logs", [.get]), ("/api/sessions", [.get]),
        ("/api/session", [.get]), ("/api/evals", [.get]), ("/api/costs", [.get]), ("/api/compare", [.get]), ("/api/gates", [.get]),
        ("/api/stalls", [.get]), ("/api/tail", [.get]), ("/api/sql", [.post]),
        ("/api/schema", [.get]),
    ]

    /// Answers; errors are `application/problem+json`. Throws only when the connection is gone.
    func respond(to request: Request) async throws -> Response {
        do {
            return try await route(request)
        } catch let error as ChannelError {
            throw error
        } catch {
            return Self.problem(StatusTable.refusal(for: error))
        }
    }

    private func route(_ request: Request) async throws -> Response {
        let parts = request.uri.path.split(separator: "/").dropFirst()
        let query = QueryString(request.uri.query)
        if request.uri.path == "/api/sql" {
            try Self.allow(request, [.post])
            return try await sql(request, query)
        }
        try Self.allow(request, [.get, .head])
        switch (parts.count, parts.first.map(String.init)) {
        case (1, "status"): return try await status()
        case (1, "overview"): return try await overview(query)
        case (1, "services"): return try await window(query, Boards.writeServices)
        case (1, "values"):
            let column = query["column"] ?? ""
            return try await window(query) { window, reader, json in
                try Boards.writeValues(of: column, window, reader, into: &json)
            }
        case (1, "tools"):
            let service = query["service"]
            return try await window(query) { window, reader, json in
                try Boards.writeTools(window, service: service, reader, into: &json)
            }
        case (1, "breakers"): return try await breakers(query)
        case (1, "traces"): return try await traces(query)
        case (2, "traces"): return try await trace(parts.last ?? "", query)
        case (4, "traces") where parts.dropFirst(2).first == "spans":
            return try await span(parts.dropFirst().first ?? "", parts.last ?? "")
        case (1, "logs"): return try await logs(query)
        case (1, "sessions"): return try await sessions(query)
        case (1, "session"): return try await session(query)
        case (1, "evals"):
            let name = query["name"]
            return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
                try Boards.writeEvals(name: name, reader, into: &json)
            }
        case (1, "costs"):
            return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
                try Boards.writeCosts(reader, into: &json)
            }
        case (1, "compare"): return try await compare(query)
        case (1, "gates"): return try await gates(query)
        case (1, "stalls"): return try await stalls(query)
        case (1, "schema"): return try await context.json(Self.writeSchema)
        case (1, "tail"): return try await TailRoute(context: context).respond(query)
        default: throw QueryError.notFound("there is nothing at \(request.uri.path); docs/api.md lists what there is")
        }
    }

    // MARK: Parameters

    func timeWindow(_ query: QueryString) throws(QueryError) -> TimeWindow {
        let now = context.clock()
        let window = TimeWindow(
            from: try query.time("from", nowUnixNano: now) ?? .min, to: try query.time("to", nowUnixNano: now) ?? .max)
        guard window.from < window.to else { throw .invalid("from must be before to") }
        return window
    }

    static func criteria(_ query: QueryString) throws(QueryError) -> SpanCriteria {
        var criteria = SpanCriteria()
        criteria.service = query["service"]
        criteria.workflow = query["workflow"]
        criteria.tool = query["tool"]
        criteria.name = query["name"]
        criteria.model = query["model"]
        criteria.session = query["session"]
        criteria.evalID = query["eval"]
        criteria.stage = query["stage"]
        criteria.outcome = query["outcome"]
        criteria.breakerState = query["breaker"]
        criteria.text = query["q"]
        if let text = query["status"] {
            guard let status = SpanCriteria.Status(rawValue: text) else {
                throw .invalid("status is '\(text)', but must be error or ok")
            }
            criteria.status = status
        }
        let attributes = query.all("attribute")
        guard attributes.count <= SpanCriteria.attributesMax else {
            throw .invalid("at most \(SpanCriteria.attributesMax) conditions on attributes")
        }
        for text in attributes {
            let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, !sides[0].isEmpty else { throw .invalid("attribute takes key=value, not '\(text)'") }
            criteria.attributes.append((String(sides[0]), String(sides[1])))
        }
        return criteria
    }

    private func window(
        _ query: QueryString, _ body: @escaping @Sendable (TimeWindow, QueryReader, inout JSONWriter) throws -> Void
    ) async throws(QueryError) -> Response {
        let window = try timeWindow(query)
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in try body(window, reader, &json) }
    }

    // MARK: Errors

    static func allow(_ request: Request, _ methods: [HTTPRequest.Method]) throws {
        guard !methods.contains(request.method) else { return }
        throw StatusTable.wrongMethod(request.uri.path, methods)
    }

    /// A refusal as RFC 9457 has it.
    static func problem(_ refusal: Refusal) -> Response {
        var json = JSONWriter()
        json.raw("{\"type\":\"about:blank\",\"title\":")
        json.string(refusal.status.reasonPhrase)
        json.raw(",\"status\":")
        json.integer(Int64(refusal.status.code))
        json.raw(",\"detail\":")
        json.string(refusal.message)
        json.raw("}")
        var headers = refusal.headers
        headers[.contentType] = "application/problem+json"
        headers[.cacheControl] = "no-store"
        if refusal.closesConnection { headers[.connection] = "close" }
        return Response(status: refusal.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }
}
