package import NIOCore
import NIOHTTP1
package import NIOPosix
import NIOSSL

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// An HTTP/1.1 client of one peer: one request after another on a connection that is kept. Used by one thread, which waits for each
/// answer; the bytes move on an event loop of the group.
package final class OutboundHTTP {
    private let endpoint: OutboundEndpoint
    private let tls: OutboundTLS
    private let group: MultiThreadedEventLoopGroup
    private let connectTimeout: TimeAmount
    private var kept: (any Channel)?

    package init(
        _ endpoint: OutboundEndpoint, tls: OutboundTLS, group: MultiThreadedEventLoopGroup,
        connectTimeout: TimeAmount = .seconds(10)
    ) {
        self.endpoint = endpoint
        self.tls = tls
        self.group = group
        self.connectTimeout = connectTimeout
    }

    deinit {
        kept?.close(promise: nil)
    }

    /// Sends a request and waits for its whole answer.
    ///
    /// A kept connection that the other side has closed meanwhile is no failure of the request: it goes once more on a new one. So a
    /// request may arrive twice.
    package func send(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer {
        if let channel = kept, channel.isActive {
            do throws(OutboundError) {
                return try send(request, on: channel)
            } catch {
                guard case .closed = error else { throw error }
            }
        }
        return try send(request, on: connect())
    }

    private func send(_ request: OutboundRequest, on channel: any Channel) throws(OutboundError) -> OutboundAnswer {
        kept = nil
        let answered = channel.eventLoop.makePromise(of: Exchange.Outcome.self)
        let exchange = Exchange(
            head: head(request), body: ByteBuffer(bytes: request.body), timeout: .nanoseconds(request.timeoutNanoseconds),
            answerBytesMax: request.answerBytesMax, answered: answered)
        channel.writeAndFlush(exchange).whenFailure { answered.fail($0) }
        do {
            let outcome = try answered.futureResult.wait()
            if outcome.isKept { kept = channel } else { channel.close(promise: nil) }
            return outcome.answer
        } catch {
            channel.close(promise: nil)
            throw error as? OutboundError ?? .closed("\(error)")
        }
    }

    private func head(_ request: OutboundRequest) -> HTTPRequestHead {
        var headers = HTTPHeaders()
        headers.add(name: "Host", value: endpoint.authority)
        for (name, value) in request.headers { headers.add(name: name, value: value) }
        headers.add(name: "Content-Length", value: "\(request.body.count)")
        return HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: request.method), uri: endpoint.pathPrefix + request.path,
            headers: headers)
    }

    // MARK: Connecting

    private func connect() throws(OutboundError) -> any Channel {
        let context = try endpoint.isEncrypted ? self.context() : nil
        let host = endpoint.host
        // An address has no name that a certificate could be held against but its own.
        let name = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
        let bootstrap = ClientBootstrap(group: group)
            .connectTimeout(connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let context { try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: name)) }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(ExchangeHandler())
                }
            }
        do {
            return try bootstrap.connect(host: host, port: endpoint.port).wait()
        } catch {
            throw .notConnected("\(endpoint.authority): \(Self.words(error))")
        }
    }

    /// Why a connection failed, as people say it.
    private static func words(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let failure = error.connectionErrors.last { return words(failure.error) }
            return "the name '\(error.host)' has no address"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout(let limit): return "no answer within \(limit.nanoseconds / 1_000_000_000) s"
        default: return "\(error)"
        }
    }

    private func context() throws(OutboundError) -> NIOSSLContext {
        for path in [tls.authorities, tls.certificate, tls.privateKey] {
            if let path, access(path, R_OK) != 0 { throw .badFile("the file \(path) cannot be read") }
        }
        do {
            var configuration = TLSConfiguration.makeClientConfiguration()
            if let authorities = tls.authorities { configuration.trustRoots = .file(authorities) }
            if let authorities = tls.texts.authorities {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(authorities.utf8)))
            }
            if let certificate = tls.texts.certificate, let key = tls.texts.privateKey {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)).map {
                    .certificate($0)
                }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem))
            }
            if let certificate = tls.certificate, let key = tls.privateKey {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            }
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw .badFile("the files of TLS cannot be used: \(error)")
        }
    }
}

/// A request on its way through the pipeline, and who waits for its answer.
private struct Exchange: Sendable {
    struct Outcome: Sendable {
        var answer: OutboundAnswer
        /// Whether the connection takes another request.
        var isKept: Bool
    }

    let head: HTTPRequestHead
    let body: ByteBuffer
    let timeout: TimeAmount
    /// Of the answer's body.
    let answerBytesMax: Int
    let answered: EventLoopPromise<Outcome>
}

/// Writes a request and puts its answer together.
private final class ExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = Exchange
    typealias OutboundOut = HTTPClientRequestPart

    private var exchange: Exchange?
    private var answer: OutboundAnswer?
    private var isKept = false
    private var deadline: Scheduled<Void>?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let exchange = unwrapOutboundIn(data)
        self.exchange = exchange
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: exchange.timeout) {
            let (handler, context) = bound.value
            handler.end(.failure(.timedOut), context)
        }
        context.write(wrapOutboundOut(.head(exchange.head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(exchange.body))), promise: nil)
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What is said unasked is not understood.
        guard let exchange else { return context.close(promise: nil) }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // What announces the answer is none.
            guard head.status.code >= 200 else { return }
            answer = OutboundAnswer(
                status: Int(head.status.code), headers: head.headers.map { ($0.name.lowercased(), $0.value) })
            isKept = head.isKeepAlive
        case .body(let part):
            answer?.body.append(contentsOf: part.readableBytesView)
            if answer?.body.count ?? 0 > exchange.answerBytesMax { end(.failure(.answerTooLong), context) }
        case .end:
            guard let answer else { return }
            end(.success(.init(answer: answer, isKept: isKept)), context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.failure(answer == nil ? .closed("") : .cutOff("")), context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is NIOSSLError { return end(.failure(.notConnected("\(error)")), context) }
        end(.failure(answer == nil ? .closed("\(error)") : .cutOff("\(error)")), context)
    }

    private func end(_ result: Result<Exchange.Outcome, OutboundError>, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
        answer = nil
        let waiting = exchange?.answered
        exchange = nil
        switch result {
        case .success(let outcome): waiting?.succeed(outcome)
        case .failure(let error):
            context.close(promise: nil)
            waiting?.fail(error)
        }
    }
}

@available(*, unavailable)
extension ExchangeHandler: Sendable {}
