import HTTPTypes
import Ingest
package import NIOCore
package import NIOHTTP1
import OTLP

/// A client's connection on NIO's HTTP/1.1 pipeline: one request after another, each answered before the next is looked at.
///
/// Export requests run to completion on the event loop: read, decoded and handed to the writer where their bytes came in, and answered
/// there once they are durable. Questions are answered by a task, which ends with the connection.
package final class HTTPConnection: ChannelDuplexHandler {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias OutboundIn = HTTPServerResponsePart
    package typealias OutboundOut = HTTPServerResponsePart

    /// Where the body of the request goes.
    enum Body {
        case none
        case export(ExportCall, ContentEncoding)
        case question(Question, ByteBuffer)
    }

    let settings: HTTPConnectionSettings
    let clock: LoopClock
    let client: AdmissionClient
    var context: ChannelHandlerContext?
    var deadlines: RequestDeadlines

    // The request that is read or answered.
    var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
    var body = Body.none
    var isWhole = true
    var isAnswered = true
    var export: ExportInProgress?
    var task: Task<Void, Never>?
    private(set) var stream: ResponseBodyWriter?
    private var piecesUnderWay = 0

    // What comes behind it, if the client does not wait for answers. Nothing more is read meanwhile, so it is what one read brought.
    private var waiting = CircularBuffer<HTTPServerRequestPart>()
    private var wantsRead = false
    private var isServingWaiting = false

    var closesAfterAnswer = false
    /// Nothing that comes is read any more.
    private var isInputOver = false
    private(set) var isStopping = false
    private var isClosing = false
    var plainHead: (unixSeconds: Int64, headers: HTTPHeaders)?

    package init(_ settings: HTTPConnectionSettings, channel: any Channel, clock: LoopClock) {
        self.settings = settings
        self.clock = clock
        client = settings.pipeline.admission.client(Self.name(channel))
        deadlines = RequestDeadlines(settings.limits, openedAt: clock.now)
    }

    /// Whose requests they are, for fair shares: the machine that they come from, and the connection when that is this machine.
    package static func name(_ channel: any Channel) -> String {
        guard let address = channel.remoteAddress, let ip = address.ipAddress else { return "local" }
        return ip.hasPrefix("127.") || ip == "::1" ? "\(ip):\(address.port ?? 0)" : ip
    }

    // MARK: Life

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        clock.add(self)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        leave()
        self.context = nil
    }

    package func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        clock.remove(self)
        task?.cancel()
        waiting.removeAll()
        isClosing = true
        // A body that came in part is given up; one that is whole is stored all the same.
        if case .export = body {
            body = .none
            endExport(code: nil)
        }
        body = .none
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            isStopping = true
            closesAfterAnswer = true
            stream?.stop()
            if isBetweenRequests { context.close(promise: nil) }
        } else if event as? ChannelEvent == .inputClosed {
            // Nothing more comes. What came whole is answered.
            isInputOver = true
            if isBetweenRequests || isClosing || !isWhole { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError, !isClosing else { return context.close(promise: nil) }
        // What came before is answered.
        if isWhole && !isBetweenRequests { return isInputOver = true }
        closesAfterAnswer = true
        switch (isWhole, isAnswered) {
        case (false, true): context.close(promise: nil)
        case (true, _):
            head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
            isAnswered = false
            respond(StatusTable.response(StatusTable.refusal(for: error), .json))
        case (false, false):
            body = .none
            isWhole = true
            if export != nil { return respond(.failure(error)) }
            respond(StatusTable.response(StatusTable.refusal(for: error), .json))
        }
    }

    // MARK: Requests

    private var isBetweenRequests: Bool { isWhole && isAnswered && waiting.isEmpty }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        let part = unwrapInboundIn(data)
        if waiting.isEmpty && (isAnswered || !isWhole) { take(part) } else { waiting.append(part) }
    }

    package func read(context: ChannelHandlerContext) {
        if waiting.isEmpty { context.read() } else { wantsRead = true }
    }

    /// The answer is written: what comes next, or the end.
    func wasAnswered() {
        guard !isClosing else { return }
        isAnswered = true
        task = nil
        stream = nil
        if isLastAnswer { return closeSoon() }
        if isWhole { next() }
    }

    func next() {
        didAnswer()
        guard !isServingWaiting, !waiting.isEmpty else { return }
        isServingWaiting = true
        while !isClosing && (isAnswered || !isWhole), let part = waiting.popFirst() { take(part) }
        isServingWaiting = false
        if waiting.isEmpty && wantsRead {
            wantsRead = false
            context?.read()
        }
    }

    /// Sends no more, and gives the client a moment to read the answer; what it still sends is thrown away.
    private func closeSoon() {
        isClosing = true
        waiting.removeAll()
        guard let context else { return }
        let channel = context.channel
        context.close(mode: .output, promise: nil)
        context.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
        if wantsRead { context.read() }
    }

    // MARK: Deadlines

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        deadlines.isStuck(false, at: clock.now)
        deadlines.isStuck(piecesUnderWay > 0 || !context.channel.isWritable, at: clock.now)
        context.fireChannelWritabilityChanged()
    }

    /// Pieces of a stream, each of which must be taken in time.
    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let promise = promise ?? context.eventLoop.makePromise()
        piecesUnderWay += 1
        deadlines.isStuck(true, at: clock.now)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in
            let connection = bound.value
            connection.piecesUnderWay -= 1
            if connection.piecesUnderWay == 0 { connection.deadlines.isStuck(false, at: connection.clock.now) }
        }
        context.write(data, promise: promise)
    }

    /// The answer is on its way: from now on only what is next can take too long.
    func didAnswer() {
        if isWhole { deadlines.wasAnswered(at: clock.now) }
    }

    /// Whether the connection ends with the answer that is being written.
    var isLastAnswer: Bool { closesAfterAnswer || isInputOver && waiting.isEmpty }

    package func tick(now: NIODeadline) {
        guard let breach = deadlines.breach(at: now) else { return }
        if breach == .slowBody && !isAnswered && !isWhole && !isClosing {
            let refusal = Refusal(
                status: .requestTimeout, code: .deadlineExceeded, message: "the body came too slowly and was given up",
                closesConnection: true)
            if export != nil { respond(.failure(refusal)) } else { respond(StatusTable.response(refusal, .json)) }
        }
        context?.close(promise: nil)
    }

    // MARK: Parts of answers

    /// The export request that was begun is over.
    func endExport(code: Int?) {
        guard let export else { return }
        self.export = nil
        settings.pipeline.metrics.ended(
            .http, export.encoding, code: code, nanoseconds: (clock.eventLoop.now - export.start).nanoseconds)
    }

    func begin(stream: ResponseBodyWriter) {
        self.stream = stream
        if isStopping { stream.stop() }
    }
}

/// What is to be told of an export request when it is over.
struct ExportInProgress {
    let signal: Signal
    let encoding: OTLPMessage.Encoding
    let start: NIODeadline
}

extension HTTPConnection: ClockedConnection {}

@available(*, unavailable)
extension HTTPConnection: Sendable {}
