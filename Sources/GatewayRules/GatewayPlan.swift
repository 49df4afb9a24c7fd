package import Derivations
import TelemetryModel

/// What the gateway stands in front of, as configured: models, the backends that serve each, and their limits. Times are
/// nanoseconds. Positions in `models` and `backends` stand for them everywhere in this target.
package struct GatewayPlan: Equatable, Sendable {
    package var models: [ModelPlan] = []
    package var backends: [BackendPlan] = []
    /// Calls upstream at once over all models; `nil` without a limit of its own.
    package var callsMax: Int?
    /// Failures in a row that open a backend's breaker; at least 1.
    package var breakerThreshold: Int
    package var breakerCooldownNanoseconds: Int64

    /// A plan without models, under the breaker rules of the fuse table.
    package init(policy: FusePolicy) {
        breakerThreshold = max(1, policy.breakerThreshold)
        breakerCooldownNanoseconds = max(0, policy.breakerCooldownNanoseconds)
    }

    /// The model that serves a request for `name`; `nil` when there is none. A model that is called `*` serves what no other does.
    package func model(_ name: String) -> Int? {
        models.firstIndex { $0.name == name } ?? models.firstIndex { $0.name == ModelPlan.anyName }
    }
}

/// A model as clients name it.
package struct ModelPlan: Equatable, Sendable {
    /// The name that stands for every model.
    package static let anyName = "*"

    package var name: String
    /// Positions in `GatewayPlan.backends`, most wanted first; at least one.
    package var backends: [Int]
    /// Requests that may wait.
    package var queueDepth = 32
    package var queueWaitNanoseconds: Int64 = 30_000_000_000
    package var fuses = FuseLimits()
    /// Repetitions of a request that failed before a byte of its answer went out.
    package var retriesMax = 1
    /// Before the first repetition; twice as long before each further one.
    package var backoffNanoseconds: Int64 = 250_000_000

    package init(name: String, backends: [Int]) {
        self.name = name
        self.backends = backends
    }
}

/// How long each part of a call may take. `nil`: no fuse.
package struct FuseLimits: Equatable, Sendable {
    package var connectNanoseconds: Int64 = 1_000_000_000
    /// From the slot to the first token of a streamed answer.
    package var firstTokenNanoseconds: Int64?
    /// Added to it for each thousand tokens of the prompt.
    package var firstTokenNanosecondsPerThousand: Int64 = 0
    /// Between two tokens of a streamed answer.
    package var gapNanoseconds: Int64? = 30_000_000_000
    /// From the slot to the end of an answer that is not streamed: such a call shows no sign of life before it.
    package var answerNanoseconds: Int64? = 600_000_000_000
    /// From the slot to the end of any answer.
    package var totalNanoseconds: Int64?

    package init() {}

    /// The first-token fuse of a prompt with about so many tokens.
    package func firstToken(promptTokens: Int) -> Int64? {
        guard let firstTokenNanoseconds else { return nil }
        let (more, overflow) = firstTokenNanosecondsPerThousand.multipliedReportingOverflow(by: Int64(clamping: promptTokens))
        return overflow ? .max : firstTokenNanoseconds.addingSaturated(more / 1000)
    }
}

/// A model server.
package struct BackendPlan: Equatable, Sendable {
    /// What kind of server it is: `gen_ai.provider.name` of its spans.
    package enum Kind: String, CaseIterable, Sendable {
        case llamaCpp = "llama_cpp"
        case ollama
        case vllm
        case mlx
        case lmStudio = "lmstudio"
        case openAI = "openai"
    }

    /// Also the id of its breaker in spans.
    package var name: String
    package var kind = Kind.openAI
    package var host: String
    package var port: Int
    package var isEncrypted = false
    /// What stands before `/v1/…`, without a slash at its end.
    package var pathPrefix = ""
    /// Calls that it works on at once; at least 1.
    package var slots = 1
    /// Whether the backend is asked how many that are, where it says so.
    package var asksForSlots = false
    /// Whether it may work on for a client that left before its first token: llama.cpp looks whether somebody still waits only between
    /// batches of the prompt. Its slot is free when `GET /slots` says so.
    package var lingers: Bool { kind == .llamaCpp }
    /// Backends of one group take turns: calls of one of them at a time. `nil`: by itself.
    package var group: String?
    /// The model's name as it is sent; `nil` for the client's.
    package var upstreamModel: String?
    /// Whether streamed answers are asked for their token counts when the client did not ask.
    package var asksForUsage = true
    /// Whether a call whose client left goes on to its end, instead of being cut off.
    package var drainsAbandonedCalls = false
    /// Set for a server that is started here; its port is given out at each start.
    package var process: ProcessPlan?

    package init(name: String, host: String, port: Int) {
        self.name = name
        self.host = host
        self.port = port
    }
}
