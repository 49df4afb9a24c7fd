import HTTPTypes
package import NIOCore
import NIOHTTPTypes
import OTLP

/// How long a client may take.
package struct DeadlineLimits: Sendable {
    /// From the begin of a connection to the first request's head, TLS included.
    package var head = TimeAmount.seconds(10)
    /// For a body, beside the time that it has at `bytesPerSecondMin`.
    package var body = TimeAmount.seconds(30)
    /// Slower bodies are given up.
    package var bytesPerSecondMin = 64 << 10
    /// To take an answer, or what of it is in the way.
    package var write = TimeAmount.seconds(30)

    package init() {}
}

/// Gives up clients that are too slow: those that send no head, whose body comes in drops, and those that do not take their answer.
/// Between requests the idle timeout holds.
final class ConnectionDeadlines: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: DeadlineLimits
    private var headTimer: Scheduled<Void>?
    private var bodyTimer: Scheduled<Void>?
    private var writeTimer: Scheduled<Void>?
    /// The request whose body is coming in.
    private var head: HTTPRequest?
    private var bodyStart = NIODeadline.now()
    private var bodyBytes = 0
    /// Requests that were read and not answered whole.
    private var unanswered = 0
    private var isAnswering = false

    init(limits: DeadlineLimits) {
        self.limits = limits
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        cancel()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        cancel()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard headTimer == nil else { return }
        headTimer = timer(context, limits.head) { _, context in context.close(promise: nil) }
    }

    private func cancel() {
        headTimer?.cancel()
        bodyTimer?.cancel()
        writeTimer?.cancel()
    }

    private func timer(
        _ context: ChannelHandlerContext, _ delay: TimeAmount,
        _ action: @escaping (ConnectionDeadlines, ChannelHandlerContext) -> Void
    ) -> Scheduled<Void> {
        let bound = NIOLoopBound((self, context, action), eventLoop: context.eventLoop)
        return context.eventLoop.scheduleTask(in: delay) {
            let (handler, context, action) = bound.value
            action(handler, context)
        }
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let request):
            headTimer?.cancel()
            head = request
            unanswered += 1
            bodyStart = .now()
            bodyBytes = 0
            bodyTimer?.cancel()
            bodyTimer = timer(context, limits.body) { $0.checkBody($1) }
        case .body(let buffer): bodyBytes += buffer.readableBytes
        case .end:
            head = nil
            bodyTimer?.cancel()
        }
        context.fireChannelRead(data)
    }

    private func checkBody(_ context: ChannelHandlerContext) {
        guard let request = head else { return }
        let allowance = limits.body + .milliseconds(Int64(bodyBytes) * 1000 / Int64(max(limits.bytesPerSecondMin, 1)))
        let deadline = bodyStart + allowance
        if deadline > .now() {
            bodyTimer = timer(context, deadline - .now()) { $0.checkBody($1) }
            return
        }
        // Nothing may be put into an answer that is under way, or before one that is owed.
        if unanswered == 1 && !isAnswering { answerTimeout(context, request) }
        context.close(promise: nil)
    }

    private func answerTimeout(_ context: ChannelHandlerContext, _ request: HTTPRequest) {
        let encoding: OTLPMessage.Encoding =
            request.headerFields[.contentType]?.hasPrefix("application/x-protobuf") == true ? .protobuf : .json
        let body = OTLPMessage.status(
            code: .deadlineExceeded, message: "the body came too slowly and was given up", as: encoding)
        let response = HTTPResponse(
            status: .requestTimeout,
            headerFields: [.contentType: encoding.contentType, .contentLength: "\(body.count)", .connection: "close"])
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let response): isAnswering = response.status.kind != .informational
        case .body: break
        case .end:
            isAnswering = false
            unanswered -= 1
        }
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeTimer?.cancel()
        if !context.channel.isWritable {
            writeTimer = timer(context, limits.write) { _, context in context.close(promise: nil) }
        }
        context.fireChannelWritabilityChanged()
    }
}

@available(*, unavailable)
extension ConnectionDeadlines: Sendable {}
