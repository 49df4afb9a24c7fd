import HummingbirdCore
package import HummingbirdHTTP2
package import Logging
package import NIOCore
import NIOHTTP2

/// HTTP/2 whose silent connections end. A connection without calls is asked to end after the idle timeout, as the protocol wants
/// it; who does not even answer that is cut off here.
package struct BoundedHTTP2Channel: ServerChildChannel {
    package typealias Value = HTTP2Channel.Value

    private let base: HTTP2Channel
    private let silenceMax: TimeAmount

    package init(_ base: HTTP2Channel, silenceMax: TimeAmount) {
        self.base = base
        self.silenceMax = silenceMax
    }

    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(SilenceLimit(silenceMax))
        }.flatMap { base.setup(channel: channel, logger: logger) }.flatMapThrowing { value in
            let frames = try channel.pipeline.syncOperations.handler(type: NIOHTTP2Handler.self)
            try channel.pipeline.syncOperations.addHandler(PingFilter(), position: .after(frames))
            return value
        }
    }

    package func handle(value: Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}

/// Closes a connection on which nothing has come in for so long.
private final class SilenceLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let silenceMax: TimeAmount
    private var lastRead = NIODeadline.now()
    private var timer: Scheduled<Void>?

    init(_ silenceMax: TimeAmount) {
        self.silenceMax = silenceMax
    }

    func handlerAdded(context: ChannelHandlerContext) {
        schedule(context, in: silenceMax)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastRead = .now()
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }

    private func schedule(_ context: ChannelHandlerContext, in delay: TimeAmount) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: delay) {
            let (limit, context) = bound.value
            let left = limit.lastRead + limit.silenceMax - .now()
            if left > .nanoseconds(0) { limit.schedule(context, in: left) } else { context.close(promise: nil) }
        }
    }
}

@available(*, unavailable)
extension SilenceLimit: Sendable {}
