package import Derivations
package import Fleet
import HTTPTypes
import Ingest
import NIOCore
import Queries
package import Reports
package import SpanStore
import StoreSQL
import TelemetryModel

/// What answers questions over HTTP are made from.
package struct APIContext: Sendable {
    private(set) var pool: QueryPool
    /// For agents, whose loops must not take the processors from those who send spans.
    private(set) var agentPool: QueryPool
    /// The resource attribute that says which project a span is of.
    let projectAttribute: String
    let folder: StoreFolder
    let overview = OverviewCache()
    let tails = TailCounter()
    package let gateway = GatewayDoor()
    let policy: FusePolicy
    /// What `/api/gates` judges by.
    let gates: GateLimits
    /// What is asked in place of a data folder; `nil` on a node.
    let engine: FleetQuestions?
    let versionText: String
    /// Nanoseconds since 1970.
    let clock: @Sendable () -> Int64

    package init(
        folder: StoreFolder, turns: ReadingTurns = ReadingTurns(), policy: FusePolicy, gates: GateLimits,
        projectAttribute: String = ProjectScope.serviceName, versionText: String, clock: @escaping @Sendable () -> Int64
    ) {
        let calls = CallsOfSegments()
        self.init(
            pool: QueryPool(folder: folder, turns: turns, calls: calls),
            agentPool: QueryPool(folder: folder, limits: .agents, turns: turns, calls: calls), folder: folder, engine: nil,
            policy: policy, gates: gates, projectAttribute: projectAttribute, versionText: versionText, clock: clock)
    }

    /// - Parameter engine: what is asked in place of a data folder.
    package init(
        engine: FleetQuestions, policy: FusePolicy, gates: GateLimits, projectAttribute: String = ProjectScope.serviceName,
        versionText: String, clock: @escaping @Sendable () -> Int64
    ) {
        // Threads of their own: agents that wait for an engine hold up nobody who reads a page.
        self.init(
            pool: QueryPool(supply: engine.spans), agentPool: QueryPool(supply: engine.spans, limits: .agentsOfEngine), folder: StoreFolder(path: ""), engine: engine, policy: policy, gates: gates,
            projectAttribute: projectAttribute, versionText: versionText, clock: clock)
    }

    private init(
        pool: QueryPool, agentPool: QueryPool, folder: StoreFolder, engine: FleetQuestions?, policy: FusePolicy, gates: GateLimits,
        projectAttribute: String, versionText: String, clock: @escaping @Sendable () -> Int64
    ) {
        self.pool = pool
        self.agentPool = agentPool
        self.folder = folder
        self.engine = engine
        self.policy = policy
        self.gates = gates
        self.projectAttribute = projectAttribute
        self.versionText = versionText
        self.clock = clock
    }

    /// The only project that is asked about; `nil` for all.
    var scope: ProjectScope? { pool.scope }

    /// The same, for questions about one project.
    ///
    /// - Parameter isLimit: whether who asks may read no other.
    func of(project: String, isLimit: Bool) -> APIContext {
        var context = self
        let scope = ProjectScope(attribute: projectAttribute, name: project, isLimit: isLimit)
        (context.pool, context.agentPool) = (pool.scoped(to: scope), agentPool.scoped(to: scope))
        return context
    }

    /// Lists and traces that one header field names.
    private static let truncationsMax = 20

    /// How long questions may run.
    enum TimeLimit {
        static let list = Duration.seconds(10)
        static let query = Duration.seconds(30)
        static let tail = Duration.seconds(1)
    }

    /// Runs `body` on a reading thread and answers with the JSON that it writes.
    ///
    /// - Parameter need: which spans it reads; a question that does not say it is answered by nodes alone.
    func json(
        limit: Duration = TimeLimit.list, of need: SpanNeed = .node, contentType: String = "application/json",
        _ body: @escaping @Sendable (QueryReader, inout JSONWriter) throws -> Void
    ) async throws(QueryError) -> Response {
        let (bytes, truncations) = try await pool.run(limit: limit, of: need) { reader in
            var json = JSONWriter()
            try body(reader, &json)
            return (json.bytes, reader.truncations)
        }
        return Self.response(bytes, contentType: contentType, truncations: truncations)
    }

    /// - Parameter truncations: what the answer leaves out; told in the header field `Fusebox-Truncated`.
    static func response(_ bytes: [UInt8], contentType: String = "application/json", truncations: [String] = []) -> Response {
        var headers: HTTPFields = [.contentType: contentType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff"]
        if !truncations.isEmpty, let name = HTTPField.Name("Fusebox-Truncated") {
            headers[name] = truncations.prefix(truncationsMax).joined(separator: ", ")
        }
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
