import FuseboxHTTP
import GatewayRules
import HTTPTypes
import Ingest
import NIOCore
import NIOHTTP1
import OTLP
import TelemetryModel

/// A client's connection: one request after another, each answered before the next is read.
final class ClientConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private enum State {
        case idle
        /// The body comes.
        case reading(HTTPRequest, ModelRoute, body: [UInt8])
        /// The request is answered, and what still comes of it is thrown away.
        case ignoring
        case working(Exchange)
    }

    private let shared: GatewayShared
    private let channel: any Channel
    private var state = State.idle
    private var bytesTaken = 0
    private var head: HTTPRequest?
    /// Of the request, once its path is known.
    private var dialect = Dialect.openAI
    private var closesAfterAnswer = false
    private var isStopping = false
    /// The body's end came.
    private var isWhole = true

    init(_ shared: GatewayShared, _ channel: any Channel) {
        self.shared = shared
        self.channel = channel
    }

    var eventLoop: any EventLoop { channel.eventLoop }
    var isWritable: Bool { channel.isWritable }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): received(head)
        case .body(let buffer): received(buffer)
        case .end: receivedEnd()
        }
    }

    private func received(_ head: HTTPRequest) {
        guard case .idle = state else {
            // Requests sent before the answer to the last one are answered by closing: the client sends them again.
            closesAfterAnswer = true
            return
        }
        self.head = head
        dialect = .openAI
        isWhole = false
        closesAfterAnswer = isStopping || head.headerFields[.connection]?.lowercased() == "close"
        state = .ignoring
        do throws(EarlyAnswer) {
            let route = try GatewayRoutes.route(head, shared)
            dialect = route.dialect
            let announced = head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
            guard announced <= shared.settings.requestBytesMax else {
                throw .refusal(.bodyTooLarge(limit: shared.settings.requestBytesMax))
            }
            if head.headerFields[.expect]?.lowercased() == "100-continue" {
                channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)), promise: nil)
            }
            state = .reading(head, route, body: [])
        } catch {
            answer(error)
        }
    }

    private func answer(_ early: EarlyAnswer) {
        switch early {
        case .refusal(let refusal):
            if case .bodyTooLarge = refusal { closesAfterAnswer = true }
            refuse(refusal, nil)
        case .response(let response, let body): respond(response, body)
        }
    }

    private func received(_ buffer: ByteBuffer) {
        guard case .reading(let head, let route, var body) = state else { return }
        state = .ignoring
        let count = buffer.readableBytes
        guard body.count + count <= shared.settings.requestBytesMax else {
            return answer(.refusal(.bodyTooLarge(limit: shared.settings.requestBytesMax)))
        }
        guard shared.bodies.take(count) else {
            closesAfterAnswer = true
            return answer(.refusal(.noRoom))
        }
        bytesTaken += count
        body.append(contentsOf: buffer.readableBytesView)
        state = .reading(head, route, body: body)
    }

    private func receivedEnd() {
        if case .idle = state { return }
        isWhole = true
        guard case .reading(let head, let route, let body) = state else {
            if case .ignoring = state { becomeIdle() }
            return
        }
        state = .ignoring
        do throws(GatewayRefusal) {
            let exchange = try GatewayRoutes.exchange(shared, self, head, route, body)
            state = .working(exchange)
            exchange.begin()
        } catch {
            refuse(error, nil)
        }
    }

    // MARK: Life

    private func becomeIdle() {
        guard isWhole else { return }
        if case .working = state { return }
        state = .idle
        shared.bodies.giveBack(bytesTaken)
        bytesTaken = 0
        if isStopping { channel.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .working(let exchange) = state { exchange.clientLeft() }
        state = .ignoring
        shared.bodies.giveBack(bytesTaken)
        bytesTaken = 0
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, case .working(let exchange) = state { exchange.clientIsWritable() }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            isStopping = true
            closesAfterAnswer = true
            if case .idle = state { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError, case .idle = state {
            closesAfterAnswer = true
            state = .ignoring
            refuse(.invalidRequest("the request is not HTTP/1.1: its framing is broken"), nil)
        } else {
            context.close(promise: nil)
        }
    }

    // MARK: Answers

    func write(head response: HTTPResponse) {
        var response = response
        if closesAfterAnswer { response.headerFields[.connection] = "close" }
        if let head { shared.settings.access.mark(&response.headerFields, for: head) }
        channel.write(HTTPResponsePart.head(response), promise: nil)
    }

    func write(body bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        channel.write(HTTPResponsePart.body(channel.allocator.buffer(bytes: bytes)), promise: nil)
    }

    func flush() { channel.flush() }

    /// The answer is whole.
    func endAnswer() {
        channel.writeAndFlush(HTTPResponsePart.end(nil), promise: nil)
        afterAnswer()
    }

    /// The answer is not whole and will not be: a stream has had its last word, and anything else is cut off where the client sees it.
    func breakOff(isStream: Bool) {
        let channel = channel
        guard isStream else { return channel.close(promise: nil) }
        channel.writeAndFlush(HTTPResponsePart.end(nil)).whenComplete { _ in channel.close(promise: nil) }
    }

    /// A whole answer at once.
    func respond(_ response: HTTPResponse, _ body: [UInt8]) {
        var response = response
        response.headerFields[.contentLength] = "\(body.count)"
        write(head: response)
        if head?.method != .head { write(body: body) }
        endAnswer()
    }

    func refuse(_ refusal: GatewayRefusal, _ marks: AnswerMarks?) {
        var response = HTTPResponse(status: .init(code: refusal.status), headerFields: [.contentType: "application/json"])
        if let seconds = refusal.retryAfterSeconds { response.headerFields[.retryAfter] = "\(seconds)" }
        if let again = refusal.shouldRetry { response.headerFields[.shouldRetry] = again ? "true" : "false" }
        marks?.mark(&response.headerFields)
        respond(response, Array(refusal.body(dialect).utf8))
    }

    private func afterAnswer() {
        if closesAfterAnswer {
            // The client has a moment to read the answer while what it still sends is thrown away.
            let channel = channel
            let delay = isWhole ? TimeAmount.zero : .seconds(1)
            channel.eventLoop.scheduleTask(in: delay) { channel.close(promise: nil) }
            return
        }
        becomeIdle()
    }

    /// The exchange is over; its answer may still be written.
    func exchangeEnded() {
        if case .working = state { state = .ignoring }
    }
}

@available(*, unavailable)
extension ClientConnection: Sendable {}
