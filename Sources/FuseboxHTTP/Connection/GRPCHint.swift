import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2
import OTLP
import Synchronization

/// Answers HTTP/2 on the HTTP/1.1 port, in the way that gRPC clients show to their users, and says it in the log, once a minute.
final class GRPCHint: Sendable {
    private static let interval = Duration.seconds(60)

    private let message: String
    private let logger: Logger
    private let lastLogged = Mutex<ContinuousClock.Instant?>(nil)

    init(grpcPort: Int?, logger: Logger) {
        let advice =
            switch grpcPort {
            case .none: "gRPC is switched off (grpc_port)"
            case 0: "send gRPC to the port that the server named when it started"
            case .some(let port): "send gRPC to port \(port) (OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:\(port))"
            }
        message = "this port speaks OTLP over HTTP/1.1; \(advice), or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        self.logger = logger
    }

    /// What a call of a path is told. It is written to the log as well.
    func told(path: String) -> String {
        let told = TempoStreaming.refusal(path: path) ?? message
        log(told)
        return told
    }

    private func log(_ message: String) {
        let isDue = lastLogged.withLock { last in
            let now = ContinuousClock.now
            if let last, now - last < Self.interval { return false }
            last = now
            return true
        }
        if isDue { logger.warning("a client spoke gRPC or HTTP/2 to the HTTP port: \(message)") }
    }
}

/// A call at the wrong door.
final class GRPCHintCall: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let hint: GRPCHint
    private var isAnswered = false

    init(_ hint: GRPCHint) {
        self.hint = hint
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered, case .headers(let content) = unwrapInboundIn(data) else { return }
        isAnswered = true
        let message = hint.told(path: content.headers[":path"].first ?? "")
        if content.headers["content-type"].first?.hasPrefix("application/grpc") == true {
            var headers = HPACKHeaders([(":status", "200"), ("content-type", "application/grpc")])
            headers.add(name: "grpc-status", value: "\(RPCCode.unimplemented.rawValue)")
            headers.add(name: "grpc-message", value: message)
            let frame = HTTP2Frame.FramePayload.headers(.init(headers: headers, endStream: true))
            return context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        }
        let body = OTLPMessage.status(code: .unimplemented, message: message, as: .json)
        let headers = HPACKHeaders([
            (":status", "505"), ("content-type", OTLPMessage.Encoding.json.contentType), ("content-length", "\(body.count)"),
        ])
        context.write(wrapOutboundOut(.headers(.init(headers: headers))), promise: nil)
        let frame = HTTP2Frame.FramePayload.data(.init(data: .byteBuffer(ByteBuffer(bytes: body)), endStream: true))
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }
}

@available(*, unavailable)
extension GRPCHintCall: Sendable {}
