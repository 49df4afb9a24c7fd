package import Hummingbird
import Ingest
package import Logging
package import PrometheusText

/// What the HTTP side needs to know.
package struct HTTPConfiguration: Sendable {
    package var host = "127.0.0.1"
    /// 0 takes any free port.
    package var port = 4318
    /// For the hint to those who speak gRPC to the HTTP port; `nil` when gRPC is off.
    package var grpcPort: Int?
    /// A connection without traffic for this long is closed. Common clients drop theirs after 90 s.
    package var idleTimeoutSeconds: Int64 = 75
    package var deadlines = DeadlineLimits()
    /// Families that never change, such as the build's.
    package var constantFamilies: [MetricFamily] = []
    /// A folder from which the page is served instead of from the program, for those who work on it.
    package var pageFolder: String?

    package init() {}
}

/// The HTTP application, as `serve` and the tests run it.
///
/// - Parameters:
///   - contexts: of TLS; `nil` for plain HTTP.
///   - onRunning: called with the port once the server listens.
package func buildApplication(
    _ configuration: HTTPConfiguration, pipeline: ExportPipeline, questions: APIContext, connections: ConnectionLedger,
    contexts: TLSContexts? = nil, logger: Logger, onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
) -> some ApplicationProtocol {
    let responder = FuseboxResponder(
        exports: ExportRoutes(pipeline: pipeline),
        operators: OperatorRoutes(
            writer: pipeline.writer, metrics: pipeline.metrics, admission: pipeline.admission,
            clientMetrics: pipeline.clientMetrics,
            constantFamilies: configuration.constantFamilies),
        api: APIRoutes(context: questions, writer: pipeline.writer), page: PageRoutes(folder: configuration.pageFolder),
        access: pipeline.access)
    return ServerChannels.application(
        responder: responder, host: configuration.host, port: configuration.port, connections: connections, contexts: contexts,
        logger: logger, onRunning: onRunning
    ) { responder in
        ServerChannels.http1(configuration, responder: responder, logger: logger)
    }
}
