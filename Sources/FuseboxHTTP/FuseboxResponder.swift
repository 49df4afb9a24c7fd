import HTTPTypes
package import Hummingbird
import Ingest
import Logging
import NIOCore
import NIOHTTPTypes
import OTLP
import TelemetryModel

/// Every path that the server answers. Paths are matched exactly: a redirect would lose spans, since clients take it for success.
package struct FuseboxResponder: HTTPResponder {
    package typealias Context = FuseboxRequestContext

    /// Header fields of a request, names and values together.
    private static let headerBytesMax = 16 << 10

    let otlp: OTLPRoutes
    let operators: OperatorRoutes
    let api: APIRoutes
    let page: PageRoutes

    package func respond(to request: Request, context: FuseboxRequestContext) async throws -> Response {
        let response: Response
        do {
            try Self.checkHeaders(request)
            response = try await route(request, context)
        } catch let error as ChannelError {
            throw error
        } catch {
            response = OTLPRoutes.response(StatusTable.refusal(for: error), RequestContent.answerEncoding(request))
        }
        if response.headers[.connection] == "close" { context.closeSoon() }
        return response
    }

    private static func checkHeaders(_ request: Request) throws {
        var bytes = request.uri.path.utf8.count
        for field in request.headers { bytes += field.name.rawName.utf8.count + field.value.utf8.count }
        guard bytes <= headerBytesMax else {
            throw Refusal(
                status: .requestHeaderFieldsTooLarge, code: .invalidArgument,
                message: "the request's header fields have \(bytes) bytes, the limit is \(headerBytesMax)", closesConnection: true
            )
        }
    }

    private func route(_ request: Request, _ context: FuseboxRequestContext) async throws -> Response {
        switch request.uri.path {
        case "/v1/traces": return try await export(request, .traces, context)
        case "/v1/metrics": return try await export(request, .metrics, context)
        case "/v1/logs": return try await export(request, .logs, context)
        case "/v1development/profiles": return try await export(request, .profiles, context)
        case "/metrics":
            try allow(request, [.get, .head])
            return try await operators.exposition(request)
        case "/-/healthy":
            try allow(request, [.get, .head])
            return operators.text("healthy\n")
        case "/-/ready":
            try allow(request, [.get, .head])
            guard await operators.writer.isTaking else { throw StatusTable.unavailable("spans cannot be stored now") }
            return operators.text("ready\n")
        case _ where api.context.checksHost && !HostCheck.isOurs(request.head.authority):
            throw StatusTable.misdirected(request.head.authority ?? "")
        case let path where path.hasPrefix("/api/"): return try await api.respond(to: request)
        case let path where path.hasPrefix("/tempo/"): return try await TempoRoutes(context: api.context).respond(to: request)
        case let path where path.hasPrefix("/jaeger/"): return try await JaegerRoutes(context: api.context).respond(to: request)
        default:
            if let file = try await page.respond(to: request) { return file }
            throw notFound(request)
        }
    }

    private func export(
        _ request: Request, _ signal: OTLPRoutes.Signal, _ context: FuseboxRequestContext
    ) async throws -> Response {
        try allow(request, [.post])
        if request.headers[.expect]?.lowercased() == "100-continue" { try await context.sendContinue() }
        return try await otlp.respond(to: request, signal: signal)
    }

    private func allow(_ request: Request, _ methods: [HTTPRequest.Method]) throws {
        guard !methods.contains(request.method) else { return }
        throw StatusTable.wrongMethod(request.uri.path, methods)
    }

    private func notFound(_ request: Request) -> Refusal {
        var message = "there is nothing at \(request.uri.path)"
        if request.method == .post {
            message +=
                "; spans go to /v1/traces (is OTEL_EXPORTER_OTLP_TRACES_ENDPOINT set without it? it is used as it stands)"
        }
        return Refusal(status: .notFound, code: .notFound, message: message)
    }
}

/// What a request knows of its connection.
package struct FuseboxRequestContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    private let channel: any Channel

    package init(source: Source) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    package var maxUploadSize: Int { .max }

    /// Tells a client that waits with its body to send it.
    func sendContinue() async throws {
        try await channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)))
    }

    /// Closes the connection a moment later, when the client has had time to read the answer; what it still sends is thrown away.
    func closeSoon() {
        let channel = channel
        channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
    }
}
