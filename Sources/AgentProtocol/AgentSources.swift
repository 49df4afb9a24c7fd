package import Derivations
package import Queries
package import Reports

/// What the tools answer from.
package struct AgentSources: Sendable {
    /// How long the questions of one call may run, unless told otherwise.
    package static let timeLimit = Duration.seconds(10)
    /// The same over an engine, whose spans come over a network first.
    package static let engineTimeLimit = Duration.seconds(30)

    let pool: QueryPool
    /// What SQL goes to where an engine is asked in place of a data folder; `nil` on a node.
    let engine: (any EngineStatements)?
    /// Every breaker as it stands now; of a node.
    let breakers: @Sendable () async throws -> [BreakerView]
    let policy: FusePolicy
    /// What a gate would judge by, for comparisons.
    let gates: GateLimits
    let versionText: String
    /// Nanoseconds since 1970.
    let clock: @Sendable () -> Int64
    /// How long the questions of one call may run.
    let timeLimit: Duration

    package init(
        pool: QueryPool, breakers: @escaping @Sendable () async throws -> [BreakerView], policy: FusePolicy, gates: GateLimits,
        versionText: String, clock: @escaping @Sendable () -> Int64, timeLimit: Duration = timeLimit
    ) {
        self.pool = pool
        engine = nil
        self.breakers = breakers
        self.policy = policy
        self.gates = gates
        self.versionText = versionText
        self.clock = clock
        self.timeLimit = timeLimit
    }

    /// - Parameters:
    ///   - pool: brings the spans of its questions from the engine.
    ///   - engine: what SQL goes to.
    package init(
        pool: QueryPool, engine: any EngineStatements, policy: FusePolicy, gates: GateLimits, versionText: String,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.pool = pool
        self.engine = engine
        breakers = { [] }
        self.policy = policy
        self.gates = gates
        self.versionText = versionText
        self.clock = clock
        timeLimit = Self.engineTimeLimit
    }

    /// Whether what stands beside spans is there too: breakers, stalls, evals. An engine has the spans alone.
    var isOfNode: Bool { engine == nil }
}
