import AgentProtocol
import HTTPTypes
import Ingest
import NIOCore
import OTLP
import Queries
import TelemetryModel

/// `/mcp`: the Model Context Protocol over streamable HTTP. Each request is answered by one JSON object; there are no sessions and no
/// streams that the server begins.
struct AgentRoute: Sendable {
    static let bodyBytesMax = AgentServer.messageBytesMax

    private let server: AgentServer

    init(_ context: APIContext, _ writer: IngestWriter?) {
        let sources =
            if let engine = context.engine {
                AgentSources(
                    pool: context.agentPool, engine: engine, policy: context.policy, gates: context.gates, versionText: context.versionText,
                    clock: context.clock)
            } else {
                AgentSources(
                    pool: context.agentPool, breakers: { await writer?.breakers() ?? [] }, policy: context.policy, gates: context.gates,
                    versionText: context.versionText, clock: context.clock)
            }
        server = AgentServer(sources: sources)
    }

    func respond(to request: Request) async throws -> Response {
        // A page of another site can post plain text without asking; this type makes its browser ask first.
        guard RequestContent.mediaType(request) == "application/json" else {
            throw StatusTable.wrongType("Content-Type must be application/json, and the body one JSON-RPC message")
        }
        guard try RequestContent.coding(request.headers[.contentEncoding]) == .identity else {
            throw StatusTable.wrongType("a message is sent as it is, without Content-Encoding")
        }
        let body = Array(buffer: request.body)
        let headers = MessageHeaders(
            protocolVersion: Self.field("MCP-Protocol-Version", request), method: Self.field("Mcp-Method", request),
            name: Self.field("Mcp-Name", request))
        guard let answer = await server.answer(body[...], headers: headers) else { return Response(status: .accepted) }
        var response = APIContext.response(Array(answer.message.line.utf8))
        if let failure = answer.failure { response.status = Self.status(failure.code, isStateless: headers.areStateless) }
        return response
    }

    private static func field(_ name: String, _ request: Request) -> String? {
        HTTPField.Name(name).flatMap { request.headers[$0] }
    }

    /// Clients of the revisions with a handshake read the error of a request out of an answer that succeeds.
    private static func status(_ code: ProtocolFailure.Code, isStateless: Bool) -> HTTPResponse.Status {
        switch code {
        case .parse, .invalidRequest, .headerMismatch, .unsupportedVersion: .badRequest
        case .invalidParameters: isStateless ? .badRequest : .ok
        case .methodNotFound: isStateless ? .notFound : .ok
        case .internalError: .ok
        }
    }
}
