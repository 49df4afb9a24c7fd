import NIOCore

/// Leaves connections in the system's backlog while as many are open as there are file descriptors for.
///
/// One past the limit of connections is closed, but on its own event loop, which may be behind: without this, a burst would take the
/// store's descriptors too. One for each server; all count in the same ledger.
final class AcceptLimit: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    /// How long until it is looked again, when another server's connections may be the ones in the way.
    private static let pause = TimeAmount.milliseconds(5)

    private let ledger: ConnectionLedger
    private var isWaiting = false

    init(ledger: ConnectionLedger) {
        self.ledger = ledger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        ledger.accepted()
        unwrapInboundIn(data).closeFuture.whenComplete { [ledger] _ in ledger.closed() }
        context.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        guard !isWaiting else { return }
        if ledger.hasDescriptors { return context.read() }
        isWaiting = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.pause) {
            let (limit, context) = bound.value
            limit.isWaiting = false
            limit.read(context: context)
        }
    }
}

@available(*, unavailable)
extension AcceptLimit: Sendable {}
