import HTTPTypes
package import NIOCore

/// Gives up clients that are too slow: those that send no head, whose body comes in drops, that do not take their answer, and those
/// that say nothing for long between requests.
package final class ConnectionDeadlines: ChannelDuplexHandler {
    package typealias InboundIn = HTTPRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPResponsePart

    private let clock: LoopClock
    private let slowBody: (_ message: String) -> (type: String, bytes: [UInt8])
    private var deadlines: RequestDeadlines
    private var context: ChannelHandlerContext?
    private var isReading = false
    /// Requests that were read and not answered whole.
    private var unanswered = 0
    private var isAnswering = false

    /// - Parameter slowBody: the answer, and its media type, to a request whose body came too slowly.
    package init(
        limits: DeadlineLimits, clock: LoopClock, slowBody: @escaping (_ message: String) -> (type: String, bytes: [UInt8])
    ) {
        self.clock = clock
        self.slowBody = slowBody
        deadlines = RequestDeadlines(limits, openedAt: clock.now)
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        clock.add(self)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        clock.remove(self)
        self.context = nil
    }

    package func channelInactive(context: ChannelHandlerContext) {
        clock.remove(self)
        context.fireChannelInactive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            isReading = true
            unanswered += 1
            deadlines.headCame(at: clock.now)
        case .body(let buffer): deadlines.bodyCame(buffer.readableBytes, at: clock.now)
        case .end:
            isReading = false
            if unanswered == 0 { deadlines.wasAnswered(at: clock.now) } else { deadlines.endCame() }
        }
        context.fireChannelRead(data)
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let response): isAnswering = response.status.kind != .informational
        case .body: break
        case .end:
            isAnswering = false
            unanswered -= 1
            if unanswered == 0 && !isReading { deadlines.wasAnswered(at: clock.now) }
        }
        context.write(data, promise: promise)
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        deadlines.isStuck(!context.channel.isWritable, at: clock.now)
        context.fireChannelWritabilityChanged()
    }

    private func answerTimeout(_ context: ChannelHandlerContext) {
        let body = slowBody("the body came too slowly and was given up")
        let response = HTTPResponse(
            status: .requestTimeout,
            headerFields: [.contentType: body.type, .contentLength: "\(body.bytes.count)", .connection: "close"])
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: body.bytes))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}

extension ConnectionDeadlines: ClockedConnection {
    package func tick(now: NIODeadline) {
        guard let context, let breach = deadlines.breach(at: now) else { return }
        // Nothing may be put into an answer that is under way, or before one that is owed.
        if breach == .slowBody && unanswered == 1 && !isAnswering { answerTimeout(context) }
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension ConnectionDeadlines: Sendable {}
