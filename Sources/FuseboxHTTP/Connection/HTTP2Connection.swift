package import NIOCore
import NIOHTTP2

/// HTTP/2 whose connections end as the protocol wants it: without calls for too long, or when the server stops, the client is told
/// which calls still count, and those are finished.
package enum HTTP2Connection {
    /// Gives a connection the handlers of HTTP/2.
    ///
    /// - Parameters:
    ///   - silenceMax: who says nothing for so long, not even an answer to being asked to end, is cut off.
    ///   - stream: gives a call the handlers that answer it.
    package static func setUp(
        _ channel: any Channel, limits: DeadlineLimits, silenceMax: TimeAmount, stream: @escaping @Sendable (any Channel) throws -> Void
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(SilenceLimit(silenceMax))
        let keeper = HTTP2Keeper(idle: limits.idle)
        try pipeline.addHandler(
            NIOHTTP2Handler(
                mode: .server, eventLoop: channel.eventLoop,
                streamDelegate: HTTP2Keeper.Delegate(keeper: NIOLoopBound(keeper, eventLoop: channel.eventLoop))
            ) { channel in
                channel.eventLoop.makeCompletedFuture { try stream(channel) }
            })
        try pipeline.addHandler(keeper)
    }
}

/// Looks after the life of an HTTP/2 connection: ends it when it has had no calls for long, or when the server stops.
///
/// Pings are answered below. Clients of gRPC measure the way with one beside each call; they are too many only when they come without
/// calls.
final class HTTP2Keeper: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// Pings since the last call. Clients send one or two.
    private static let pingsMax = 100
    /// From being told to end to being cut off.
    private static let farewellMax = TimeAmount.seconds(5)
    /// What a ping carries whose answer shows that the client has read that no more calls are taken.
    private static let farewell = HTTP2PingData(withInteger: 0x6675_7365_626f_7831)

    private enum Phase {
        case open
        /// The client is told to begin no more calls.
        case leaving
        /// It has heard so: what is open now is all there will be.
        case finishing
    }

    private let idle: TimeAmount
    private var phase = Phase.open
    private var streams = 0
    private var lastStream = HTTP2StreamID.rootStream
    private var pings = 0
    private var lastUse = NIODeadline.now()
    private var timer: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(idle: TimeAmount) {
        self.idle = idle
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        watch(context, for: idle)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data).payload {
        case .ping(let data, ack: true): if data == Self.farewell { wasHeard(context) }
        case .ping(_, ack: false):
            if streams == 0 { pings += 1 }
            if pings > Self.pingsMax { context.close(promise: nil) }
        default: break
        }
        context.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { end(context) }
        if event as? ChannelEvent == .inputClosed { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // An error of one call is that call's alone.
        if error is NIOHTTP2Errors.StreamError { return }
        context.close(promise: nil)
    }

    // MARK: Calls

    struct Delegate: NIOHTTP2StreamDelegate {
        let keeper: NIOLoopBound<HTTP2Keeper>

        func streamCreated(_ id: HTTP2StreamID, channel: any Channel) { keeper.value.opened(id) }
        func streamClosed(_ id: HTTP2StreamID, channel: any Channel) { keeper.value.closed() }
    }

    private func opened(_ id: HTTP2StreamID) {
        streams += 1
        lastStream = max(lastStream, id)
        pings = 0
    }

    private func closed() {
        streams -= 1
        lastUse = .now()
        if phase == .finishing && streams == 0 { context?.close(promise: nil) }
    }

    // MARK: The end

    private func watch(_ context: ChannelHandlerContext, for delay: TimeAmount) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: delay) {
            let (keeper, context) = bound.value
            let left = keeper.lastUse + keeper.idle - .now()
            if keeper.streams > 0 { return keeper.watch(context, for: keeper.idle) }
            if left > .nanoseconds(0) { keeper.watch(context, for: left) } else { keeper.end(context) }
        }
    }

    /// Asks the client to begin no more calls. One that is on its way meanwhile is still taken.
    private func end(_ context: ChannelHandlerContext) {
        guard phase == .open else { return }
        phase = .leaving
        write(.goAway(lastStreamID: .maxID, errorCode: .noError, opaqueData: nil), context)
        write(.ping(Self.farewell, ack: false), context)
        context.flush()
    }

    private func wasHeard(_ context: ChannelHandlerContext) {
        guard phase == .leaving else { return }
        phase = .finishing
        write(.goAway(lastStreamID: lastStream, errorCode: .noError, opaqueData: nil), context)
        context.flush()
        if streams == 0 { return context.close(promise: nil) }
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.farewellMax) { channel.close(promise: nil) }
    }

    private func write(_ payload: HTTP2Frame.FramePayload, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: payload)), promise: nil)
    }
}

@available(*, unavailable)
extension HTTP2Keeper: Sendable {}
