import HTTPTypes
import Ingest
import NIOCore
import Queries
import Reports
import SpanStore
import TelemetryModel

/// `/api`: questions about the store as JSON. docs/api.md and docs/openapi.json tell each; a test holds them together.
struct APIRoutes: Sendable {
    var context: APIContext
    /// `nil` where an engine is asked, which is written to by nodes.
    let writer: IngestWriter?
    let access: AccessPolicy
    /// Who asks.
    var visitor = Visitor()

    static let routes = RouteTable<APIRoutes>([
        Route(.get, "/api/status") { api, _ in try await api.status() },
        Route(.get, "/api/overview") { try await $0.overview($1.query) },
        Route(.get, "/api/projects") { try await $0.projects($1.query) },
        Route(.get, "/api/services") { try await $0.window($1.query, ServiceBoard.write) },
        Route(.get, "/api/values") { try await $0.values($1.query) },
        Route(.get, "/api/tools") { try await $0.tools($1.query) },
        Route(.get, "/api/workflows") { try await $0.workflows($1.query) },
        Route(.get, "/api/contract") { try await $0.contract($1.query) },
        Route(.get, "/api/breakers") { try await $0.breakers($1.query) },
        Route(.get, "/api/gateway", of: .everything) { api, _ in api.gateway() },
        Route(.get, "/api/forward", of: .everything) { api, _ in try await api.forward() },
        Route(.get, "/api/traces") { try await $0.traces($1.query) },
        Route(.get, "/api/traces/{trace_id}") { try await $0.trace($1[0], $1.query) },
        Route(.get, "/api/traces/{trace_id}/spans/{span_id}") { try await $0.span($1[0], $1[1], $1.query) },
        Route(.get, "/api/traces/{trace_id}/messages") { try await $0.messages(ofTrace: $1[0], $1.query) },
        Route(.get, "/api/traces/{trace_id}/find") { try await $0.find(inTrace: $1[0], $1.query) },
        Route(.get, "/api/ids/{text}") { try await $0.ids($1[0]) },
        Route(.get, "/api/attributes") { try await $0.attributes($1.query) },
        Route(.get, "/api/histogram") { try await $0.histogram($1.query) },
        Route(.get, "/api/logs") { try await $0.logs($1.query) },
        Route(.get, "/api/sessions") { try await $0.totals(by: .session, $1.query) },
        Route(.get, "/api/session") { try await $0.session($1.query) },
        Route(.get, "/api/session/messages") { try await $0.messages(ofSession: $1.query) },
        Route(.get, "/api/users") { try await $0.totals(by: .user, $1.query) },
        Route(.get, "/api/evals") { try await $0.evals($1.query) },
        Route(.get, "/api/evals/runs", of: .everything) { try await $0.evalRuns($1.query) },
        Route(.get, "/api/evals/compare", of: .everything) { try await $0.compareEvalRuns($1.query) },
        Route(.get, "/api/judging") { try await $0.judging($1.query) },
        Route(.post, "/api/evals", for: .judge, of: .everything, bodyBytesMax: APIRoutes.evalBytesMax) { try await $0.judge($1) },
        Route(.post, "/api/sign-in", for: nil, of: .nothing, bodyBytesMax: APIRoutes.signInBytesMax) { try await $0.signIn($1) },
        Route(.post, "/api/sign-out", for: nil, of: .nothing) { try $0.signOut($1) },
        Route(.get, "/api/costs") { api, _ in try await api.costs() },
        Route(.get, "/api/compare") { try await $0.compare($1.query) },
        Route(.get, "/api/gates", of: .everything) { try await $0.gates($1.query) },
        Route(.get, "/api/stalls", of: .everything) { try await $0.stalls($1.query) },
        Route(.get, "/api/tail") { try await TailRoute(context: $0.context).respond($1.query) },
        Route(.post, "/api/sql", of: .everything, bodyBytesMax: SQLAnswer.queryBytesMax) {
            try await $0.sql($1.request, $1.query)
        },
        Route(.get, "/api/schema", of: .nothing) { api, _ in try await api.schema() },
    ])

    /// What a request asks; errors are `application/problem+json`.
    func question(_ head: HTTPRequest, at target: RequestTarget) -> Question {
        Self.routes.question(head, at: target, as: self, refuse: Self.problem)
    }

    // MARK: Lists

    private func values(_ query: QueryString) async throws -> Response {
        let column = query["column"] ?? ""
        return try await window(query) { window, reader, json in
            try Boards.writeValues(of: column, window, reader, into: &json)
        }
    }

    private func tools(_ query: QueryString) async throws -> Response {
        let service = query["service"]
        return try await window(query) { window, reader, json in
            try ToolBoard.write(window, service: service, reader, into: &json)
        }
    }

    private func workflows(_ query: QueryString) async throws -> Response {
        let service = query["service"]
        return try await window(query) { window, reader, json in
            try WorkflowBoard.write(window, service: service, reader, into: &json)
        }
    }

    private func contract(_ query: QueryString) async throws -> Response {
        let service = query["service"]
        let limits = context.gates.contract
        return try await window(query) { window, reader, json in
            try Boards.writeContract(window, service: service, limits, reader, into: &json)
        }
    }

    private func projects(_ query: QueryString) async throws -> Response {
        let attribute = context.projectAttribute
        return try await window(query) { window, reader, json in
            try ProjectBoard.write(by: attribute, window, reader, into: &json)
        }
    }

    private func costs() async throws -> Response {
        try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
            try Boards.writeCosts(reader, into: &json)
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
        criteria.user = query["user"]
        criteria.evalID = query["eval"]
        criteria.stage = query["stage"]
        criteria.outcome = query["outcome"]
        criteria.breakerState = query["breaker"]
        criteria.text = query["q"]
        criteria.status = try status(query, "status")
        let attributes = query.all("attribute")
        guard attributes.count <= SpanCriteria.attributesMax else {
            throw .invalid("at most \(SpanCriteria.attributesMax) conditions on attributes")
        }
        for text in attributes {
            guard let condition = SpanCriteria.Attribute(text) else {
                throw .invalid("attribute takes key=value or key!=value, not '\(text)'")
            }
            criteria.attributes.append(condition)
        }
        return criteria
    }

    static func status(_ query: QueryString, _ name: String) throws(QueryError) -> SpanCriteria.Status? {
        guard let text = query[name] else { return nil }
        guard let status = SpanCriteria.Status(rawValue: text) else {
            throw .invalid("\(name) is '\(text)', but must be error or ok")
        }
        return status
    }

    private func window(
        _ query: QueryString, _ body: @escaping @Sendable (TimeWindow, QueryReader, inout JSONWriter) throws -> Void
    ) async throws(QueryError) -> Response {
        let window = try timeWindow(query)
        return try await context.json(limit: APIContext.TimeLimit.query, of: .window(window)) { reader, json in try body(window, reader, &json) }
    }

    // MARK: Errors

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
