import TelemetryModel

/// How a path's requests and answers are written.
package enum Dialect: String, CaseIterable, Sendable {
    /// OpenAI's: server-sent events that end in `data: [DONE]`.
    case openAI
    /// Ollama's own: an object a line, the last of which says `"done": true`.
    case ollama
    /// Anthropic's messages: server-sent events that end in `message_stop`.
    case anthropic

    /// `Content-Type` of its streamed answers.
    package var streamType: String { self == .ollama ? "application/x-ndjson" : "text/event-stream" }
}

/// What a path asks of a model.
package struct ModelRoute: Equatable, Sendable {
    package let operation: ModelRequest.Operation
    package let dialect: Dialect

    package init(_ operation: ModelRequest.Operation, _ dialect: Dialect) {
        self.operation = operation
        self.dialect = dialect
    }

    /// `nil` for a path that asks nothing of a model.
    package init?(path: String) {
        switch path {
        case "/v1/chat/completions": self.init(.chat, .openAI)
        case "/v1/completions": self.init(.textCompletion, .openAI)
        case "/v1/embeddings": self.init(.embeddings, .openAI)
        case "/api/chat": self.init(.chat, .ollama)
        case "/api/generate": self.init(.textCompletion, .ollama)
        case "/api/embed", "/api/embeddings": self.init(.embeddings, .ollama)
        case "/v1/messages": self.init(.chat, .anthropic)
        default: return nil
        }
    }
}

extension GatewayRefusal {
    /// The error object as clients of a dialect read it, on one line.
    package func body(_ dialect: Dialect) -> String {
        let error: JSONValue
        switch dialect {
        case .openAI:
            error = ["error": ["message": .string(message), "type": .string(kind), "param": .null, "code": .string(code)]]
        case .ollama: error = ["error": .string("\(message) (\(code))")]
        case .anthropic:
            error = ["type": "error", "error": ["type": .string(anthropicKind), "message": .string("\(message) (\(code))")]]
        }
        return error.line
    }

    /// The last word of a stream that broke off, after which nothing follows.
    package func event(_ dialect: Dialect) -> String {
        switch dialect {
        case .openAI: "\n\ndata: \(body(dialect))\n\n"
        case .ollama: "\n\(body(dialect))\n"
        case .anthropic: "\n\nevent: error\ndata: \(body(dialect))\n\n"
        }
    }

    private var anthropicKind: String {
        switch status {
        case 400, 408: "invalid_request_error"
        case 404: "not_found_error"
        case 413: "request_too_large"
        case 503: "overloaded_error"
        case 504: "timeout_error"
        default: "api_error"
        }
    }
}
