import HTTPTypes
import Queries
import TelemetryModel

/// What an answer is about.
enum RouteScope: Sendable {
    /// Spans and log records, and nothing else: of one project, if the question names one or its token may read no other.
    case project
    /// More than can be told of one project: refused to a token that is limited to one.
    case everything
    /// Nothing that is stored.
    case nothing
}

/// One path that the server answers: what stands here is the routing, and the tests and docs/api.md are held to it.
struct Route<Owner: Sendable>: Sendable {
    typealias Answer = @Sendable (Owner, RouteRequest) async throws -> Response

    /// From the root; `{name}` stands for one part of any text.
    let path: String
    /// HEAD is answered where GET is.
    let methods: [HTTPRequest.Method]
    /// What a token must allow; `nil` for whoever reaches the port.
    let role: AccessPolicy.Role?
    /// Whether its answer can be of one project.
    let scope: RouteScope
    /// Of a request's body; more is refused before it is read.
    let bodyBytesMax: Int
    /// Parameters that its query may have, beside `project`; one that ends with `.` stands for all that begin so. `nil` takes any: some
    /// clients that others wrote send more than is asked for.
    let takes: [String]?
    let answer: Answer
    /// The path's parts; `nil` for a parameter.
    fileprivate let parts: [Substring?]

    init(
        _ method: HTTPRequest.Method, _ path: String, for role: AccessPolicy.Role? = .read, of scope: RouteScope = .project,
        bodyBytesMax: Int = 0, takes: [String]? = nil, _ answer: @escaping Answer
    ) {
        self.path = path
        methods = method == .get ? [.get, .head] : [method]
        self.role = role
        self.scope = scope
        self.bodyBytesMax = bodyBytesMax
        self.takes = takes
        self.answer = answer
        parts = RouteTable<Owner>.parts(path).map { $0.hasPrefix("{") ? nil : $0 }
    }

    /// A mistyped condition would select everything, so what the path does not take is refused.
    ///
    /// - Throws: `QueryError.invalid`, which names what there is.
    fileprivate func check(_ query: QueryString) throws(QueryError) {
        guard let takes else { return }
        let known = takes + (scope == .everything && path != "/api/sql" ? [] : ["project"])
        func isKnown(_ name: String) -> Bool { name == "project" || known.contains { $0.hasSuffix(".") ? name.hasPrefix($0) : name == $0 } }
        guard let unknown = query.pairs.first(where: { !isKnown($0.name) }) else { return }
        let names = known.isEmpty ? "none" : known.map { $0.hasSuffix(".") ? $0 + "NAME" : $0 }.joined(separator: ", ")
        throw .invalid("\(path) has no parameter '\(unknown.name)'; it takes \(names)")
    }
}

/// A request with what its path and its query say.
struct RouteRequest: Sendable {
    let request: Request
    /// Of the URL.
    let query: QueryString
    /// The texts that stand where the route's path has parameters, decoded, in order.
    let parameters: [String]

    /// The text of a parameter, by its place in the path; empty past the last.
    subscript(_ place: Int) -> String { parameters.indices.contains(place) ? parameters[place] : "" }
}

/// The paths of one door.
struct RouteTable<Owner: Sendable>: Sendable {
    let routes: [Route<Owner>]

    init(_ routes: [Route<Owner>]) {
        self.routes = routes
    }

    /// The route for a path, and the texts in the place of its parameters; `nil` when there is none.
    ///
    /// - Parameter method: of several routes of a path the one that takes it, else the first.
    func find(_ path: String, _ method: HTTPRequest.Method? = nil) -> (route: Route<Owner>, parameters: [String])? {
        let parts = Self.parts(path)
        var found: (route: Route<Owner>, parameters: [String])?
        for route in routes where route.parts.count == parts.count {
            guard let parameters = Self.match(route.parts, parts) else { continue }
            if method.map({ route.methods.contains($0) }) ?? true { return (route, parameters) }
            if found == nil { found = (route, parameters) }
        }
        return found
    }

    /// What a request asks by the route of its path, or the refusal that its head is answered with.
    ///
    /// - Parameter refuse: makes the answer of a refusal, as the door's clients understand it.
    func question(
        _ head: HTTPRequest, at target: RequestTarget, as owner: Owner, refuse: @escaping @Sendable (Refusal) -> Response
    ) -> Question {
        guard let (route, parameters) = find(target.path, head.method) else {
            let error = QueryError.notFound("there is nothing at \(target.path); docs/api.md lists what there is")
            return Question(answer: refuse(StatusTable.refusal(for: error)))
        }
        guard route.methods.contains(head.method) else {
            return Question(answer: refuse(StatusTable.wrongMethod(target.path, route.methods)))
        }
        let query = QueryString(target.query)
        do {
            try route.check(query)
        } catch {
            return Question(answer: refuse(StatusTable.refusal(for: error)))
        }
        return Question(bodyBytesMax: route.bodyBytesMax, refuse: refuse) { request in
            try await route.answer(owner, RouteRequest(request: request, query: query, parameters: parameters))
        }
    }

    private static func match(_ wanted: [Substring?], _ parts: [Substring]) -> [String]? {
        var parameters: [String] = []
        for (want, part) in zip(wanted, parts) {
            let text = QueryString.decoded(part)
            guard let want else {
                parameters.append(text)
                continue
            }
            guard text == want else { return nil }
        }
        return parameters
    }

    /// Without empty ones: some clients double a slash or end with one.
    fileprivate static func parts(_ path: String) -> [Substring] { path.split(separator: "/") }
}

/// What a request's head asks for.
struct Question: Sendable {
    /// The answer, when the head says enough for one.
    let early: Response?
    let bodyBytesMax: Int
    private let make: @Sendable (Request) async throws -> Response
    private let refuse: @Sendable (Refusal) -> Response

    init(
        bodyBytesMax: Int, refuse: @escaping @Sendable (Refusal) -> Response,
        make: @escaping @Sendable (Request) async throws -> Response
    ) {
        early = nil
        self.bodyBytesMax = bodyBytesMax
        self.make = make
        self.refuse = refuse
    }

    init(answer: Response) {
        early = answer
        bodyBytesMax = 0
        make = { _ in answer }
        refuse = { _ in answer }
    }

    /// The answer to the whole request, or why there is none.
    func answer(_ request: Request) async -> Response {
        do {
            return try await make(request)
        } catch {
            return refused(error)
        }
    }

    func refused(_ error: any Error) -> Response { refuse(StatusTable.refusal(for: error)) }
}
