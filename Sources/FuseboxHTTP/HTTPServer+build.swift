package import Ingest
package import Logging
package import NIOCore
import NIOHTTP1
package import PrometheusText

/// What the HTTP side needs to know.
package struct HTTPConfiguration: Sendable {
    package var host = "127.0.0.1"
    /// 0 takes any free one.
    package var port = 4318
    /// For the hint to those who speak gRPC to the HTTP port; `nil` when gRPC is off.
    package var grpcPort: Int?
    package var deadlines = DeadlineLimits()
    /// Families that never change, such as the build's.
    package var constantFamilies: [MetricFamily] = []
    /// A folder from which the page is served instead of from the program, for those who work on it.
    package var pageFolder: String?

    package init() {}

    /// Of an HTTP/2 connection: a little more than the idle timeout, so that its polite end comes first.
    package var silenceMax: TimeAmount { deadlines.idle + .seconds(10) }

    /// The parser's own limits answer without a body; they stand far above ours, which say what is wrong.
    static var decoderLimits: NIOHTTPDecoderLimitConfiguration {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 256 << 10
        limits.maxHeaderListSize = 256 << 10
        limits.maxHeaderFieldCount = 8192
        return limits
    }
}

extension HTTPServer {
    /// The HTTP server, as `serve` and the tests run it.
    ///
    /// - Parameters:
    ///   - writer: `nil` where an engine is asked: then nothing is taken in.
    ///   - contexts: of TLS; `nil` for plain HTTP.
    ///   - onRunning: called with the port once the server listens.
    package static func http(
        _ configuration: HTTPConfiguration, writer: IngestWriter?, pipeline: ExportPipeline, questions: APIContext,
        connections: ConnectionLedger, contexts: TLSContexts? = nil, logger: Logger,
        onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) -> HTTPServer {
        let responder = FuseboxResponder(
            operators: OperatorRoutes(
                writer: writer, metrics: pipeline.metrics, admission: pipeline.admission,
                clientMetrics: pipeline.clientMetrics, constantFamilies: configuration.constantFamilies, gateway: questions.gateway),
            api: APIRoutes(context: questions, writer: writer, access: pipeline.access), page: PageRoutes(folder: configuration.pageFolder),
            agents: AgentRoute(questions, writer), access: pipeline.access)
        var settings = HTTPConnectionSettings(pipeline: pipeline, isEncrypted: contexts != nil) { responder.question($0, from: $1) }
        settings.limits = configuration.deadlines
        let hint = GRPCHint(grpcPort: configuration.grpcPort, logger: logger)
        let (limits, silenceMax) = (configuration.deadlines, configuration.deadlines.head)
        return HTTPServer(
            host: configuration.host, port: configuration.port, connections: connections, contexts: contexts,
            unixNano: questions.clock, onRunning: onRunning
        ) { [settings] channel, clock in
            // HTTP/2 clients are told where gRPC is.
            let listener = PrefaceListener(patience: limits.head) { isHTTP2 in
                channel.eventLoop.makeCompletedFuture {
                    guard isHTTP2 else { return try settings.setUp(channel, clock) }
                    try HTTP2Connection.setUp(channel, limits: limits, silenceMax: silenceMax) { stream in
                        try stream.pipeline.syncOperations.addHandler(GRPCHintCall(hint))
                    }
                }
            }
            try channel.pipeline.syncOperations.addHandler(listener)
        }
    }
}
