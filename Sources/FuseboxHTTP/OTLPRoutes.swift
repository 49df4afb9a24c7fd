import HTTPTypes
import Hummingbird
import Ingest
import NIOCore
import NIOPosix
import OTLP
import PrometheusText
import TelemetryModel

/// `POST /v1/traces`, and the signals that are accepted and counted only.
struct OTLPRoutes: Sendable {
    enum Signal: String, Sendable {
        case traces, metrics, logs, profiles
    }

    let writer: IngestWriter
    let metrics: HTTPMetrics
    /// Before and after inflating.
    let bodyBytesMax: Int
    private let decoder = TraceDecoder()

    init(writer: IngestWriter, metrics: HTTPMetrics, bodyBytesMax: Int) {
        self.writer = writer
        self.metrics = metrics
        self.bodyBytesMax = bodyBytesMax
    }

    /// Answers an export request. Throws only when the connection is gone.
    func respond(to request: Request, signal: Signal) async throws -> Response {
        let start = ContinuousClock.now
        metrics.inflight.add(1)
        defer {
            metrics.inflight.add(-1)
            metrics.requestDuration.cell("http").record(ContinuousClock.now - start)
        }
        let encoding = RequestContent.answerEncoding(request)
        let response: Response
        do {
            guard RequestContent.mediaType(request) == "application/x-protobuf" else { throw Self.wrongMediaType(request) }
            let content = try await RequestContent.body(request, limit: bodyBytesMax)
            metrics.requestBytes.increment("http", content.encoding.rawValue, by: Int64(content.wireBytes))
            response = Self.success(try await export(content.body, signal), encoding)
        } catch let error as ChannelError {
            throw error
        } catch {
            let refusal = StatusTable.refusal(for: error)
            if refusal.status == .serviceUnavailable { metrics.backpressure.increment("503") }
            response = Self.response(refusal, encoding)
        }
        metrics.requests.increment("http", encoding == .protobuf ? "protobuf" : "json", "\(response.status.code)")
        return response
    }

    /// The body of a success.
    private func export(_ body: [UInt8], _ signal: Signal) async throws -> [UInt8] {
        switch signal {
        case .traces:
            let batch = try await offLoop(body.count) { [decoder] in try decoder.decode(body) }
            if batch.spans.isEmpty && batch.rejections.total == 0 { return [] }
            let result = try await writer.store(batch)
            return OTLPMessage.exportTraceServiceResponse(
                rejectedSpans: Int64(result.rejections.total), errorMessage: Self.explanation(result.rejections))
        case .metrics, .logs, .profiles:
            metrics.droppedRecords.increment(signal.rawValue, by: Int64(try RecordCounter.records(in: body)))
            return []
        }
    }

    /// Bodies up to this many bytes are decoded where they came in, in well under a millisecond.
    private static let bytesDecodedInPlaceMax = 1 << 20

    /// Runs work on a body of that many bytes: a large one on a thread that may block, so that other requests go on.
    private func offLoop<Value: Sendable>(_ bytes: Int, _ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        guard bytes > Self.bytesDecodedInPlaceMax else { return try work() }
        return try await NIOThreadPool.singleton.runIfActive(work)
    }

    private static func explanation(_ rejections: SpanRejections) -> String {
        var reasons: [String] = []
        if rejections.invalidIDs > 0 {
            reasons.append("\(rejections.invalidIDs) with a trace or span id that is missing, all zero or of the wrong length")
        }
        if rejections.timesOutOfRange > 0 { reasons.append("\(rejections.timesOutOfRange) with a time after the year 2262") }
        if rejections.tooOld > 0 { reasons.append("\(rejections.tooOld) older than the retention") }
        return reasons.isEmpty ? "" : "spans refused: " + reasons.joined(separator: ", ")
    }

    private static func wrongMediaType(_ request: Request) -> Refusal {
        let message =
            switch RequestContent.mediaType(request) {
            case "application/json":
                "OTLP/JSON is not taken yet; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
            case .some(let type) where type.hasPrefix("application/grpc"):
                "this port speaks OTLP over HTTP, not gRPC; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
            default: "Content-Type must be application/x-protobuf"
            }
        return Refusal(status: .unsupportedMediaType, code: .invalidArgument, message: message)
    }

    private static func success(_ body: [UInt8], _ encoding: OTLPMessage.Encoding) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: encoding.contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }

    /// A refusal as `google.rpc.Status` in the request's encoding.
    static func response(_ refusal: Refusal, _ encoding: OTLPMessage.Encoding) -> Response {
        let body = OTLPMessage.status(code: refusal.code, message: refusal.message, as: encoding)
        var headers = refusal.headers
        headers[.contentType] = encoding.contentType
        if refusal.closesConnection { headers[.connection] = "close" }
        return Response(status: refusal.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}
