import HTTPTypes
package import HummingbirdCore
package import HummingbirdHTTP2
package import Logging
package import NIOCore

/// The HTTP/1.1 port: tells by a connection's first bytes whether its client speaks HTTP/2, as gRPC does, and gives those an answer
/// in their own tongue that says where to go.
package struct KnockingChannel: ServerChildChannel {
    /// What a connection turned out to be.
    package enum Connection: Sendable {
        case http1(HTTP1Channel.Value)
        case http2(HTTP2Channel.Value)
    }

    package struct Value: ServerChildChannelValue {
        package let channel: any Channel
        let connection: EventLoopFuture<Connection>
    }

    let http1: HTTP1Channel
    let http2: BoundedHTTP2Channel
    /// For the first bytes.
    let patience: TimeAmount

    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let promise = channel.eventLoop.makePromise(of: Connection.self)
        return channel.eventLoop.makeCompletedFuture {
            let listener = PrefaceListener(patience: patience) { isHTTP2 in
                let connection =
                    isHTTP2
                    ? http2.setup(channel: channel, logger: logger).map(Connection.http2)
                    : http1.setup(channel: channel, logger: logger).map(Connection.http1)
                connection.cascade(to: promise)
                return connection.map { _ in }
            }
            // A connection that ends before it said anything, or was told what it is.
            channel.closeFuture.whenComplete { _ in promise.fail(ChannelError.eof) }
            try channel.pipeline.syncOperations.addHandler(listener)
            return Value(channel: channel, connection: promise.futureResult)
        }
    }

    package func handle(value: Value, logger: Logger) async {
        guard let connection = try? await value.connection.get() else { return }
        switch connection {
        case .http1(let value): await http1.handle(value: value, logger: logger)
        case .http2(let value): await http2.handle(value: value, logger: logger)
        }
    }
}

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
