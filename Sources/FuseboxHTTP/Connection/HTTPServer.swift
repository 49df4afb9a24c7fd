package import NIOCore
import NIOPosix
import NIOSSL

/// A server's socket: connections within their limits, behind TLS where it is on, until the server is asked to stop.
package struct HTTPServer: Sendable {
    /// Connections that the system keeps until they are accepted.
    private static let backlog: Int32 = 256

    private let host: String
    private let port: Int
    private let connections: ConnectionLedger
    private let contexts: TLSContexts?
    private let onRunning: @Sendable (Int) -> Void
    private let setUp: @Sendable (any Channel, LoopClock) throws -> Void
    private let unixNano: @Sendable () -> Int64

    /// - Parameters:
    ///   - port: 0 takes any free one.
    ///   - contexts: of TLS; `nil` without it.
    ///   - unixNano: nanoseconds since 1970.
    ///   - onRunning: called with the port once the server listens.
    ///   - setUp: gives a connection the handlers that speak the server's protocol; called on the connection's event loop.
    package init(
        host: String, port: Int, connections: ConnectionLedger, contexts: TLSContexts?, unixNano: @escaping @Sendable () -> Int64,
        onRunning: @escaping @Sendable (Int) -> Void, setUp: @escaping @Sendable (any Channel, LoopClock) throws -> Void
    ) {
        self.host = host
        self.port = port
        self.connections = connections
        self.contexts = contexts
        self.unixNano = unixNano
        self.onRunning = onRunning
        self.setUp = setUp
    }

    /// Serves until `stop`, and then until what was under way is answered, or cut off. Throws when it cannot listen.
    package func run(until stop: ServerStop) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let open = OpenChannels()
        let clocks = try await LoopClocks(group, unixNano: unixNano)
        let channel = try await bootstrap(group, clocks, open).bind(host: host, port: port).get()
        onRunning(channel.localAddress?.port ?? port)
        stop.whenCutOff { open.closeAll() }
        await stop.whenStopping()
        try? await channel.close()  // It may be closed already.
        let ended = channel.eventLoop.makePromise(of: Void.self)
        open.end(ended)
        try await ended.futureResult.get()
    }

    private func bootstrap(_ group: MultiThreadedEventLoopGroup, _ clocks: LoopClocks, _ open: OpenChannels) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [connections] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptLimit(ledger: connections))
                }
            }
            // A client that has said all it wants may close its side, and is answered.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [connections, contexts, setUp] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.admit(channel), let clock = clocks[channel.eventLoop] else { return }
                    open.add(channel)
                    if let contexts {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: contexts.current))
                    }
                    try setUp(channel, clock)
                }
            }
    }
}
