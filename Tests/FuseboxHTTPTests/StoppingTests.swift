import NIOCore
import NIOEmbedded
import NIOPosix
import PrometheusText
import Synchronization
import Testing

@testable import FuseboxHTTP

struct StoppingTests {
    /// Notes that its connection was asked to end.
    private final class Listener: ChannelInboundHandler, Sendable {
        typealias InboundIn = Never
        let asked = Atomic(false)
        var wasAsked: Bool { asked.load(ordering: .relaxed) }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is ChannelShouldQuiesceEvent { asked.store(true, ordering: .relaxed) }
        }
    }

    private func channel() throws -> (EmbeddedChannel, Listener) {
        let listener = Listener()
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(listener)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return (channel, listener)
    }

    @Test func aServerHasEndedWhenItsLastConnectionHas() throws {
        let open = OpenChannels()
        let (first, firstListener) = try channel()
        let (second, _) = try channel()
        open.add(first)
        open.add(second)
        let ended = Flag()
        let promise = first.embeddedEventLoop.makePromise(of: Void.self)
        promise.futureResult.whenSuccess { ended.set() }
        open.end(promise)
        first.embeddedEventLoop.run()
        #expect(firstListener.wasAsked)
        try first.close().wait()
        first.embeddedEventLoop.run()
        #expect(!ended.isSet)
        // One that was accepted meanwhile is asked as well.
        let (third, thirdListener) = try channel()
        open.add(third)
        third.embeddedEventLoop.run()
        #expect(thirdListener.wasAsked)
        open.closeAll()
        second.embeddedEventLoop.run()
        third.embeddedEventLoop.run()
        first.embeddedEventLoop.run()
        #expect(ended.isSet)
    }

    @Test func aServerWithoutConnectionsHasEndedAtOnce() throws {
        let loop = EmbeddedEventLoop()
        let promise = loop.makePromise(of: Void.self)
        OpenChannels().end(promise)
        try promise.futureResult.wait()
    }

    @Test func askingToStopIsHeardByThoseWhoWaitAndByThoseWhoComeLater() async {
        let stop = ServerStop()
        let cutOff = Flag()
        stop.whenCutOff { cutOff.set() }
        async let first: Void = stop.whenStopping()
        stop.stop()
        stop.stop()
        await first
        await stop.whenStopping()
        #expect(!cutOff.isSet)
        await withCheckedContinuation { continuation in
            stop.whenCutOff { continuation.resume() }
            stop.cutOff()
        }
        #expect(cutOff.isSet)
    }

    @Test func aServerOnARealPortServesAndStops() async throws {
        let stop = ServerStop()
        let ports = AsyncStream.makeStream(of: Int.self)
        let server = HTTPServer(
            host: "127.0.0.1", port: 0, connections: ConnectionLedger(connectionsMax: 8, registry: MetricRegistry()), contexts: nil,
            unixNano: { 0 }, onRunning: { ports.continuation.yield($0) }
        ) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(EndsWhenAsked())
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run(until: stop) }
            var iterator = ports.stream.makeAsyncIterator()
            let port = await iterator.next() ?? 0
            let client = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(host: "127.0.0.1", port: port).get()
            stop.stop()
            try await client.closeFuture.get()
            try await tasks.waitForAll()
        }
    }
}

/// A connection that ends when the server does.
private final class EndsWhenAsked: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { context.close(promise: nil) }
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
