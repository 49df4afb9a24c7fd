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

    let exports: ExportRoutes
    let operators: OperatorRoutes
    let api: APIRoutes
    let page: PageRoutes
    let access: AccessPolicy

    package func respond(to request: Request, context: FuseboxRequestContext) async throws -> Response {
        var response: Response
        do {
            try Self.checkHeaders(request)
            response = try await route(request, context)
        } catch let error as ChannelError {
            throw error
        } catch {
            response = StatusTable.response(StatusTable.refusal(for: error), RequestContent.answerEncoding(request))
        }
        SecurityHeaders.mark(&response.headers)
        access.origins.mark(&response.headers, for: request.head)
        // The HTTP parser reads nothing behind a request that asks for another protocol, as some clients do with their first one.
        if request.headers[.upgrade] != nil { response.headers[.connection] = "close" }
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
        case "/-/healthy":
            try allow(request, [.get, .head])
            return operators.text("healthy\n")
        case "/-/ready":
            try allow(request, [.get, .head])
            return try await operators.readiness()
        default: return try await read(request)
        }
    }

    /// What is asked rather than sent: the metrics, and all that shows what is stored.
    private func read(_ request: Request) async throws -> Response {
        if let fields = try access.origins.preflight(request.head, methods: "GET, HEAD, POST") {
            return Response(status: .noContent, headers: fields)
        }
        // Who shows a token is no page that a browser was tricked into loading.
        if try !access.authorize(request.headers, .read) { try access.hosts.check(request.head.authority) }
        try access.origins.check(request.head)
        switch request.uri.path {
        case "/metrics":
            try allow(request, [.get, .head])
            return try await operators.exposition(request)
        case let path where path.hasPrefix("/api/"): return try await api.respond(to: request)
        case let path where path.hasPrefix("/tempo/"): return try await TempoRoutes(context: api.context).respond(to: request)
        case let path where path.hasPrefix("/jaeger/"): return try await JaegerRoutes(context: api.context).respond(to: request)
        default:
            if let file = try await page.respond(to: request) { return file }
            throw notFound(request)
        }
    }

    private func export(
        _ request: Request, _ signal: Signal, _ context: FuseboxRequestContext
    ) async throws -> Response {
        if let fields = try access.origins.preflight(request.head, methods: "POST") {
            return Response(status: .noContent, headers: fields)
        }
        try allow(request, [.post])
        try access.origins.check(request.head)
        let hasToken = try access.authorize(request.headers, .ingest)
        // Exporters may reach us by any name; pages in a browser, which tell their origin, may not.
        if !hasToken && request.headers[.origin] != nil { try access.hosts.check(request.head.authority) }
        return try await exports.respond(to: request, signal: signal, context: context)
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

    /// Whose request it is, for fair shares: the machine that it came from, and the connection when that is this machine.
    package var client: String {
        guard let address = channel.remoteAddress?.ipAddress else { return "local" }
        let isLoopback = address.hasPrefix("127.") || address == "::1"
        return isLoopback ? "\(address):\(channel.remoteAddress?.port ?? 0)" : address
    }

    /// Tells a client that waits with its body to send it.
    func sendContinue() async throws {
        try await channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)))
    }

    /// Closes the connection a moment later, when the client has had time to read the answer; what it still sends is thrown away.
    package func closeSoon() {
        let channel = channel
        channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
    }
}
