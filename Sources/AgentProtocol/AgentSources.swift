package import Derivations
package import Queries
package import Reports

/// What the tools answer from.
package struct AgentSources: Sendable {
    /// How long the questions of one call may run, unless told otherwise.
    package static let timeLimit = Duration.seconds(10)

    let pool: QueryPool
    /// Every breaker as it stands now.
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
        self.breakers = breakers
        self.policy = policy
        self.gates = gates
        self.versionText = versionText
        self.clock = clock
        self.timeLimit = timeLimit
    }
}
