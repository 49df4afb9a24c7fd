package import FuseboxHTTP
import Ingest
import NIOCore

extension HTTPServer {
    /// The gRPC server, as `serve` runs it beside the HTTP one.
    ///
    /// - Parameters:
    ///   - port: 0 takes any free one.
    ///   - contexts: of TLS; `nil` without it.
    ///   - unixNano: nanoseconds since 1970.
    ///   - onRunning: called with the port once the server listens.
    package static func grpc(
        _ configuration: HTTPConfiguration, port: Int, pipeline: ExportPipeline, connections: ConnectionLedger,
        contexts: TLSContexts?, unixNano: @escaping @Sendable () -> Int64,
        onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) -> HTTPServer {
        let (limits, silenceMax) = (configuration.deadlines, configuration.silenceMax)
        return HTTPServer(
            host: configuration.host, port: port, connections: connections, contexts: contexts, unixNano: unixNano,
            onRunning: onRunning
        ) { channel, clock in
            // One account for all calls of a connection.
            let client = pipeline.admission.client(HTTPConnection.name(channel))
            let bound = NIOLoopBound(clock, eventLoop: channel.eventLoop)
            try HTTP2Connection.setUp(channel, limits: limits, silenceMax: silenceMax) { stream in
                let call = GRPCCall(pipeline, client: client, limits: limits, clock: bound.value)
                try stream.pipeline.syncOperations.addHandler(call)
            }
        }
    }
}
