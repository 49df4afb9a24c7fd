import NIOCore
import NIOHTTP2

/// Keeps pings of an HTTP/2 connection from the handler that counts them: gRPC clients measure the way with a ping beside each
/// call, and four within half a minute would end their connection. They are answered below. Here, pings are too many only when
/// they come without calls.
final class PingFilter: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame

    /// Pings since the last call or piece of one. Clients send one or two.
    private static let pingsMax = 100

    private var pings = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data).payload {
        case .ping(_, ack: false):
            pings += 1
            if pings > Self.pingsMax { context.close(promise: nil) }
            return
        case .headers, .data: pings = 0
        default: break
        }
        context.fireChannelRead(data)
    }
}

@available(*, unavailable)
extension PingFilter: Sendable {}
