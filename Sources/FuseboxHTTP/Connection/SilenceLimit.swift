import NIOCore

/// Closes a connection on which nothing has come in for so long, and one on which nothing moves while the server stops.
final class SilenceLimit: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// While the server stops: whoever waits for a commit has its answer sooner.
    private static let stoppingSilenceMax = TimeAmount.seconds(2)

    private var silenceMax: TimeAmount
    private var isStopping = false
    private var lastMove = NIODeadline.now()
    private var timer: Scheduled<Void>?

    init(_ silenceMax: TimeAmount) {
        self.silenceMax = silenceMax
    }

    func handlerAdded(context: ChannelHandlerContext) {
        schedule(context, in: silenceMax)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastMove = .now()
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // An answer, or what is left of one. Otherwise only what comes in counts: the server's own pings would keep it alive.
        if isStopping { lastMove = .now() }
        context.write(data, promise: promise)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent, !isStopping {
            isStopping = true
            silenceMax = Self.stoppingSilenceMax
            lastMove = .now()
            timer?.cancel()
            schedule(context, in: silenceMax)
        }
        context.fireUserInboundEventTriggered(event)
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
            let left = limit.lastMove + limit.silenceMax - .now()
            if left > .nanoseconds(0) { limit.schedule(context, in: left) } else { context.close(promise: nil) }
        }
    }
}

@available(*, unavailable)
extension SilenceLimit: Sendable {}
