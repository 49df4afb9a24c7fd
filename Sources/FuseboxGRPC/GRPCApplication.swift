package import FuseboxHTTP
package import Hummingbird
import HummingbirdHTTP2
package import Logging

/// The gRPC server, as `serve` runs it beside the HTTP one.
///
/// - Parameters:
///   - port: 0 takes any free one.
///   - onRunning: called with the port once the server listens.
package func buildGRPCApplication(
    _ configuration: HTTPConfiguration, port: Int, pipeline: ExportPipeline, connections: ConnectionLedger,
    contexts: TLSContexts?, logger: Logger, onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
) -> some ApplicationProtocol {
    ServerChannels.application(
        responder: GRPCResponder(pipeline: pipeline), host: configuration.host, port: port, connections: connections,
        contexts: contexts, logger: logger, onRunning: onRunning
    ) { responder in
        BoundedHTTP2Channel(
            HTTP2Channel(responder: responder, configuration: configuration.http2), silenceMax: configuration.silenceMax)
    }
}
