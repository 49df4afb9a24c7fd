package import FuseboxHTTP
import HTTPTypes
package import Hummingbird
import Ingest
import NIOCore
import OTLP
import PrometheusText

/// OTLP over gRPC: the three unary `Export` methods on top of HTTP/2.
///
/// Only what OTLP needs of gRPC is here: one message each way, its compression, and the status. HTTP/2 and TLS are the HTTP side's,
/// so are admission, tokens and everything behind the bytes (docs/adr/0030-grpc-over-http2.md).
package struct GRPCResponder: HTTPResponder {
    package typealias Context = FuseboxRequestContext

    private static let signals: [String: Signal] = [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export": .traces,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": .metrics,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export": .logs,
    ]

    let pipeline: ExportPipeline

    package func respond(to request: Request, context: FuseboxRequestContext) async throws -> Response {
        let type = request.headers[.contentType]?.lowercased() ?? ""
        guard request.method == .post,
            type == "application/grpc" || type.hasPrefix("application/grpc+") || type.hasPrefix("application/grpc;")
        else {
            return StatusTable.response(
                Refusal(
                    status: .unsupportedMediaType, code: .invalidArgument,
                    message: "this port speaks gRPC; OTLP over HTTP goes to the HTTP port"), .json)
        }
        let start = ContinuousClock.now
        pipeline.metrics.inflight.add(1)
        defer {
            pipeline.metrics.inflight.add(-1)
            pipeline.metrics.requestDuration.cell("grpc").record(ContinuousClock.now - start)
        }
        let answer: GRPCAnswer
        do {
            answer = .success(try await export(request, context))
        } catch let error as ChannelError {
            throw error
        } catch {
            let refusal = StatusTable.refusal(for: error)
            if refusal.code == .unavailable { pipeline.metrics.backpressure.increment("503") }
            if refusal.closesConnection { context.closeSoon() }
            answer = .failure(refusal)
        }
        pipeline.metrics.requests.increment("grpc", "protobuf", "\(answer.code.rawValue)")
        return answer.response
    }

    private func export(_ request: Request, _ context: FuseboxRequestContext) async throws -> [UInt8] {
        guard let signal = Self.signals[request.uri.path] else {
            throw Refusal(
                status: .notFound, code: .unimplemented, message: "there is no method \(request.uri.path); OTLP's are Export")
        }
        guard let encoding = ContentEncoding(header: request.headers[.grpcEncoding]) else {
            throw Refusal(
                status: .unsupportedMediaType, code: .unimplemented,
                message: "grpc-encoding must be one of: \(ContentEncoding.accepted)")
        }
        _ = try pipeline.access.authorize(request.headers, .ingest)
        let permit = try pipeline.admission.admit(context.client, announced: 0)
        let message = try await GRPCMessage.read(request.body, limit: pipeline.bodyBytesMax, permit: permit)
        try permit.start()
        guard !message.isCompressed || request.headers[.grpcEncoding] != nil else {
            throw Refusal(
                status: .badRequest, code: .internal, message: "the message is marked as compressed, but grpc-encoding is missing"
            )
        }
        let coding = message.isCompressed ? encoding : .identity
        pipeline.metrics.requestBytes.increment("grpc", coding.rawValue, by: Int64(message.bytes.count))
        let body = try await pipeline.inflate(message.bytes, coding, permit: permit)
        let outcome = try await pipeline.export(body, .protobuf, signal, permit: permit)
        return outcome.message(signal, as: .protobuf)
    }
}

extension HTTPField.Name {
    // All are valid names, so what stands behind `??` is never taken.
    static let grpcEncoding = Self("grpc-encoding") ?? .trailer
    static let grpcAcceptEncoding = Self("grpc-accept-encoding") ?? .trailer
    static let grpcStatus = Self("grpc-status") ?? .trailer
    static let grpcMessage = Self("grpc-message") ?? .trailer
    static let grpcStatusDetails = Self("grpc-status-details-bin") ?? .trailer
}
