import TelemetryModel

/// The fuse table and the breaker rules: configuration as a value. All times are nanoseconds; the defaults are metrics.md's.
package struct FusePolicy: Equatable, Sendable {
    /// Whose breakers are told apart.
    package enum BreakerScope: String, Sendable {
        /// Breakers live in the memory of one process.
        case process
        /// The processes of a service share a breaker store.
        case service
    }

    /// The moment at which a span's `breaker_state` held.
    package enum BreakerMoment: String, Sendable {
        case end
        case start
    }

    /// What an answer that is an error does to a derived breaker's count of timeouts.
    package enum ErrorPolicy: String, Sendable {
        case neutral
        case reset
    }

    package var httpToolTimeoutNanoseconds: Int64 = 10_000_000_000
    package var vectorQueryTimeoutNanoseconds: Int64 = 4_000_000_000
    /// The process tree's own limit; the fuse is it plus 20 s. `nil`: subprocesses have no fuse.
    package var subprocessTreeLimitNanoseconds: Int64?
    /// Model to the longest wait for its first token. A model without one has no fuse.
    package var prefillBudgetsNanoseconds: [String: Int64] = [:]

    /// Timeouts in a row that open a derived breaker; at least 1.
    package var breakerThreshold = 3
    package var breakerCooldownNanoseconds: Int64 = 30_000_000_000
    /// How long an observation waits for older ones; at least 1.
    package var breakerSettleNanoseconds: Int64 = 10_000_000_000
    /// The settle clock moves in multiples of this, which bounds how often breaker state is written; at least 1.
    package var breakerStepNanoseconds: Int64 = 1_000_000_000
    package var breakerScope = BreakerScope.process
    package var breakerStateAt = BreakerMoment.end
    package var derivedStages: Set<Stage> = [.httpTool, .other]
    package var errorPolicy = ErrorPolicy.neutral
    /// Service scope only: a contradiction this soon after an edge is another host's clock.
    package var skewNanoseconds: Int64 = 250_000_000

    /// Tool to stage, for tools whose spans do not say.
    package var stageByTool: [String: Stage] = [:]

    package var vectorWindow = 100
    /// Fewer durations than this say nothing.
    package var vectorMinimum = 20
    /// `nil`: the vector query timeout.
    package var vectorP95GateNanoseconds: Int64?
    /// The part of the gate under which a half-open vector tool closes, 0...1.
    package var vectorHysteresis = 0.9

    /// The gate for whole workflows; shown as configuration only.
    package var p95LatencyGateNanoseconds: Int64?

    /// Runs of workflows that may be under way at once in a process or on a host, items of one retrieval and texts of one embedding call.
    /// `nil`: what each agent declares holds.
    package var workflowConcurrencyMax: Int64?
    package var retrievalBatchMax: Int64?
    package var embedBatchMax: Int64?

    /// Distinct label values: services and hosts in all; tools, workflows and models of each service.
    package var serviceLabelsMax = 50
    package var toolLabelsMax = 100
    package var workflowLabelsMax = 100
    package var modelLabelsMax = 50
    package var hostLabelsMax = 50

    package init() {}

    /// The longest an attempt may take, or a model may let wait for its first token; `nil` without a limit.
    @inline(__always)
    package func fuseNanoseconds(stage: Stage, model: String?) -> Int64? {
        switch stage {
        case .httpTool: return httpToolTimeoutNanoseconds
        case .vector: return vectorQueryTimeoutNanoseconds
        case .subprocess:
            return subprocessTreeLimitNanoseconds?.addingSaturated(SpanDerivations.Limits.subprocessGraceNanoseconds)
        case .llm:
            guard let model, !prefillBudgetsNanoseconds.isEmpty else { return nil }
            return prefillBudgetsNanoseconds[model]
        case .other: return nil
        }
    }
}
