import TelemetryModel

/// Why a request is answered by the gateway itself, with an OpenAI error object.
package enum GatewayRefusal: Error, Equatable, Sendable {
    case queueFull(depth: Int, waitSeconds: Int)
    case queueTimeout(waitSeconds: Int)
    case breakerOpen(backend: String, waitNanoseconds: Int64)
    case modelLoading
    case backendFailed(backend: String, String)
    case unknownModel(String)
    case invalidRequest(String)
    case bodyTooLarge(limit: Int)
    case slowBody(String)
    case noRoom
    case storeFull(String)
    case stopping
    case upstreamFailed(backend: String, String)
    case firstTokenTimeout(backend: String, seconds: Double)
    case answerTimeout(backend: String, seconds: Double)
    case gapTimeout(backend: String, seconds: Double)
    case totalTimeout(backend: String, seconds: Double)
    case streamBroken(backend: String, String)

    package var isRetryable: Bool { shouldRetry ?? (status >= 500) }

    package var status: Int {
        switch self {
        case .queueFull, .queueTimeout, .breakerOpen, .modelLoading, .backendFailed, .noRoom, .storeFull, .stopping: 503
        case .unknownModel: 404
        case .invalidRequest: 400
        case .bodyTooLarge: 413
        case .slowBody: 408
        case .upstreamFailed, .streamBroken: 502
        case .firstTokenTimeout, .answerTimeout, .gapTimeout, .totalTimeout: 504
        }
    }

    /// `error.code` of the answer, and `error.type` of spans.
    package var code: String { "fusebox_" + reason }

    /// Why, in a word.
    package var reason: String {
        switch self {
        case .queueFull: "queue_full"
        case .queueTimeout: "queue_timeout"
        case .breakerOpen: "breaker_open"
        case .modelLoading: "model_loading"
        case .backendFailed: "backend_failed"
        case .unknownModel: "unknown_model"
        case .invalidRequest: "invalid_request"
        case .bodyTooLarge: "body_too_large"
        case .slowBody: "body_too_slow"
        case .noRoom: "no_room"
        case .storeFull: "store_full"
        case .stopping: "stopping"
        case .upstreamFailed: "upstream_failed"
        case .firstTokenTimeout: "first_token_timeout"
        case .answerTimeout: "answer_timeout"
        case .gapTimeout: "gap_timeout"
        case .totalTimeout: "total_timeout"
        case .streamBroken: "stream_broken"
        }
    }

    package var message: String {
        switch self {
        case .queueFull(let depth, _): "\(depth) requests wait for this model already; come again later"
        case .queueTimeout: "the request waited for a free slot as long as it may; come again later"
        case .breakerOpen(let backend, _): "the backend \(backend) failed repeatedly and is left alone for a while"
        case .modelLoading: "the model is still being loaded; come again in a moment"
        case .backendFailed(let backend, let reason): "the backend \(backend) is not running: \(reason)"
        case .unknownModel(let name): "no model '\(name)' is configured here; GET /v1/models lists those that are"
        case .invalidRequest(let reason), .slowBody(let reason): reason
        case .bodyTooLarge(let limit): "the request's body is larger than \(limit) bytes (request_bytes_max)"
        case .noRoom: "the gateway holds as many requests as it may; come again in a moment"
        case .storeFull(let reason): "the call's spans could not be kept, so it is not made: \(reason)"
        case .stopping: "the gateway is shutting down; come again in a moment"
        case .upstreamFailed(let backend, let reason): "the backend \(backend) failed: \(reason)"
        case .firstTokenTimeout(let backend, let seconds): "the backend \(backend) gave no token within \(seconds) s"
        case .answerTimeout(let backend, let seconds): "the backend \(backend) gave no whole answer within \(seconds) s"
        case .gapTimeout(let backend, let seconds): "the backend \(backend) gave no further token for \(seconds) s"
        case .totalTimeout(_, let seconds): "the call took longer than the \(seconds) s that it may (total_s)"
        case .streamBroken(let backend, let reason): "the answer of the backend \(backend) broke off: \(reason)"
        }
    }

    /// Seconds until another try makes sense.
    package var retryAfterSeconds: Int? {
        switch self {
        case .queueFull(_, let seconds), .queueTimeout(let seconds): min(max(seconds, 1), 60)
        case .breakerOpen(_, let wait): min(max(Int((Double(wait) / 1e9).rounded(.up)), 1), 3600)
        case .modelLoading: 2
        case .backendFailed: 30
        case .noRoom, .storeFull, .stopping: 1
        default: nil
        }
    }

    /// What OpenAI's clients are told about repeating it (`x-should-retry`); `nil` leaves it to them.
    package var shouldRetry: Bool? {
        switch self {
        case .queueFull, .queueTimeout: true
        // Their own patience ends before a longer cooldown does.
        case .breakerOpen(_, let wait): wait > 5_000_000_000 ? false : nil
        // A repetition costs the whole prompt again.
        case .firstTokenTimeout, .answerTimeout, .gapTimeout, .totalTimeout: false
        // It needs somebody to look after it.
        case .backendFailed: false
        default: nil
        }
    }

    var kind: String {
        switch self {
        case .unknownModel, .invalidRequest, .bodyTooLarge, .slowBody: "invalid_request_error"
        case .firstTokenTimeout, .answerTimeout, .gapTimeout, .totalTimeout: "timeout_error"
        case .upstreamFailed, .streamBroken: "server_error"
        default: "unavailable_error"
        }
    }
}
