import FuseboxHTTP
import GatewayRules
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Connections to the backends, of one event loop: those that are kept for the next call, and how new ones are made.
final class UpstreamPool {
    private struct Kept {
        var handler: UpstreamHandler
        var since: NIODeadline
    }

    /// Connections of a backend that are kept; calls under way have others.
    private static let keptMax = 64

    private let eventLoop: any EventLoop
    private let plan: GatewayPlan
    private let board: BackendBoard
    private let keptTimeout: TimeAmount
    private let tls: NIOSSLContext?
    private var kept: [[Kept]]

    /// - Parameter tls: for backends behind https.
    init(_ plan: GatewayPlan, _ board: BackendBoard, eventLoop: any EventLoop, keptTimeout: TimeAmount, tls: NIOSSLContext?) {
        self.plan = plan
        self.board = board
        self.eventLoop = eventLoop
        self.keptTimeout = keptTimeout
        self.tls = tls
        kept = plan.backends.map { _ in [] }
    }

    /// A connection that was used before; `nil` when none is young enough.
    func takeKept(_ backend: Int) -> UpstreamHandler? {
        while let last = kept[backend].popLast() {
            if last.handler.isUsable && .now() - last.since < keptTimeout { return last.handler }
            last.handler.close()
        }
        return nil
    }

    /// Keeps a connection for the next call, for a while.
    func keep(_ handler: UpstreamHandler, for backend: Int) {
        guard handler.isUsable, kept[backend].count < Self.keptMax else { return handler.close() }
        handler.isReused = true
        kept[backend].append(Kept(handler: handler, since: .now()))
        let bound = NIOLoopBound((self, handler), eventLoop: eventLoop)
        eventLoop.scheduleTask(in: keptTimeout) {
            let (pool, handler) = bound.value
            pool.drop(handler, backend)
        }
    }

    private func drop(_ handler: UpstreamHandler, _ backend: Int) {
        guard
            let index = kept[backend].firstIndex(where: { $0.handler === handler && .now() - $0.since >= keptTimeout })
        else { return }
        kept[backend].remove(at: index).handler.close()
    }

    /// Closes all kept connections of a backend: one of them turned out to be closed by the other side.
    func dropAll(_ backend: Int) {
        for entry in kept[backend] { entry.handler.close() }
        kept[backend] = []
    }

    /// Makes a connection.
    func connect(_ backend: Int, timeout: TimeAmount) -> EventLoopFuture<UpstreamHandler> {
        let plan = plan.backends[backend]
        let port = board.port(backend)
        let tls = plan.isEncrypted ? tls : nil
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            // Bytes are asked for as the client takes them.
            .channelOption(.autoRead, value: false)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: Self.name(plan.host)))
                    }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(HTTPClientCodec())
                    try pipeline.addHandler(UpstreamHandler(channel))
                }
            }
        // An address needs no resolver, which would hand each connection to other threads.
        let address = try? SocketAddress(ipAddress: plan.host, port: port)
        let channel = address.map { bootstrap.connect(to: $0) } ?? bootstrap.connect(host: plan.host, port: port)
        return channel.flatMapThrowing { try $0.pipeline.syncOperations.handler(type: UpstreamHandler.self) }
    }

    /// The name that a certificate is held against; `nil` for addresses.
    private static func name(_ host: String) -> String? {
        (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
    }
}

@available(*, unavailable)
extension UpstreamPool: Sendable {}

/// Who has a connection to a backend.
protocol UpstreamUser: AnyObject {
    func received(_ part: HTTPResponsePart, from handler: UpstreamHandler)
    /// Bytes of one go are all there.
    func readIsComplete(_ handler: UpstreamHandler)
    /// The backend ended the connection.
    func upstreamClosed(_ handler: UpstreamHandler, _ error: (any Error)?)
}

/// A connection to a backend: hands what comes to whoever has it.
final class UpstreamHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPRequestPart

    private let channel: any Channel
    /// `nil` while it is kept.
    var user: (any UpstreamUser)?
    /// It had a call before.
    var isReused = false

    init(_ channel: any Channel) {
        self.channel = channel
    }

    var isUsable: Bool { channel.isActive && user == nil }

    func send(_ head: HTTPRequest, _ body: [UInt8]) {
        channel.write(HTTPRequestPart.head(head), promise: nil)
        if !body.isEmpty { channel.write(HTTPRequestPart.body(ByteBuffer(bytes: body)), promise: nil) }
        channel.writeAndFlush(HTTPRequestPart.end(nil), promise: nil)
        channel.read()
    }

    /// Asks for more bytes.
    func read() { channel.read() }

    func close() { channel.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // A backend that says something unasked is not understood.
        guard let user else { return context.close(promise: nil) }
        user.received(unwrapInboundIn(data), from: self)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // While it is kept, one read waits for the other side's close.
        if let user { user.readIsComplete(self) } else { context.read() }
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        user?.upstreamClosed(self, nil)
        user = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        user?.upstreamClosed(self, error)
        user = nil
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension UpstreamHandler: Sendable {}
