import TelemetryModel

/// One JSON-RPC message of a client.
struct ClientMessage: Sendable {
    /// `nil` for a notification, which is not answered.
    var id: JSONValue?
    var method: String
    var parameters: JSONValue

    init(_ bytes: ArraySlice<UInt8>) throws(ProtocolFailure) {
        guard bytes.count <= AgentServer.messageBytesMax else {
            throw ProtocolFailure(.invalidRequest, "the message has \(bytes.count) bytes, the limit is \(AgentServer.messageBytesMax)")
        }
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes)
        } catch {
            throw ProtocolFailure(.parse, "the message is not JSON: \(error.message)")
        }
        guard case .object(let members) = value, value["jsonrpc"]?.text == "2.0", let method = value["method"]?.text else {
            throw ProtocolFailure(.invalidRequest, "the body must be one JSON-RPC 2.0 request or notification")
        }
        self.method = method
        parameters = value["params"] ?? .object([])
        guard members.contains(where: { $0.name == "id" }) else { return }
        switch value["id"] {
        case .string?, .integer?: id = value["id"]
        default: throw ProtocolFailure(.invalidRequest, "the id of a request must be a string or a whole number")
        }
    }

    private static let metaPrefix = "io.modelcontextprotocol/"

    /// A field of `_meta` whose name the protocol reserves.
    func meta(_ name: String) -> JSONValue? { parameters["_meta"]?[Self.metaPrefix + name] }

    static func metaName(_ name: String) -> String { metaPrefix + name }
}

/// What HTTP says of a message beside its body; `nil` where a header field is missing.
package struct MessageHeaders: Sendable {
    package var protocolVersion: String?
    package var method: String?
    package var name: String?

    package init(protocolVersion: String?, method: String?, name: String?) {
        self.protocolVersion = protocolVersion
        self.method = method
        self.name = name
    }

    /// Whether the request is of the revision without a handshake.
    package var areStateless: Bool { protocolVersion == ProtocolVersion.stateless }

    /// Which parameter of a method the field `Mcp-Name` repeats.
    private static let namedParameters = ["tools/call": "name", "prompts/get": "name", "resources/read": "uri"]

    /// Holds the fields against the message: proxies route by the ones, we answer by the other.
    func check(_ message: ClientMessage, version: JSONValue) throws(ProtocolFailure) {
        guard protocolVersion == version.text else { throw Self.mismatch("MCP-Protocol-Version", "the version in _meta") }
        guard method == message.method else { throw Self.mismatch("Mcp-Method", "the method") }
        guard let parameter = Self.namedParameters[message.method], let wanted = message.parameters[parameter]?.text else { return }
        guard name.map(Self.decoded) == wanted else { throw Self.mismatch("Mcp-Name", parameter) }
    }

    private static func mismatch(_ field: String, _ what: String) -> ProtocolFailure {
        ProtocolFailure(.headerMismatch, "Header mismatch: \(field) must be there and say the same as \(what) of the body")
    }

    private static let prefix = "=?base64?"
    private static let suffix = "?="

    /// A field's value; what is not plain ASCII comes as `=?base64?…?=`.
    static func decoded(_ value: String) -> String {
        guard value.hasPrefix(prefix), value.hasSuffix(suffix), value.utf8.count >= prefix.utf8.count + suffix.utf8.count,
            let bytes = Base64.decoded(Array(value.dropFirst(prefix.count).dropLast(suffix.count).utf8)[...])
        else { return value }
        return String(decoding: bytes, as: UTF8.self)
    }
}
