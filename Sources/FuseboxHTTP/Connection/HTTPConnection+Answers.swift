import HTTPTypes
import NIOCore
import NIOHTTP1
import OTLP

extension HTTPConnection {
    func sendContinue() {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .continue))), promise: nil)
    }

    /// Answers an export request.
    func respond(_ result: Result<ExportOutcome, any Error>) {
        guard let export else { return }
        switch result {
        case .success(let outcome):
            endExport(code: 200)
            // A success with nothing to say is an empty message.
            let isPlain = export.encoding == .protobuf && outcome.rejected == 0 && outcome.message.isEmpty
            succeed(isPlain ? [] : outcome.message(export.signal, as: export.encoding), export.encoding)
        case .failure(let error):
            let refusal = StatusTable.refusal(for: error)
            if refusal.status == .serviceUnavailable { settings.pipeline.metrics.toldToRetry() }
            endExport(code: refusal.status.code)
            respond(StatusTable.response(refusal, export.encoding))
        }
    }

    /// What an exporter hears nearly always: made of parts that stay the same for a second.
    private func succeed(_ bytes: [UInt8], _ encoding: OTLPMessage.Encoding) {
        guard settings.pipeline.access.origins.allowed.isEmpty, encoding == .protobuf else {
            return respond(
                Response(
                    status: .ok, headers: [.contentType: encoding.contentType],
                    body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))))
        }
        guard let context else { return }
        var headers: HTTPHeaders
        if let plainHead, plainHead.unixSeconds == clock.unixSeconds {
            headers = plainHead.headers
        } else {
            headers = HTTPHeaders(SecurityHeaders.all.map { ($0.name.rawName, $0.value) })
            headers.add(name: "content-type", value: encoding.contentType)
            addOwn(&headers)
            plainHead = (clock.unixSeconds, headers)
        }
        headers.add(name: "content-length", value: bytes.isEmpty ? "0" : "\(bytes.count)")
        if closesAfterAnswer { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: answerVersion, status: .ok, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !bytes.isEmpty { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil) }
        endAnswer(context)
    }

    /// Answers with a body that is there.
    func respond(_ response: Response) {
        _ = begin(response)
    }

    /// Answers, or begins to: gives what writes the rest of the body, if that comes piece by piece.
    func begin(_ response: Response) -> (@Sendable () async throws -> Void)? {
        guard let context, context.channel.isActive else { return nil }
        var response = response
        if let request = HTTPRequest(self.head, isEncrypted: settings.isEncrypted) {
            settings.pipeline.access.mark(&response.headers, for: request)
        }
        let isHead = head.method == .HEAD
        let hasLength = response.body.contentLength != nil
        // Without a length there are chunks, whose end must not stand behind the answer to HEAD, and which HTTP/1.0 does not know.
        if response.headers[.connection] == "close" || !hasLength && (isHead || head.version == .http1_0) {
            closesAfterAnswer = true
        }
        if isHead && !hasLength { return writeAlone(responseHead(response), context) }
        context.write(wrapOutboundOut(.head(responseHead(response))), promise: nil)
        switch response.body.content {
        case .bytes(let buffer):
            // A body behind the answer to HEAD would be read as the beginning of the next answer.
            if !isHead && buffer.readableBytes > 0 && response.status.code != 304 {
                context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
            }
            endAnswer(context)
            return nil
        case .stream(let write):
            if isHead {
                endAnswer(context)
                return nil
            }
            context.flush()
            let writer = ResponseBodyWriter(context.channel)
            begin(stream: writer)
            return { try await write(writer) }
        }
    }

    private func responseHead(_ response: Response) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(response.headers.count + 4)
        for field in response.headers where field.name != .connection {
            headers.add(name: field.name.rawName, value: field.value)
        }
        if let length = response.body.contentLength { headers.add(name: "content-length", value: "\(length)") }
        addOwn(&headers)
        if closesAfterAnswer { headers.add(name: "connection", value: "close") }
        let status = HTTPResponseStatus(statusCode: response.status.code, reasonPhrase: response.status.reasonPhrase)
        return HTTPResponseHead(version: answerVersion, status: status, headers: headers)
    }

    private func addOwn(_ headers: inout HTTPHeaders) {
        headers.add(name: "date", value: clock.date)
        headers.add(name: "server", value: "fusebox")
    }

    /// HTTP/1.0 knows no chunks: a body of unknown length ends with the connection there.
    private var answerVersion: HTTPVersion { head.version == .http1_0 ? .http1_0 : .http1_1 }

    /// A stream has written its last piece.
    func endStream() {
        guard let context else { return }
        endAnswer(context)
    }

    private func endAnswer(_ context: ChannelHandlerContext) {
        guard isLastAnswer else {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            return wasAnswered()
        }
        didAnswer()
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: closing(context))
    }

    /// Writes a head that nothing follows, not even the end of a body.
    private func writeAlone(_ head: HTTPResponseHead, _ context: ChannelHandlerContext) -> (@Sendable () async throws -> Void)? {
        didAnswer()
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: closing(context))
        return nil
    }

    /// The connection ends once this is kept.
    private func closing(_ context: ChannelHandlerContext) -> EventLoopPromise<Void> {
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in bound.value.wasAnswered() }
        return written
    }
}
