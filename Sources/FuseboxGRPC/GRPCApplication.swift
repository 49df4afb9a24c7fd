package import FuseboxHTTP
package import Hummingbird
import HummingbirdCore
import HummingbirdHTTP2
package import Logging
import NIOCore

/// The gRPC server, as `serve` runs it beside the HTTP one.
///
/// - Parameters:
///   - port: 0 takes any free one.
///   - onRunning: called with the port once the server listens.
package func buildGRPCApplication(
    _ configuration: HTTPConfiguration, port: Int, pipeline: ExportPipeline, connections: ConnectionLedger,
    contexts: TLSContexts?, logger: Logger, onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
) -> some ApplicationProtocol {
    let accept = AcceptLimit(ledger: connections)
    return Application(
        responder: GRPCResponder(pipeline: pipeline),
        server: HTTPServerBuilder { responder in
            let channel = BoundedHTTP2Channel(
                HTTP2Channel(responder: responder, configuration: configuration.http2), silenceMax: configuration.silenceMax)
            return ServerChannels.wrapped(channel, connections: connections, contexts: contexts)
        },
        configuration: .init(
            address: .hostname(configuration.host, port: port), serverName: "fusebox",
            availableConnectionsDelegate: accept),
        onServerRunning: { channel in
            accept.serves(channel)
            await onRunning(channel.localAddress?.port ?? port)
        },
        logger: logger)
}
