import HTTPTypes
import Ingest
import NIOCore
import NIOEmbedded
import OTLP
import PrometheusText
import Synchronization
import TelemetryModel

@testable import FuseboxHTTP

/// A connection without a network, to a server without a store: what was sent waits until the test says that it is durable.
final class Conversation {
    let channel: EmbeddedChannel
    let intake = HeldIntake()
    let registry = MetricRegistry()
    let admission: Admission
    private var received = ""

    init(
        limits: AdmissionLimits = AdmissionLimits(), access: AccessPolicy = AccessPolicy(), bodyBytesMax: Int = 1 << 20,
        question: @escaping @Sendable (HTTPRequestHeadText) -> Question = { _ in Conversation.nothing }
    ) throws {
        admission = Admission(limits: limits, registry: registry)
        let pipeline = ExportPipeline(
            writer: intake, metrics: HTTPMetrics(registry: registry), admission: admission, access: access, bodyBytesMax: bodyBytesMax)
        let settings = HTTPConnectionSettings(pipeline: pipeline, isEncrypted: false) { head, _ in
            question(HTTPRequestHeadText(method: head.method.rawValue, path: head.path ?? ""))
        }
        channel = EmbeddedChannel()
        let clock = LoopClock(channel.embeddedEventLoop, unixNano: { 784_111_777_000_000_000 })
        try settings.setUp(channel, clock)
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 9)).wait()
    }

    static var nothing: Question {
        let refusal = Refusal(status: .notFound, code: .notFound, message: "nothing")
        return Question(answer: StatusTable.response(refusal, .json))
    }

    func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

    func send(_ head: String, _ body: [UInt8]) throws { try channel.writeInbound(ByteBuffer(bytes: Array(head.utf8) + body)) }

    /// An export request with a body of so many bytes that decode to nothing that is stored at once.
    func post(_ body: [UInt8], _ fields: String = "") throws {
        try send(Self.head(body.count, fields), body)
    }

    static func head(_ count: Int, _ fields: String = "") -> String {
        "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: \(count)\r\n\(fields)\r\n"
    }

    /// What was sent to the client since it was asked last.
    func answers() throws -> String {
        channel.embeddedEventLoop.run()
        var text = ""
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
        return text
    }

    /// The statuses of the answers since it was asked last.
    func statuses() throws -> [Int] {
        try answers().matches(of: #/HTTP/1\.[01] (\d\d\d) /#).compactMap { Int($0.output.1) }
    }

    func pass(_ time: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: time) }

    /// The requests and bytes that admission counts as under way.
    var underWay: [Double] { admission.saturation.map(\.level) }
}

struct HTTPRequestHeadText: Sendable {
    var method: String
    var path: String
}

/// Holds what it is handed.
final class HeldIntake: BatchIntake {
    private struct State {
        var spans: [Int] = []
        var waiting: [@Sendable (Result<IngestResult, IngestError>) -> Void] = []
    }

    private let state = Mutex(State())

    /// Spans of each request, in the order in which they came.
    var spanCounts: [Int] { state.withLock { $0.spans } }

    /// Says of the request that has waited longest what became of it.
    func finish(_ error: IngestError? = nil) {
        let finish = state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
        finish?(error.map { .failure($0) } ?? .success(IngestResult(rejections: SpanRejections())))
    }

    func store(_ batch: SpanBatch, finish: @escaping @Sendable (Result<IngestResult, IngestError>) -> Void) {
        state.withLock { state in
            state.spans.append(batch.spans.count)
            state.waiting.append(finish)
        }
    }

    func store(_ logs: LogBatch, calls: SpanBatch?, finish: @escaping @Sendable (Result<Void, IngestError>) -> Void) {
        finish(.success(()))
    }

    func reserve(spans: Int, bytes: Int) throws(IngestError) -> IngestPlace { throw .stopping }

    func store(_ batch: SpanBatch, in places: [IngestPlace]) async throws(IngestError) -> IngestResult { throw .stopping }
}
