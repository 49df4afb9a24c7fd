import HTTPTypes
import Hummingbird
import Ingest
import NIOCore
import OTLP
import PrometheusText

/// `POST /v1/traces` and its siblings: OTLP over HTTP, in protobuf and in JSON.
struct ExportRoutes: Sendable {
    let pipeline: ExportPipeline
    private var metrics: HTTPMetrics { pipeline.metrics }

    init(pipeline: ExportPipeline) {
        self.pipeline = pipeline
    }

    /// Answers an export request. Throws only when the connection is gone.
    func respond(to request: Request, signal: Signal, context: FuseboxRequestContext) async throws -> Response {
        let start = ContinuousClock.now
        metrics.inflight.add(1)
        defer {
            metrics.inflight.add(-1)
            metrics.requestDuration.cell("http").record(ContinuousClock.now - start)
        }
        let encoding = RequestContent.answerEncoding(request)
        let response: Response
        do {
            guard RequestContent.isExport(request) else { throw Self.wrongMediaType(request) }
            let outcome = try await export(request, encoding, signal, context)
            response = Self.success(outcome.message(signal, as: encoding), encoding)
        } catch let error as ChannelError {
            throw error
        } catch {
            let refusal = StatusTable.refusal(for: error)
            if refusal.status == .serviceUnavailable { metrics.backpressure.increment("503") }
            response = StatusTable.response(refusal, encoding)
        }
        metrics.requests.increment("http", encoding == .protobuf ? "protobuf" : "json", "\(response.status.code)")
        return response
    }

    private func export(
        _ request: Request, _ encoding: OTLPMessage.Encoding, _ signal: Signal, _ context: FuseboxRequestContext
    ) async throws -> ExportOutcome {
        let coding = try RequestContent.coding(request)
        let announced = try RequestContent.announcedBytes(request, limit: pipeline.bodyBytesMax)
        // Who finds no room is told so before the body is read.
        let permit = try pipeline.admission.admit(context.client, announced: announced)
        if request.headers[.expect]?.lowercased() == "100-continue" { try await context.sendContinue() }
        let bytes = try await RequestContent.collect(
            request, announced: announced, limit: pipeline.bodyBytesMax, permit: permit)
        try permit.start()
        metrics.requestBytes.increment("http", coding.rawValue, by: Int64(bytes.count))
        let body = try await pipeline.inflate(bytes, coding, permit: permit)
        return try await pipeline.export(body, encoding, signal, permit: permit)
    }

    private static func wrongMediaType(_ request: Request) -> Refusal {
        let message =
            switch RequestContent.mediaType(request) {
            case .some(let type) where type.hasPrefix("application/grpc"):
                "this port speaks OTLP over HTTP, not gRPC; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or send to the gRPC port"
            default: "Content-Type must be application/x-protobuf or application/json"
            }
        return Refusal(status: .unsupportedMediaType, code: .invalidArgument, message: message)
    }

    private static func success(_ body: [UInt8], _ encoding: OTLPMessage.Encoding) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: encoding.contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}
