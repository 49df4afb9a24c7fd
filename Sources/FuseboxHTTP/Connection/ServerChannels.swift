import HTTPTypes
package import Hummingbird
package import HummingbirdCore
package import HummingbirdHTTP2
package import Logging
package import NIOCore
import OTLP
import Synchronization

/// How connections are made up, for both servers.
package enum ServerChannels {
    /// A server on channels behind the limits of connections, and behind TLS where it is on.
    ///
    /// - Parameters:
    ///   - port: 0 takes any free one.
    ///   - onRunning: called with the port once the server listens.
    ///   - channel: makes a channel that speaks the server's protocol.
    package static func application<Responder: HTTPResponder, Base: ServerChildChannel>(
        responder: Responder, host: String, port: Int, connections: ConnectionLedger, contexts: TLSContexts?, logger: Logger,
        onRunning: @escaping @Sendable (Int) async -> Void,
        channel: @escaping @Sendable (@escaping HTTPChannelHandler.Responder) -> Base
    ) -> some ApplicationProtocol where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
        let accept = AcceptLimit(ledger: connections)
        return Application(
            responder: responder,
            server: HTTPServerBuilder { wrapped(channel($0), connections: connections, contexts: contexts) },
            configuration: .init(
                address: .hostname(host, port: port), serverName: "fusebox", availableConnectionsDelegate: accept),
            onServerRunning: { server in
                accept.serves(server)
                await onRunning(server.localAddress?.port ?? port)
            },
            logger: logger)
    }

    private static func wrapped<Base: ServerChildChannel>(
        _ base: Base, connections: ConnectionLedger, contexts: TLSContexts?
    ) -> any ServerChildChannel {
        guard let contexts else { return CountedChildChannel(base, ledger: connections) }
        return CountedChildChannel(TLSChildChannel(base, contexts: contexts), ledger: connections)
    }

    /// The HTTP/1.1 port. HTTP/2 clients there are told where gRPC is.
    static func http1(
        _ configuration: HTTPConfiguration, responder: @escaping HTTPChannelHandler.Responder, logger: Logger
    ) -> KnockingChannel {
        let hint = GRPCHint(grpcPort: configuration.grpcPort, logger: logger)
        return KnockingChannel(
            http1: HTTP1Channel(responder: responder, configuration: configuration.http1),
            http2: BoundedHTTP2Channel(
                HTTP2Channel(
                    responder: { request, writer, _ in try await hint.respond(request, writer) },
                    configuration: configuration.http2),
                silenceMax: configuration.deadlines.head),
            patience: configuration.deadlines.head)
    }
}

extension HTTPConfiguration {
    /// The parser's own limits answer without a body; they stand far above ours, which say what is wrong.
    var http1: HTTP1Channel.Configuration {
        HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionDeadlines(limits: deadlines)],
            idleTimeout: .seconds(idleTimeoutSeconds),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: 256 << 10, maxHeaderListSize: 256 << 10, maxHeaderFieldCount: 8192))
    }

    /// Of an HTTP/2 connection: a little more than the idle timeout, so that its polite end comes first.
    package var silenceMax: TimeAmount { .seconds(idleTimeoutSeconds + 10) }

    package var http2: HTTP2Channel.Configuration {
        HTTP2Channel.Configuration(
            idleTimeout: .seconds(idleTimeoutSeconds), gracefulCloseTimeout: .seconds(5),
            streamConfiguration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [ConnectionDeadlines(limits: deadlines)]))
    }
}

/// Answers HTTP/2 on the HTTP/1.1 port, in the way that gRPC clients show to their users, and says it in the log, once a minute.
private final class GRPCHint: Sendable {
    private static let interval = Duration.seconds(60)

    private let message: String
    private let logger: Logger
    private let lastLogged = Mutex<ContinuousClock.Instant?>(nil)

    init(grpcPort: Int?, logger: Logger) {
        let advice =
            switch grpcPort {
            case .none: "gRPC is switched off (grpc_port)"
            case 0: "send gRPC to the port that the server named when it started"
            case .some(let port): "send gRPC to port \(port) (OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:\(port))"
            }
        message = "this port speaks OTLP over HTTP/1.1; \(advice), or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        self.logger = logger
    }

    func respond(_ request: Request, _ writer: consuming ResponseWriter) async throws {
        let isDue = lastLogged.withLock { last in
            let now = ContinuousClock.now
            if let last, now - last < Self.interval { return false }
            last = now
            return true
        }
        if isDue { logger.warning("a client spoke gRPC or HTTP/2 to the HTTP port: \(message)") }
        guard request.headers[.contentType]?.hasPrefix("application/grpc") == true else {
            let body = OTLPMessage.status(code: .unimplemented, message: message, as: .json)
            let head = HTTPResponse(
                status: .httpVersionNotSupported,
                headerFields: [.contentType: OTLPMessage.Encoding.json.contentType, .contentLength: "\(body.count)"])
            var bodyWriter = try await writer.writeHead(head)
            try await bodyWriter.write(ByteBuffer(bytes: body))
            return try await bodyWriter.finish(nil)
        }
        let bodyWriter = try await writer.writeHead(
            HTTPResponse(status: .ok, headerFields: [.contentType: "application/grpc"]))
        var trailers = HTTPFields()
        if let name = HTTPField.Name("grpc-status") { trailers[name] = "\(RPCCode.unimplemented.rawValue)" }
        if let name = HTTPField.Name("grpc-message") { trailers[name] = message }
        try await bodyWriter.finish(trailers)
    }
}
