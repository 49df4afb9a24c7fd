import FuseboxHTTP
import Ingest
import NIOCore
import NIOEmbedded
import PrometheusText
import Synchronization
import TelemetryModel

/// The way of an HTTP request from its bytes to the bytes of its answer, on one connection that is kept, without a socket and a store.
final class RequestWay {
    private struct Unanswered: Error {}

    /// What one read of a socket brings at most.
    private static let pieceBytes = 64 << 10

    private let pieces: [ByteBuffer]
    private let channel = EmbeddedChannel()
    private let intake = EmptyIntake()

    init(_ body: [UInt8]) throws {
        let head =
            "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:4318\r\nContent-Type: application/x-protobuf\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        let bytes = Array(head.utf8) + body
        pieces = stride(from: 0, to: bytes.count, by: Self.pieceBytes).map {
            ByteBuffer(bytes: bytes[$0..<min($0 + Self.pieceBytes, bytes.count)])
        }
        let registry = MetricRegistry()
        let pipeline = ExportPipeline(
            writer: intake, metrics: HTTPMetrics(registry: registry), admission: Admission(registry: registry),
            bodyBytesMax: 64 << 20)
        try HTTPConnectionSettings(pipeline: pipeline).setUp(channel, LoopClock(channel.embeddedEventLoop, unixNano: { 0 }))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 4318)).wait()
    }

    /// Sends the request once, and looks whether it was taken.
    func take(isCounted: Bool) throws {
        try counted(.request, isCounted) {
            for piece in pieces { try channel.writeInbound(piece) }
            intake.finish()
        }
        guard let answer = try channel.readOutbound(as: ByteBuffer.self), String(buffer: answer).hasPrefix("HTTP/1.1 200 ") else {
            throw Unanswered()
        }
        while try channel.readOutbound(as: ByteBuffer.self) != nil {}
    }
}

/// Takes spans, and says that they are durable when it is asked to.
private final class EmptyIntake: BatchIntake {
    private let waiting = Mutex<(@Sendable (Result<IngestResult, IngestError>) -> Void)?>(nil)

    func finish() {
        let finish = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        finish?(.success(IngestResult(rejections: SpanRejections())))
    }

    func store(_ batch: SpanBatch, finish: @escaping @Sendable (Result<IngestResult, IngestError>) -> Void) {
        waiting.withLock { $0 = finish }
    }

    func store(_ logs: LogBatch, calls: SpanBatch?, finish: @escaping @Sendable (Result<Void, IngestError>) -> Void) {
        finish(.success(()))
    }

    func reserve(spans: Int, bytes: Int) throws(IngestError) -> IngestPlace { throw .stopping }

    func store(_ batch: SpanBatch, in places: [IngestPlace]) async throws(IngestError) -> IngestResult { throw .stopping }
}
