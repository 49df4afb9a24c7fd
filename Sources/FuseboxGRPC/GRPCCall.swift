import FuseboxHTTP
import HTTPTypes
import Ingest
import NIOCore
import NIOHPACK
import NIOHTTP2
import OTLP

/// One call of OTLP over gRPC: the three unary `Export` methods on a stream of HTTP/2.
///
/// Only what OTLP needs of gRPC is here: one message each way, its compression, and the status. HTTP/2 and TLS are the HTTP side's,
/// so are admission, tokens, deadlines and everything behind the bytes (docs/adr/0030-grpc-over-http2.md).
final class GRPCCall: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private enum State {
        case waiting
        /// The message comes.
        case reading(ExportCall, Signal, ContentEncoding, GRPCMessageReader)
        /// The message is whole.
        case storing
        case answered
    }

    private let pipeline: ExportPipeline
    private let client: AdmissionClient
    private let clock: LoopClock
    private var deadlines: RequestDeadlines
    private var state = State.waiting
    /// When the call came, as long as it counts as under way.
    private var start: NIODeadline?
    private var context: ChannelHandlerContext?

    init(_ pipeline: ExportPipeline, client: AdmissionClient, limits: DeadlineLimits, clock: LoopClock) {
        self.pipeline = pipeline
        self.client = client
        self.clock = clock
        deadlines = RequestDeadlines(limits, openedAt: clock.now)
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        clock.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        leave()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        clock.remove(self)
        // A message that came in part is given up; one that is whole is stored all the same.
        if case .storing = state { return }
        state = .answered
        ended(code: nil)
    }

    private func ended(code: RPCCode?) {
        guard let start else { return }
        self.start = nil
        let nanoseconds = (clock.eventLoop.now - start).nanoseconds
        pipeline.metrics.ended(.grpc, .protobuf, code: (code?.rawValue).map { Int($0) }, nanoseconds: nanoseconds)
    }

    // MARK: The call

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let content):
            if case .waiting = state { begin(content.headers) }
            if content.endStream { end() }
        case .data(let content):
            if case .byteBuffer(let buffer) = content.data { take(buffer) }
            if content.endStream { end() }
        default: break
        }
    }

    private func begin(_ headers: HPACKHeaders) {
        deadlines.headCame(at: clock.now)
        let type = headers["content-type"].first?.lowercased() ?? ""
        guard headers[":method"].first == "POST",
            type == "application/grpc" || type.hasPrefix("application/grpc+") || type.hasPrefix("application/grpc;")
        else { return refuseOtherTongue() }
        pipeline.metrics.began()
        start = clock.eventLoop.now
        do {
            let path = headers[":path"].first ?? ""
            guard let signal = Self.signal(at: path) else {
                throw Refusal(
                    status: .notFound, code: .unimplemented,
                    message: Self.refusal(of: path))
            }
            let coding = try Self.coding(headers["grpc-encoding"].first)
            var fields = HTTPFields()
            if let token = headers["authorization"].first { fields[.authorization] = token }
            _ = try pipeline.access.authorize(fields, .ingest)
            let call = try ExportCall(
                pipeline, signal, .protobuf, over: .grpc, of: client, announced: 0, on: clock.eventLoop)
            state = .reading(call, signal, coding, GRPCMessageReader(limit: pipeline.bodyBytesMax))
        } catch {
            refuse(error)
        }
    }

    private static func refusal(of path: String) -> String {
        if path.hasPrefix("/opentelemetry.proto.collector.profiles.") { return Signal.profilesRefusal }
        return TempoStreaming.refusal(path: path) ?? "there is no method \(path); OTLP's are Export"
    }

    private static func signal(at path: String) -> Signal? {
        switch path {
        case "/opentelemetry.proto.collector.trace.v1.TraceService/Export": .traces
        case "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": .metrics
        case "/opentelemetry.proto.collector.logs.v1.LogsService/Export": .logs
        default: nil
        }
    }

    private static func coding(_ name: String?) throws(Refusal) -> ContentEncoding {
        guard let encoding = ContentEncoding(header: name) else {
            throw Refusal(
                status: .unsupportedMediaType, code: .unimplemented,
                message: "grpc-encoding must be one of: \(ContentEncoding.accepted)")
        }
        return encoding
    }

    private func take(_ buffer: ByteBuffer) {
        guard case .reading(let call, let signal, let coding, var reader) = state else { return }
        deadlines.bodyCame(buffer.readableBytes, at: clock.now)
        do {
            if let bytes = try reader.take(buffer) { try call.take(bytes) }
            state = .reading(call, signal, coding, reader)
        } catch {
            refuse(error)
        }
    }

    private func end() {
        deadlines.endCame()
        guard case .reading(let call, let signal, let coding, let reader) = state else { return }
        state = .storing
        do throws(Refusal) {
            try reader.end()
            guard !reader.isCompressed || coding != .identity else {
                throw Refusal(
                    status: .badRequest, code: .internal,
                    message: "the message is marked as compressed, but grpc-encoding is missing")
            }
        } catch {
            return refuse(error)
        }
        call.end(reader.isCompressed ? coding : .identity) { result in
            switch result {
            case .success(let outcome): self.answer(.success(outcome.message(signal, as: .protobuf)))
            case .failure(let error): self.refuse(error)
            }
        }
    }

    // MARK: Answers

    private func refuse(_ error: any Error) {
        let refusal = StatusTable.refusal(for: error)
        if refusal.code == .unavailable { pipeline.metrics.toldToRetry() }
        answer(.failure(refusal))
        guard refusal.closesConnection, let context else { return }
        // What the client still sends is thrown away for a moment, in which it can read the answer.
        let channel = context.channel
        context.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
    }

    private func answer(_ answer: GRPCAnswer) {
        if case .answered = state { return ended(code: nil) }
        state = .answered
        ended(code: answer.code)
        guard let context, context.channel.isActive else { return }
        context.write(wrapOutboundOut(.headers(.init(headers: GRPCAnswer.head))), promise: nil)
        if let message = answer.message {
            context.write(wrapOutboundOut(.data(.init(data: .byteBuffer(message)))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.headers(.init(headers: answer.trailers, endStream: true))), promise: nil)
    }

    /// Tells who speaks HTTP/2 and not gRPC.
    private func refuseOtherTongue() {
        state = .answered
        let refusal = Refusal(
            status: .unsupportedMediaType, code: .invalidArgument,
            message: "this port speaks gRPC; OTLP over HTTP goes to the HTTP port")
        guard let context else { return }
        let body = OTLPMessage.status(code: refusal.code, message: refusal.message, as: .json)
        let headers = HPACKHeaders([
            (":status", "\(refusal.status.code)"), ("content-type", OTLPMessage.Encoding.json.contentType),
            ("content-length", "\(body.count)"),
        ])
        context.write(wrapOutboundOut(.headers(.init(headers: headers))), promise: nil)
        let data = HTTP2Frame.FramePayload.data(.init(data: .byteBuffer(ByteBuffer(bytes: body)), endStream: true))
        context.writeAndFlush(wrapOutboundOut(data), promise: nil)
    }

    // MARK: Deadlines

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        deadlines.isStuck(!context.channel.isWritable, at: clock.now)
        context.fireChannelWritabilityChanged()
    }
}

extension GRPCCall: ClockedConnection {
    func tick(now: NIODeadline) {
        guard let breach = deadlines.breach(at: now) else { return }
        if breach == .slowBody, case .reading = state {
            refuse(
                Refusal(
                    status: .requestTimeout, code: .deadlineExceeded, message: "the body came too slowly and was given up"))
        }
        context?.close(promise: nil)
    }
}

@available(*, unavailable)
extension GRPCCall: Sendable {}
