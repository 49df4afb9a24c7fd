import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import TelemetryModel

/// Where the collector listens.
struct CollectorAddress: Sendable {
    var host: String
    var port: Int
    /// What stands before `/v1/traces`.
    var prefix: String

    init(_ text: String) throws {
        let url = URLComponents(string: text)
        guard let url, let host = url.host, !host.isEmpty, let scheme = url.scheme?.lowercased() else {
            throw CommandFailure(.usage, "'\(text)' is not an address; it should look like http://127.0.0.1:4318")
        }
        guard scheme == "http" else {
            throw CommandFailure(
                .usage, "this client speaks plain http only, not \(scheme); give it the address behind the proxy")
        }
        self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        port = url.port ?? 80
        prefix = String(url.path.reversed().drop { $0 == "/" }.reversed())
    }

    /// The host as it stands in an address, with the port.
    var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

    var text: String { "http://\(authority)\(prefix)" }
}

/// Why a batch did not arrive.
enum SendError: Error {
    case unreachable(String)
    case brokenOff(String)
    case refused(status: UInt, message: String)
    case busy(status: UInt, tries: Int)

    func message(_ address: CollectorAddress) -> String {
        switch self {
        case .unreachable(let reason):
            "nothing takes spans at \(address.text) (\(reason)); start `fusebox serve`, or say where it is with --endpoint"
        case .brokenOff(let reason): "the connection to \(address.text) broke off (\(reason)); is the collector still running?"
        case .refused(404, _): "\(address.text) does not accept OTLP at /v1/…; is it the address of a collector?"
        case .refused(401, _):
            "\(address.text) asks for a token: give it with OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer …' or --token"
        case .refused(let status, let message):
            "the collector refused a batch with \(status)\(message.isEmpty ? "" : ": \(Terminal.escaped(message))")"
        case .busy(let status, let tries):
            "the collector answered \(status) \(tries) times; look at its log and its disk, then try again"
        }
    }
}

/// Sends one batch after another over one connection, and again when the collector says later.
struct TraceClient {
    private static let triesMax = 10
    private static let retryAfterSecondsMax = 10
    private static let requestTimeout = TimeAmount.seconds(30)

    let address: CollectorAddress
    /// Sent with every request, such as a token.
    private let headers: [(name: String, value: String)]
    private var connection: (any Channel)?

    init(address: CollectorAddress, headers: [(name: String, value: String)] = ExporterHeaders.environment) {
        self.address = address
        self.headers = headers
    }

    /// Sends a request; gives how many of its spans or log records the collector rejected, and why.
    mutating func send(
        _ body: [UInt8], to path: String = "/v1/traces"
    ) async throws(SendError) -> (rejected: Int64, reason: String) {
        var status: UInt = 0
        for _ in 0..<Self.triesMax {
            let response = try await exchangeAnew(body, path)
            status = response.head.status.code
            switch status {
            case 200..<300: return Self.partialSuccess(response.body)
            case 429, 502, 503, 504:
                let seconds = response.head.headers.first(name: "Retry-After").flatMap { Int($0) } ?? 1
                // Only cancellation ends the sleep early, and then the next exchange fails.
                try? await Task.sleep(for: .seconds(min(max(seconds, 1), Self.retryAfterSecondsMax)))
            default: throw .refused(status: status, message: Self.message(response.body))
            }
        }
        throw .busy(status: status, tries: Self.triesMax)
    }

    func close() async {
        try? await connection?.close()  // It may be closed already.
    }

    /// A collector that restarts, or has grown tired of a connection, gets the batch once more; it counts no span twice.
    private mutating func exchangeAnew(_ body: [UInt8], _ path: String) async throws(SendError) -> NIOHTTPClientResponseFull {
        do {
            return try await exchange(body, path)
        } catch .brokenOff {
            return try await exchange(body, path)
        }
    }

    private mutating func exchange(_ body: [UInt8], _ path: String) async throws(SendError) -> NIOHTTPClientResponseFull {
        let channel = try await connected()
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: address.prefix + path)
        head.headers = [
            "Host": address.authority, "Content-Type": "application/x-protobuf", "Content-Length": "\(body.count)",
            "User-Agent": "fusebox",
        ]
        for header in headers { head.headers.replaceOrAdd(name: header.name, value: header.value) }
        let answer = channel.eventLoop.makePromise(of: NIOHTTPClientResponseFull.self)
        let deadline = channel.eventLoop.scheduleTask(in: Self.requestTimeout) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        let request = Exchange(head: head, body: ByteBuffer(bytes: body), answer: answer)
        channel.writeAndFlush(request).whenFailure { answer.fail($0) }
        do {
            return try await answer.futureResult.get()
        } catch {
            throw .brokenOff("\(error)")
        }
    }

    private mutating func connected() async throws(SendError) -> any Channel {
        if let connection, connection.isActive { return connection }
        do {
            let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connectTimeout(.seconds(5))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(NIOHTTPClientResponseAggregator(maxContentLength: 1 << 20))
                        try channel.pipeline.syncOperations.addHandler(ExchangeHandler())
                    }
                }
                .connect(host: address.host, port: address.port).get()
            connection = channel
            return channel
        } catch {
            throw .unreachable(Self.reason(error))
        }
    }

    private static func reason(_ error: any Error) -> String {
        guard let failure = error as? NIOConnectionError else { return "\(error)" }
        if let single = failure.connectionErrors.first {
            return (single.error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(single.error)"
        }
        return "the host \(failure.host) is not known"
    }

    /// `partial_success` of an export response: of its field 1 the fields 1 and 2.
    private static func partialSuccess(_ body: ByteBuffer?) -> (rejected: Int64, reason: String) {
        let partial = field(1, of: Array(body?.readableBytesView ?? ByteBuffer().readableBytesView)).bytes
        return (field(1, of: partial).number, String(decoding: field(2, of: partial).bytes, as: UTF8.self))
    }

    /// `message` of a `google.rpc.Status`: field 2.
    private static func message(_ body: ByteBuffer?) -> String {
        String(decoding: field(2, of: Array(body?.readableBytesView ?? ByteBuffer().readableBytesView)).bytes, as: UTF8.self)
    }

    /// A field's last value; nothing in bytes that are no message, such as another server's page.
    private static func field(_ number: Int, of bytes: [UInt8]) -> (number: Int64, bytes: [UInt8]) {
        var reader = WireReader(bytes.span.bytes)
        var result: (number: Int64, bytes: [UInt8]) = (0, [])
        do throws(WireError) {
            while let tag = try reader.nextTag() {
                switch (tag.field, tag.type) {
                case (number, .varint): result.number = Int64(bitPattern: try reader.varint())
                case (number, .lengthDelimited):
                    let range = try reader.lengthDelimited()
                    result.bytes = Array(bytes[range.offset..<range.end])
                default: try reader.skip(tag)
                }
            }
        } catch {
            return (0, [])
        }
        return result
    }
}

/// A request and who waits for its answer.
private struct Exchange: Sendable {
    var head: HTTPRequestHead
    var body: ByteBuffer
    var answer: EventLoopPromise<NIOHTTPClientResponseFull>
}

/// Writes requests, and hands each answer to the one that has waited longest.
private final class ExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = NIOHTTPClientResponseFull
    typealias OutboundIn = Exchange
    typealias OutboundOut = HTTPClientRequestPart

    private var waiting: [EventLoopPromise<NIOHTTPClientResponseFull>] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let exchange = unwrapOutboundIn(data)
        waiting.append(exchange.answer)
        context.write(wrapOutboundOut(.head(exchange.head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(exchange.body))), promise: nil)
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let response = unwrapInboundIn(data)
        guard !waiting.isEmpty else { return }
        waiting.removeFirst().succeed(response)
        if !response.head.isKeepAlive { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.eof)
        context.fireChannelInactive()
    }

    private func fail(_ error: any Error) {
        for promise in waiting { promise.fail(error) }
        waiting = []
    }
}
