import NIOCore
import NIOHTTP1
import NIOPosix
import TelemetryModel

/// Asks the gateway of a running server.
struct GatewayClient {
    private static let bytesMax = 4 << 20
    private static let patience = TimeAmount.seconds(5)

    let address: CollectorAddress
    let token: String?

    /// The answer's body.
    func ask(_ path: String, posts: Bool = false) async throws -> [UInt8] {
        let answer = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: NIOHTTPClientResponseFull.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(Self.patience)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(
                            NIOHTTPClientResponseAggregator(maxContentLength: Self.bytesMax))
                        try channel.pipeline.syncOperations.addHandler(AnswerHandler(answer))
                    }
                }
                .connect(host: address.host, port: address.port).get()
        } catch {
            answer.fail(error)
            throw CommandFailure(.failed, "nothing answers at \(address.text); is `fusebox serve` running with a gateway?")
        }
        let limit = channel.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
        defer { limit.cancel() }
        var head = HTTPRequestHead(version: .http1_1, method: posts ? .POST : .GET, uri: address.prefix + path)
        head.headers = ["Host": address.authority, "Connection": "close"]
        if posts { head.headers.add(name: "Content-Length", value: "0") }
        if let token { head.headers.add(name: "Authorization", value: "Bearer \(token)") }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        let response: NIOHTTPClientResponseFull
        do {
            response = try await answer.futureResult.get()
        } catch {
            throw CommandFailure(.failed, "the gateway at \(address.text) gave no answer")
        }
        let body = response.body.map { Array($0.readableBytesView) } ?? []
        guard (200..<300).contains(response.head.status.code) else {
            let message = (try? JSONValue.parse(body[...]))?["error"]?["message"]?.text ?? "\(response.head.status.code)"
            throw CommandFailure(.failed, "the gateway refused: \(Terminal.escaped(message))")
        }
        return body
    }
}

/// Hands one answer on.
private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = NIOHTTPClientResponseFull

    private let answer: EventLoopPromise<NIOHTTPClientResponseFull>

    init(_ answer: EventLoopPromise<NIOHTTPClientResponseFull>) {
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        answer.succeed(unwrapInboundIn(data))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        answer.fail(ChannelError.eof)
    }
}
