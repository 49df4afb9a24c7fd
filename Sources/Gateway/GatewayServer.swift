package import FuseboxHTTP
import GatewayRules
import HTTPTypes
package import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
package import PrometheusText
import TelemetryModel

/// What all connections of the gateway share.
struct GatewayShared: Sendable {
    let settings: GatewaySettings
    let sources: GatewaySources
    let desk: GatewayDesk
    let outbox: SpanOutbox
    let metrics: GatewayMetrics
    let bodies: ByteBudget
    let board: BackendBoard
    let supervisors = Supervisors()
    let cluster = ClusterDesk()
    let gpus: GPUReader
    let watcher: BackendWatcher
    private let askingLoop: any EventLoop
    private let pools: [ObjectIdentifier: NIOLoopBound<UpstreamPool>]

    init(
        _ settings: GatewaySettings, sources: GatewaySources, desk: GatewayDesk, outbox: SpanOutbox, metrics: GatewayMetrics,
        board: BackendBoard, askingLoop: any EventLoop, pools: [ObjectIdentifier: NIOLoopBound<UpstreamPool>]
    ) {
        self.settings = settings
        self.sources = sources
        self.desk = desk
        self.outbox = outbox
        self.metrics = metrics
        self.board = board
        watcher = BackendWatcher(settings.plan)
        gpus = GPUReader(settings.plan)
        self.askingLoop = askingLoop
        self.pools = pools
        bodies = ByteBudget(limit: settings.bodiesBytesMax)
    }

    /// The connections of an event loop of ours.
    func pool(_ eventLoop: any EventLoop) -> UpstreamPool? { pools[ObjectIdentifier(eventLoop)]?.value }

    /// Asks a backend something, on some event loop of ours.
    func ask(
        _ head: HTTPRequest, _ body: [UInt8], _ backend: Int, patience: TimeAmount,
        _ answer: @escaping @Sendable (Result<BackendQuestion.Reply, any Error>) -> Void
    ) {
        let eventLoop = askingLoop
        eventLoop.execute {
            guard let pool = pool(eventLoop) else { return answer(.failure(BackendQuestion.Failure.noConnection)) }
            BackendQuestion.ask(head, body, backend, over: pool, eventLoop, patience: patience).whenComplete(answer)
        }
    }

    func nonZeroRandom() -> UInt64 { max(1, sources.random()) }
}

/// The gateway: a server on a port of its own, on event loops of its own, so that neither it nor the collector can starve the other.
package struct GatewayServer: Sendable {
    private static let threads = 2

    private let settings: GatewaySettings
    private let sources: GatewaySources
    private let pipeline: ExportPipeline
    private let connections: ConnectionLedger
    private let contexts: TLSContexts?
    private let metrics: GatewayMetrics
    private let registry: MetricRegistry
    private let logger: Logger
    private let onRunning: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - contexts: of TLS; `nil` for plain HTTP.
    ///   - onRunning: called with the port once the gateway listens.
    package init(
        _ settings: GatewaySettings, sources: GatewaySources, pipeline: ExportPipeline, connections: ConnectionLedger,
        contexts: TLSContexts?, registry: MetricRegistry, logger: Logger, onRunning: @escaping @Sendable (Int) -> Void
    ) {
        self.settings = settings
        self.sources = sources
        self.pipeline = pipeline
        self.connections = connections
        self.contexts = contexts
        self.registry = registry
        metrics = GatewayMetrics(registry: registry)
        self.logger = logger
        self.onRunning = onRunning
    }

    /// Serves until `stop`, and then until the calls under way have ended, or had their time.
    package func run(until stop: ServerStop) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: Self.threads)
        let outbox = SpanOutbox(pipeline: pipeline, settings: settings)
        let log = ProcessLog(settings, pipeline: pipeline, sources: sources, logger: logger)
        do {
            let shared = try await shared(group, outbox)
            settings.opensDoor(
                GatewayDoor.Answers(
                    status: { GatewayStatus.document(shared).line }, readiness: { GatewayStatus.readiness(shared).lines }))
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await outbox.run() }
                tasks.addTask { await log.run() }
                let open = OpenChannels()
                shared.supervisors.prepare(shared, log: log)
                let channel = try await listen(group, shared, open)
                // Not before: a server that cannot listen starts nothing.
                tasks.addTask {
                    await shared.supervisors.run(shared)
                    log.close()
                }
                tasks.addTask { await shared.watcher.run(shared) { shared.supervisors.isFinished } }
                let reporter = reporter(group, shared, port: channel.localAddress?.port ?? settings.port)
                await stop.whenStopping()
                // Before it closes: nobody should be led here any more.
                await reporter?.finish()
                try? await channel.close()  // It may be closed already.
                try await drain(group, shared, open)
                shared.supervisors.finish(takesProcesses: settings.takesProcesses())
                outbox.close()
                try await tasks.waitForAll()
            }
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    /// Begins to tell a cluster of the models, where one is configured.
    private func reporter(_ group: MultiThreadedEventLoopGroup, _ shared: GatewayShared, port: Int) -> ClusterReporter? {
        guard let (plan, access) = settings.cluster?(port) else { return nil }
        let reporter = ClusterReporter(plan, access: access, shared: shared, group: group, logger: logger)
        shared.cluster.set(reporter)
        reporter.start()
        return reporter
    }

    private func listen(
        _ group: MultiThreadedEventLoopGroup, _ shared: GatewayShared, _ open: OpenChannels
    ) async throws -> any Channel {
        for which in GatewayGauges.Which.allCases { registry.register(GatewayGauges(which: which, shared: shared)) }
        let clocks = try await LoopClocks(group, unixNano: sources.unixNano)
        let channel = try await bootstrap(group, shared, clocks, open).bind(host: settings.host, port: settings.port).get()
        onRunning(channel.localAddress?.port ?? settings.port)
        return channel
    }

    /// Waits until the calls under way have ended, or had their time.
    private func drain(_ group: MultiThreadedEventLoopGroup, _ shared: GatewayShared, _ open: OpenChannels) async throws {
        let drained = group.any().makePromise(of: Void.self)
        open.end(drained)
        let limit = group.any().scheduleTask(in: settings.drainTimeout) { drained.fail(ChannelError.connectTimeout(.zero)) }
        do {
            try await drained.futureResult.get()
        } catch {
            logger.warning("the gateway ended calls that were under way when the server stopped")
            shared.desk.stopAll()
            for eventLoop in group.makeIterator() { try await eventLoop.submit {}.get() }
        }
        limit.cancel()
    }

    private func shared(_ group: MultiThreadedEventLoopGroup, _ outbox: SpanOutbox) async throws -> GatewayShared {
        var pools: [ObjectIdentifier: NIOLoopBound<UpstreamPool>] = [:]
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        let tls = settings.plan.backends.contains(where: \.isEncrypted) ? try NIOSSLContext(configuration: configuration) : nil
        let board = BackendBoard(ports: settings.plan.backends.map(\.port))
        for eventLoop in group.makeIterator() {
            pools[ObjectIdentifier(eventLoop)] = try await eventLoop.submit { [settings] in
                NIOLoopBound(
                    UpstreamPool(settings.plan, board, eventLoop: eventLoop, keptTimeout: settings.keptTimeout, tls: tls),
                    eventLoop: eventLoop)
            }.get()
        }
        return GatewayShared(
            settings, sources: sources, desk: GatewayDesk(settings.plan, eventLoop: group.any(), sources: sources),
            outbox: outbox,
            metrics: metrics, board: board, askingLoop: group.any(), pools: pools)
    }

    private func bootstrap(
        _ group: MultiThreadedEventLoopGroup, _ shared: GatewayShared, _ clocks: LoopClocks, _ open: OpenChannels
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [connections, contexts, settings] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    guard connections.admit(channel), let clock = clocks[channel.eventLoop] else { return }
                    open.add(channel)
                    if let contexts { try pipeline.addHandler(NIOSSLServerHandler(context: contexts.current)) }
                    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: false)
                    try pipeline.addHandler(HTTPServerCodec(isEncrypted: contexts != nil))
                    try pipeline.addHandler(
                        ConnectionDeadlines(limits: settings.deadlines, clock: clock) { message in
                            ("application/json", Array(GatewayRefusal.slowBody(message).body(.openAI).utf8))
                        })
                    try pipeline.addHandler(ClientConnection(shared, channel))
                }
            }
    }
}
