import GatewayRules
import TelemetryModel

/// What there is to tell of one request, gathered while it runs. Times are nanoseconds since 1970.
struct CallRecord: Sendable {
    enum Outcome: Sendable {
        case ok
        /// The gateway answered in the backend's place, or broke the answer off.
        case refused(GatewayRefusal)
        /// The backend's own error went to the client.
        case backendError(status: Int)
        /// The client went away.
        case cancelled
    }

    struct Attempt: Sendable {
        var spanID: SpanID
        /// Position in the plan.
        var backend: Int
        var port: Int
        var startTimeUnixNano: Int64
        var endTimeUnixNano: Int64 = 0
        var status: Int?
        var errorType: String?
    }

    /// Attempts past this many are made and not told: a backend that is busy may be asked again for as long as a request may wait.
    static let attemptsMax = 16

    var traceID: TraceID
    var parentSpanID: SpanID
    var flags: UInt8
    var traceState = ""
    var serverSpanID: SpanID
    var callSpanID: SpanID
    var path: String
    var workflow: String?
    var step: String?
    var startTimeUnixNano: Int64
    var endTimeUnixNano: Int64 = 0

    /// What was asked for; `nil` when the body was not understood.
    var request: ModelRequest?
    var modelName = ""
    /// The position of the backend of the last attempt.
    var backend: Int?
    var queueDepth = 0
    /// When the slot was given; `nil` when it never was.
    var grantTimeUnixNano: Int64?
    var firstTokenTimeUnixNano: Int64?
    var firstTokenFuseNanoseconds: Int64?
    var breakerState: String?
    /// When new processes of the backend closed its breaker since the last call that tells of it.
    var breakerResets: [Int64] = []
    var facts = AnswerFacts()
    var attempts: [Attempt] = []
    var attemptCount = 0
    /// Of the answer's head; 0 when none went out.
    var status = 0
    var outcome = Outcome.ok

    /// `error.type` of the call; `nil` when it went well.
    var errorType: String? {
        switch outcome {
        case .ok: nil
        case .refused(let refusal): refusal.code
        case .backendError(let status): "\(status)"
        case .cancelled: "cancelled"
        }
    }

    /// The word for it in metrics.
    var outcomeLabel: String {
        switch outcome {
        case .ok: "ok"
        case .cancelled: "cancelled"
        case .backendError: "error"
        case .refused(let refusal):
            switch refusal {
            case .firstTokenTimeout, .answerTimeout, .gapTimeout, .totalTimeout: "timeout"
            case .upstreamFailed, .streamBroken: "error"
            default: "rejected"
            }
        }
    }

    /// Whether a fuse ended it.
    var isTimeout: Bool { outcomeLabel == "timeout" }
}
