import Queries
package import TelemetryModel

/// Answers the messages of agents by the Model Context Protocol: no transport, no state but the limits on calls. A request that carries
/// its protocol version is answered by the stateless revision, any other by those that begin with a handshake.
package struct AgentServer: Sendable {
    /// Bytes of one message.
    package static let messageBytesMax = 1 << 20

    private let sources: AgentSources
    private let limits: CallLimits
    private let instant: @Sendable () -> ContinuousClock.Instant

    /// How long lists may be kept, milliseconds: they change with the program only.
    private static let listMilliseconds: Int64 = 3_600_000

    package init(
        sources: AgentSources, limits: CallLimits = CallLimits(),
        instant: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.sources = sources
        self.limits = limits
        self.instant = instant
    }

    package struct Answer: Sendable {
        package var message: JSONValue
        /// Set when the message had no result.
        package var failure: ProtocolFailure?
    }

    /// Answers one message; `nil` for a notification.
    ///
    /// - Parameter headers: of the HTTP request; `nil` on other transports.
    package func answer(_ bytes: ArraySlice<UInt8>, headers: MessageHeaders? = nil) async -> Answer? {
        var id: JSONValue?
        do throws(ProtocolFailure) {
            let message = try ClientMessage(bytes)
            id = message.id
            let isStateless = try Self.isStateless(message, headers)
            guard let id = message.id else { return nil }
            let result = try await result(of: message, isStateless: isStateless)
            return Answer(message: ["jsonrpc": "2.0", "id": id, "result": .object(result)], failure: nil)
        } catch {
            return Answer(message: error.answer(to: id ?? .null), failure: error)
        }
    }

    /// By which kind of revision the message is to be answered; refuses versions that are not known, and headers that say otherwise.
    private static func isStateless(_ message: ClientMessage, _ headers: MessageHeaders?) throws(ProtocolFailure) -> Bool {
        guard let version = message.meta("protocolVersion") else {
            guard let told = headers?.protocolVersion else { return false }
            guard told != ProtocolVersion.stateless || message.id == nil else {
                throw ProtocolFailure(
                    .invalidParameters, "params._meta must have \(ClientMessage.metaName("protocolVersion")) in this version")
            }
            guard ProtocolVersion.all.contains(told) else { throw .unsupportedVersion(told) }
            return false
        }
        if message.id != nil { try headers?.check(message, version: version) }
        guard case .string(let text) = version else {
            throw ProtocolFailure(.invalidParameters, "\(ClientMessage.metaName("protocolVersion")) must be a string")
        }
        guard text == ProtocolVersion.stateless else { throw .unsupportedVersion(text) }
        guard case .object? = message.meta("clientCapabilities") else {
            throw ProtocolFailure(
                .invalidParameters, "params._meta must have \(ClientMessage.metaName("clientCapabilities")), an object, if an empty one")
        }
        return true
    }

    // MARK: Methods

    private func result(of message: ClientMessage, isStateless: Bool) async throws(ProtocolFailure) -> [JSONValue.Member] {
        var result: [JSONValue.Member]
        var isList = true
        switch message.method {
        case "initialize" where !isStateless: return initialized(message.parameters)
        case "ping" where !isStateless: return []
        case "server/discover" where isStateless: result = discovered()
        case "tools/list": result = [.init("tools", .array(ToolCatalog.tools(sources).map(\.description)))]
        case "resources/list": result = [.init("resources", .array(ResourceCatalog.resources(sources).map(\.description)))]
        case "resources/templates/list": result = [.init("resourceTemplates", [])]
        case "prompts/list": result = [.init("prompts", .array(PromptCatalog.all.map(\.description)))]
        case "resources/read": result = try await read(message.parameters)
        case "prompts/get":
            result = try PromptCatalog.get(message.parameters, isOfNode: sources.isOfNode)
            isList = false
        case "tools/call":
            result = try await call(message.parameters)
            isList = false
        default: throw ProtocolFailure(.methodNotFound, "there is no method '\(message.method)'")
        }
        guard isStateless else { return result }
        result.append(.init("resultType", "complete"))
        if isList {
            let isLive = message.method == "resources/read"
            result.append(.init("ttlMs", .integer(isLive ? 0 : Self.listMilliseconds)))
            result.append(.init("cacheScope", "private"))
        }
        result.append(.init("_meta", .object([.init(ClientMessage.metaName("serverInfo"), serverInfo)])))
        return result
    }

    private var serverInfo: JSONValue {
        ["name": "fusebox", "title": "Fusebox", "version": .string(sources.versionText)]
    }

    private static let capabilities: JSONValue = ["tools": [:], "resources": [:], "prompts": [:]]

    /// What a model is told of the server before it calls anything.
    private var instructions: String {
        guard let engine = sources.engine else { return Self.instructions }
        return Self.instructions + """
             This server asks the engine \(engine.name), which has the spans of all nodes. Breakers, stalls and evals are kept by each node. \
            query_sql takes ClickHouse's dialect.
            """
    }

    private static let instructions = """
        Fusebox stores the OpenTelemetry spans of AI agents. Begin with what_changed or list_failures, take a trace_id from there to \
        get_trace (the tree) or get_conversation (what was said), then get_span (one span whole). search_traces finds runs by filters. query_sql \
        answers everything else; the resource fusebox://schema has the tables with examples. Answers are bounded: where one says next_offset \
        or next_cursor, ask again with it for the rest. Times are ISO 8601 in UTC; since and until also take ages such as 15m, 6h, 7d.
        """

    private func initialized(_ parameters: JSONValue) -> [JSONValue.Member] {
        [
            .init("protocolVersion", .string(ProtocolVersion.agreed(on: parameters["protocolVersion"]?.text))),
            .init("capabilities", Self.capabilities), .init("serverInfo", serverInfo),
            .init("instructions", .string(instructions)),
        ]
    }

    private func discovered() -> [JSONValue.Member] {
        [
            .init("supportedVersions", .array(ProtocolVersion.all.map(JSONValue.string))),
            .init("capabilities", Self.capabilities), .init("instructions", .string(instructions)),
        ]
    }

    // MARK: Calls

    private func call(_ parameters: JSONValue) async throws(ProtocolFailure) -> [JSONValue.Member] {
        guard let name = parameters["name"]?.text else {
            throw ProtocolFailure(.invalidParameters, "tools/call needs the name of a tool")
        }
        let tools = ToolCatalog.tools(sources)
        guard let tool = tools.first(where: { $0.name == name }) else {
            if let engine = sources.engine, ToolCatalog.tools.contains(where: { $0.name == name }) {
                return Self.failed("\(name) asks for what each node keeps, and the engine \(engine.name) has spans: ask a node")
            }
            throw ProtocolFailure(
                .invalidParameters, "there is no tool '\(name)'; there are \(tools.map(\.name).joined(separator: ", "))")
        }
        if let reason = limits.enter(at: instant()) { return Self.failed(reason) }
        defer { limits.leave() }
        do {
            let call = try ToolCall(tool, parameters["arguments"] ?? .object([]), sources)
            return Self.succeeded(try await tool.run(call))
        } catch {
            return Self.failed(ToolCall.message(of: error))
        }
    }

    private static func succeeded(_ value: JSONValue) -> [JSONValue.Member] {
        [
            .init("content", [["type": "text", "text": .string(value.line)]]), .init("structuredContent", value),
            .init("isError", .bool(false)),
        ]
    }

    private static func failed(_ reason: String) -> [JSONValue.Member] {
        [.init("content", [["type": "text", "text": .string(reason)]]), .init("isError", .bool(true))]
    }

    private func read(_ parameters: JSONValue) async throws(ProtocolFailure) -> [JSONValue.Member] {
        guard let uri = parameters["uri"]?.text else {
            throw ProtocolFailure(.invalidParameters, "resources/read needs the uri of a resource")
        }
        let resources = ResourceCatalog.resources(sources)
        guard let resource = resources.first(where: { $0.uri == uri }) else {
            throw ProtocolFailure(
                .invalidParameters, "there is no resource '\(uri)'; there are \(resources.map(\.uri).joined(separator: ", "))")
        }
        do {
            let text = try await resource.text(sources)
            return [
                .init(
                    "contents", [["uri": .string(uri), "mimeType": .string(resource.mediaType), "text": .string(text)]])
            ]
        } catch {
            throw ProtocolFailure(.internalError, ToolCall.message(of: error))
        }
    }
}
