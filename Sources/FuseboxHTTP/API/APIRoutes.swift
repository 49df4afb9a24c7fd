import Derivations
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

    /// Names of parameters that several paths take.
    private enum Names {
        static let window = ["from", "to"]
        /// Of `criteria`; `name` is missing, which evals have one of their own for.
        static let spans = [
            "service", "workflow", "tool", "model", "session", "user", "eval", "stage", "outcome", "breaker", "status", "q", "attribute",
        ]
        /// Which traces.
        static let traces = ["root", "running", "min_ms", "max_ms"]
        /// Which part of a list.
        static let page = ["limit", "cursor"]
    }

    static let routes = RouteTable<APIRoutes>([
        Route(.get, "/api/status", takes: []) { api, _ in try await api.status() },
        Route(.get, "/api/overview", takes: Names.window + ["points", "service"]) { try await $0.overview($1.query) },
        Route(.get, "/api/projects", takes: Names.window) { try await $0.projects($1.query) },
        Route(.get, "/api/services", takes: Names.window) { try await $0.window($1.query, ServiceBoard.write) },
        Route(.get, "/api/values", takes: Names.window + ["column"]) { try await $0.values($1.query) },
        Route(.get, "/api/tools", takes: Names.window + ["service"]) { try await $0.tools($1.query) },
        Route(.get, "/api/workflows", takes: Names.window + ["service"]) { try await $0.workflows($1.query) },
        Route(.get, "/api/contract", takes: Names.window + ["service"]) { try await $0.contract($1.query) },
        Route(.get, "/api/breakers", takes: Names.window) { try await $0.breakers($1.query) },
        Route(.get, "/api/gateway", of: .everything, takes: []) { api, _ in api.gateway() },
        Route(.get, "/api/forward", of: .everything, takes: []) { api, _ in try await api.forward() },
        Route(.get, "/api/traces", takes: Names.window + Names.spans + Names.traces + Names.page + ["name", "preview"]) { try await $0.traces($1.query) },
        Route(.get, "/api/traces/{trace_id}", takes: ["attributes"]) { try await $0.trace($1[0], $1.query) },
        Route(.get, "/api/traces/{trace_id}/spans/{span_id}", takes: ["kind"]) { try await $0.span($1[0], $1[1], $1.query) },
        Route(.get, "/api/traces/{trace_id}/messages", takes: ["span_id"]) { try await $0.messages(ofTrace: $1[0], $1.query) },
        Route(.get, "/api/traces/{trace_id}/find", takes: ["q"]) { try await $0.find(inTrace: $1[0], $1.query) },
        Route(.get, "/api/ids/{text}", takes: []) { try await $0.ids($1[0]) },
        Route(.get, "/api/attributes", takes: Names.window + ["key"]) { try await $0.attributes($1.query) },
        Route(.get, "/api/histogram", takes: Names.window + Names.spans + Names.traces + ["name", "points"]) { try await $0.histogram($1.query) },
        Route(.get, "/api/logs", takes: Names.window + Names.page + ["service", "trace_id", "span_id", "event_name", "severity_min", "q"]) { try await $0.logs($1.query) },
        Route(.get, "/api/sessions", takes: Names.window + Names.page + ["id", "user"]) { try await $0.totals(by: .session, $1.query) },
        Route(.get, "/api/session", takes: ["id"]) { try await $0.session($1.query) },
        Route(.get, "/api/session/messages", takes: ["id"]) { try await $0.messages(ofSession: $1.query) },
        Route(.get, "/api/users", takes: Names.window + Names.page + ["id"]) { try await $0.totals(by: .user, $1.query) },
        Route(.get, "/api/evals", takes: Names.window + ["name", "run", "format"]) { try await $0.evals($1.query) },
        Route(.get, "/api/evals/runs", of: .everything, takes: Names.window + ["dataset"]) { try await $0.evalRuns($1.query) },
        Route(.get, "/api/evals/compare", of: .everything, takes: Names.window + ["a", "b", "name", "lower_is_better", "limit"]) { try await $0.compareEvalRuns($1.query) },
        Route(.get, "/api/judging", takes: Names.window + Names.spans + Names.traces + ["name", "of", "annotator", "span", "limit"]) { try await $0.judging($1.query) },
        Route(.post, "/api/evals", for: .judge, of: .everything, bodyBytesMax: APIRoutes.evalBytesMax, takes: []) { try await $0.judge($1) },
        Route(.post, "/api/sign-in", for: nil, of: .nothing, bodyBytesMax: APIRoutes.signInBytesMax, takes: []) { try await $0.signIn($1) },
        Route(.post, "/api/sign-out", for: nil, of: .nothing, takes: []) { try $0.signOut($1) },
        Route(.get, "/api/costs", takes: Names.window) { try await $0.window($1.query, Boards.writeCosts) },
        Route(.get, "/api/compare", takes: ["a.from", "a.to", "a.service", "b.from", "b.to", "b.service"]) { try await $0.compare($1.query) },
        Route(.get, "/api/gates", of: .everything, takes: Names.window) { try await $0.gates($1.query) },
        Route(.get, "/api/stalls", of: .everything, takes: Names.window + ["limit"]) { try await $0.stalls($1.query) },
        Route(.get, "/api/tail", takes: Names.spans + ["name", "after"]) { try await TailRoute(context: $0.context).respond($1.query) },
        Route(.post, "/api/sql", of: .everything, bodyBytesMax: SQLAnswer.queryBytesMax, takes: ["limit", "p."]) {
            try await $0.sql($1.request, $1.query)
        },
        Route(.get, "/api/schema", of: .nothing, takes: []) { api, _ in try await api.schema() },
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

    // MARK: Parameters

    /// From `from` up to `to`, that one left out; an end that is not given is open.
    ///
    /// - Parameter side: goes before the names, as in `a.from`.
    func timeWindow(_ query: QueryString, of side: String = "") throws(QueryError) -> TimeWindow {
        let now = context.clock()
        let window = TimeWindow(
            from: try query.time("\(side)from", nowUnixNano: now) ?? .min, to: try query.time("\(side)to", nowUnixNano: now) ?? .max)
        guard window.from < window.to else { throw .invalid("\(side)from must be before \(side)to") }
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
        criteria.stage = try KnownWord.checked(query["stage"], "stage", of: Stage.self)?.rawValue
        criteria.outcome = try KnownWord.checked(query["outcome"], "outcome", of: Outcome.self)?.rawValue
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

    /// What is asked of whole traces.
    static func limits(_ query: QueryString) throws(QueryError) -> TraceLimits {
        var limits = TraceLimits()
        limits.durationMinimum = try query.milliseconds("min_ms")
        limits.durationMaximum = try query.milliseconds("max_ms")
        limits.rootStatus = try status(query, "root")
        limits.isRunning = try query.flag("running")
        return limits
    }

    static func status(_ query: QueryString, _ name: String) throws(QueryError) -> SpanCriteria.Status? {
        try KnownWord.checked(query[name], name, of: SpanCriteria.Status.self)
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
