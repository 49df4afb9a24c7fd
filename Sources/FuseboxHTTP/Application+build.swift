package import Hummingbird
package import Ingest
package import Logging
import NIOCore
package import PrometheusText

/// What the HTTP side needs to know.
package struct HTTPConfiguration: Sendable {
    package var host = "127.0.0.1"
    /// 0 takes any free port.
    package var port = 4318
    /// Bodies of export requests, before and after inflating. The protocol recommends 64 MiB.
    package var bodyBytesMax = 64 << 20
    /// A connection without traffic for this long is closed. Common clients drop theirs after 90 s.
    package var idleTimeoutSeconds: Int64 = 75
    /// Families that never change, such as the build's.
    package var constantFamilies: [MetricFamily] = []
    /// A folder from which the page is served instead of from the program, for those who work on it.
    package var pageFolder: String?

    package init() {}
}

/// The HTTP application, as `serve` and the tests run it.
///
/// - Parameter onRunning: called with the port once the server listens.
package func buildApplication(
    _ configuration: HTTPConfiguration, writer: IngestWriter, questions: APIContext, metrics: HTTPMetrics, logger: Logger,
    onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
) -> some ApplicationProtocol {
    let responder = FuseboxResponder(
        otlp: OTLPRoutes(writer: writer, metrics: metrics, bodyBytesMax: configuration.bodyBytesMax),
        operators: OperatorRoutes(
            writer: writer, metrics: metrics, constantFamilies: configuration.constantFamilies),
        api: APIRoutes(context: questions, writer: writer), page: PageRoutes(folder: configuration.pageFolder))
    return Application(
        responder: responder,
        // The parser's own limits answer without a body; they stand far above ours, which say what is wrong.
        server: .http1(
            configuration: .init(
                idleTimeout: .seconds(configuration.idleTimeoutSeconds),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 256 << 10, maxHeaderListSize: 256 << 10, maxHeaderFieldCount: 8192))),
        configuration: .init(address: .hostname(configuration.host, port: configuration.port), serverName: "fusebox"),
        onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? configuration.port) },
        logger: logger)
}
