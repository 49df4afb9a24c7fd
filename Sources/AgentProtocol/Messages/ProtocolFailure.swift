package import TelemetryModel

/// Why a message has no result. What a tool could not do is no failure of the protocol: that is a result that says so.
package struct ProtocolFailure: Error, Equatable, Sendable {
    /// Codes of JSON-RPC 2.0 and of MCP.
    package enum Code: Int64, Sendable {
        case parse = -32700
        case invalidRequest = -32600
        case methodNotFound = -32601
        case invalidParameters = -32602
        case internalError = -32603
        case headerMismatch = -32020
        case unsupportedVersion = -32022
    }

    package var code: Code
    package var message: String
    var data: JSONValue?

    package init(_ code: Code, _ message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }

    package var isRetryable: Bool { false }

    static func unsupportedVersion(_ asked: String) -> ProtocolFailure {
        ProtocolFailure(
            .unsupportedVersion, "Unsupported protocol version",
            data: ["supported": .array(ProtocolVersion.all.map(JSONValue.string)), "requested": .string(asked)])
    }

    /// The answer to a message; `id` is null when that could not be read.
    package func answer(to id: JSONValue) -> JSONValue {
        var error: [JSONValue.Member] = [.init("code", .integer(code.rawValue)), .init("message", .string(message))]
        if let data { error.append(.init("data", data)) }
        return ["jsonrpc": "2.0", "id": id, "error": .object(error)]
    }
}
