import HTTPTypes
import NIOCore
import OTLP
import Queries
import TelemetryModel

/// Every path that the server answers. Paths are matched exactly: a redirect would lose spans, since clients take it for success.
package struct FuseboxResponder: Sendable {
    /// Header fields of a request, names and values together, with its path.
    static let headerBytesMax = 16 << 10

    let operators: OperatorRoutes
    let api: APIRoutes
    let page: PageRoutes
    let agents: AgentRoute
    let access: AccessPolicy

    /// What is no question about the store. These paths are matched to the letter; so are those of `signal`.
    static let routes = RouteTable<FuseboxResponder>([
        Route(.get, "/-/healthy", for: nil, of: .nothing) { responder, _ in responder.operators.text("healthy\n") },
        Route(.get, "/-/ready", for: nil, of: .nothing) { responder, _ in try responder.operators.readiness() },
        Route(.get, "/metrics", of: .everything) { try await $0.operators.exposition($1.request) },
        Route(.post, "/mcp", of: .everything, bodyBytesMax: AgentRoute.bodyBytesMax) { try await $0.agents.respond(to: $1.request) },
    ])

    /// What is posted to a path; `nil` when telemetry does not go there.
    static func signal(at path: String) -> Signal? {
        switch path {
        case "/v1/traces": .traces
        case "/v1/metrics": .metrics
        case "/v1/logs": .logs
        case "/v1development/profiles": .profiles
        default: nil
        }
    }

    /// The same for a path with a query, as it is written, or a whole URL, which a server must take as well (RFC 9112 3.2.2).
    static func signal(ofURI uri: String) -> Signal? {
        guard uri.utf8.first == UInt8(ascii: "/") else { return signal(at: RequestTarget(uri).path) }
        guard let question = uri.utf8.firstIndex(of: UInt8(ascii: "?")) else { return signal(at: uri) }
        return signal(at: String(uri[..<question]))
    }

    /// What a request asks, other than to take telemetry in.
    ///
    /// - Parameter address: of the machine that it comes from; `nil` when it is not known.
    func question(_ head: HTTPRequest, from address: String?) -> Question {
        let target = RequestTarget(head.path ?? "/")
        let encoding = RequestContent.answerEncoding(head.headerFields)
        let refuse: @Sendable (Refusal) -> Response = { StatusTable.response($0, encoding) }
        do {
            var bytes = target.path.utf8.count
            for field in head.headerFields { bytes += field.name.rawName.utf8.count + field.value.utf8.count }
            try Self.checkHeaders(bytes)
            switch try permit(head, at: target.path, from: address) {
            case .preflight(let answer): return Question(answer: answer)
            case .visitor(let visitor): return try find(head, at: target, visitor, refuse)
            }
        } catch {
            return Question(answer: refuse(StatusTable.refusal(for: error)))
        }
    }

    static func checkHeaders(_ bytes: Int) throws {
        guard bytes <= headerBytesMax else {
            throw Refusal(
                status: .requestHeaderFieldsTooLarge, code: .invalidArgument,
                message: "the request's header fields have \(bytes) bytes, the limit is \(headerBytesMax)", closesConnection: true
            )
        }
    }

    private func find(
        _ head: HTTPRequest, at target: RequestTarget, _ visitor: Visitor, _ refuse: @escaping @Sendable (Refusal) -> Response
    ) throws -> Question {
        let path = target.path
        var api = api
        api.visitor = visitor
        do {
            api.context = try context(for: head, at: target, visitor)
        } catch where path.hasPrefix("/api/") {
            return Question(answer: APIRoutes.problem(StatusTable.refusal(for: error)))
        }
        if Self.isOwn(path) { return Self.routes.question(head, at: target, as: self, refuse: refuse) }
        if path.hasPrefix("/api/") { return api.question(head, at: target) }
        if path.hasPrefix("/tempo/") { return TempoRoutes(context: api.context).question(head, at: target) }
        if path.hasPrefix("/jaeger/") { return JaegerRoutes(context: api.context).question(head, at: target) }
        if path.hasPrefix("/loki/") { return LokiRoutes(context: api.context).question(head, at: target) }
        if let file = page.question(head, at: target, refuse: refuse) { return file }
        throw notFound(head.method, path)
    }

    /// What the question is answered from: of one project, if it names one or who asks may read no other.
    private func context(for head: HTTPRequest, at target: RequestTarget, _ visitor: Visitor) throws -> APIContext {
        let asked = QueryString(target.query)["project"]
        guard let project = visitor.project ?? asked, let scope = scope(of: target.path, head.method), scope != .nothing else { return api.context }
        if let own = visitor.project {
            guard scope == .project else {
                throw QueryError.forbidden("this token may read project '\(own)' alone, and \(target.path) cannot be limited to one project")
            }
            guard asked == nil || asked == own else { throw QueryError.forbidden("this token may read project '\(own)' alone") }
        }
        // A query of one's own is of the project's spans, too; what else it names is read whole.
        guard scope == .project || target.path == "/api/sql" else {
            throw QueryError.invalid("\(target.path) is about all projects; ask without project")
        }
        return api.context.of(project: project, isLimit: visitor.project != nil)
    }

    /// What the answer at a path is about; `nil` for a file of the page, and for what is nowhere.
    private func scope(of path: String, _ method: HTTPRequest.Method) -> RouteScope? {
        if Self.isOwn(path) { return Self.routes.find(path)?.route.scope }
        return APIRoutes.routes.find(path, method)?.route.scope ?? TempoRoutes.routes.find(path)?.route.scope
            ?? JaegerRoutes.routes.find(path)?.route.scope ?? LokiRoutes.routes.find(path)?.route.scope
    }

    private static func isOwn(_ path: String) -> Bool { routes.find(path)?.route.path == path }

    // MARK: Who may

    /// What comes of a request that may be.
    private enum Permit {
        case visitor(Visitor)
        /// The answer itself: a browser asks before its request whether it may be.
        case preflight(Response)
    }

    /// Whether what is asked may be.
    private func permit(_ head: HTTPRequest, at path: String, from address: String?) throws -> Permit {
        switch role(of: path, head.method) {
        case .ingest:
            if let fields = try access.preflight(head, methods: "POST") { return .preflight(Response(status: .noContent, headers: fields)) }
            guard head.method == .post else { throw StatusTable.wrongMethod(path, [.post]) }
            try access.checkSender(head)
        case .read: return try permitReading(head, .read, from: address)
        case .judge: return try permitReading(head, .judge, from: address)
        case nil where page.has(path) || path.hasPrefix("/api/"): try access.checkPage(head, from: address)
        case nil: break
        }
        return .visitor(Visitor())
    }

    /// What a token must allow, by the tables; the page and what is nowhere are for those who may read.
    private func role(of path: String, _ method: HTTPRequest.Method) -> AccessPolicy.Role? {
        if Self.signal(at: path) != nil { return .ingest }
        if Self.isOwn(path) { return Self.routes.find(path)?.route.role }
        if let found = APIRoutes.routes.find(path, method) { return found.route.role }
        if let found = TempoRoutes.routes.find(path) { return found.route.role }
        if let found = JaegerRoutes.routes.find(path) { return found.route.role }
        if let found = LokiRoutes.routes.find(path) { return found.route.role }
        return page.has(path) ? nil : .read
    }

    /// Whether what is asked, rather than sent, may be told.
    private func permitReading(_ head: HTTPRequest, _ role: AccessPolicy.Role, from address: String?) throws -> Permit {
        if let fields = try access.preflight(head, methods: "GET, HEAD, POST") {
            return .preflight(Response(status: .noContent, headers: fields))
        }
        return .visitor(try access.checkReader(head, role, from: address))
    }

    private func notFound(_ method: HTTPRequest.Method, _ path: String) -> Refusal {
        var message = "there is nothing at \(path)"
        if method == .post {
            message +=
                "; spans go to /v1/traces (is OTEL_EXPORTER_OTLP_TRACES_ENDPOINT set without it? it is used as it is)"
        }
        return Refusal(status: .notFound, code: .notFound, message: message)
    }
}
