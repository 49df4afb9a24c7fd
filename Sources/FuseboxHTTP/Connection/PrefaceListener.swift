import NIOCore

/// Holds a connection's first bytes back until they tell what they are, then makes way.
final class PrefaceListener: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// The first line of every HTTP/2 connection (RFC 9113, 3.4).
    private static let preface = Array("PRI * HTTP/2.0".utf8)

    private let patience: TimeAmount
    private let decide: (Bool) -> EventLoopFuture<Void>
    private var held = ByteBuffer()
    private var isDecided = false
    private var timer: Scheduled<Void>?

    init(patience: TimeAmount, decide: @escaping (Bool) -> EventLoopFuture<Void>) {
        self.patience = patience
        self.decide = decide
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDecided else { return context.fireChannelRead(data) }
        var bytes = unwrapInboundIn(data)
        held.writeBuffer(&bytes)
        let count = min(held.readableBytes, Self.preface.count)
        let begins = held.readableBytesView.prefix(count).elementsEqual(Self.preface.prefix(count))
        if begins && count < Self.preface.count { return }
        isDecided = true
        timer?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        decide(begins).whenComplete { result in
            let (listener, context) = bound.value
            guard case .success = result else { return context.close(promise: nil) }
            context.fireChannelRead(listener.wrapInboundOut(listener.held))
            context.fireChannelReadComplete()
            context.pipeline.syncOperations.removeHandler(listener, promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        let isInputClosed = (event as? ChannelEvent) == .inputClosed
        if !isDecided && (isInputClosed || event is ChannelShouldQuiesceEvent) {
            end()
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func end() {
        timer?.cancel()
        isDecided = true
    }
}

@available(*, unavailable)
extension PrefaceListener: Sendable {}
