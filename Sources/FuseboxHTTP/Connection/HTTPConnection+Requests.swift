import HTTPTypes
import Ingest
import NIOCore
import NIOHTTP1
import OTLP

extension HTTPConnection {
    /// Takes a piece of what the client sends.
    func take(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head): begin(head)
        case .body(let buffer): take(buffer)
        case .end: end()
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        deadlines.headCame(at: clock.now)
        self.head = head
        isWhole = false
        isAnswered = false
        if case .POST = head.method, let signal = FuseboxResponder.signal(ofURI: head.uri) { return beginExport(head, signal) }
        closesAfterAnswer = isStopping || !head.isKeepAlive
        // The HTTP parser reads nothing behind a request that asks for another protocol.
        if head.headers.contains(name: "upgrade") { closesAfterAnswer = true }
        guard let request = HTTPRequest(head, isEncrypted: settings.isEncrypted) else {
            let message = "the request's method is none"
            return respond(StatusTable.response(Refusal(status: .badRequest, code: .invalidArgument, message: message), .json))
        }
        let question = settings.question(request, context?.channel.remoteAddress?.ipAddress)
        if let early = question.early { return respond(early) }
        do {
            let announced = try RequestContent.announcedBytes(head.headers["content-length"].first, limit: .max)
            guard announced <= question.bodyBytesMax || question.bodyBytesMax == 0 else {
                throw StatusTable.tooLarge("the body has \(announced) bytes, the limit is \(question.bodyBytesMax)")
            }
        } catch {
            return respond(question.refused(error))
        }
        body = .question(question, ByteBuffer())
        if head.headers["expect"].first?.lowercased() == "100-continue" { sendContinue() }
    }

    private func beginExport(_ head: HTTPRequestHead, _ signal: Signal) {
        let fields = ExportFields(head.headers)
        closesAfterAnswer = isStopping || !head.isKeepAlive || fields.asksForUpgrade
        let encoding = fields.encoding
        do {
            try FuseboxResponder.checkHeaders(fields.byteCount + head.uri.utf8.count)
            try settings.pipeline.access.checkSender(head, isFromPage: fields.isFromPage, isEncrypted: settings.isEncrypted)
            if let reason = settings.pipeline.closedBecause { throw StatusTable.closed(reason) }
        } catch {
            return respond(StatusTable.response(StatusTable.refusal(for: error), encoding == .protobuf ? .protobuf : .json))
        }
        settings.pipeline.metrics.began()
        export = ExportInProgress(signal: signal, encoding: encoding ?? .json, start: clock.eventLoop.now)
        do {
            guard let encoding else { throw fields.wrongMediaType }
            let coding = try RequestContent.coding(fields.contentEncoding)
            let announced = try RequestContent.announcedBytes(fields.contentLength, limit: settings.pipeline.bodyBytesMax)
            // Refuse before the body is read.
            let call = try ExportCall(
                settings.pipeline, signal, encoding, over: .http, of: client, announced: announced, on: clock.eventLoop)
            body = .export(call, coding)
            if fields.expectsContinue { sendContinue() }
        } catch {
            respond(.failure(error))
        }
    }

    private func take(_ buffer: ByteBuffer) {
        deadlines.bodyCame(buffer.readableBytes, at: clock.now)
        do {
            switch body {
            case .none: break
            case .export(let call, _): try call.take(buffer)
            case .question(let question, var bytes):
                body = .none
                // A body that nobody asked for is passed over.
                if question.bodyBytesMax > 0 {
                    var buffer = buffer
                    guard bytes.readableBytes + buffer.readableBytes <= question.bodyBytesMax else {
                        let refusal = StatusTable.tooLarge("the body has more than \(question.bodyBytesMax) bytes")
                        return respond(question.refused(refusal))
                    }
                    bytes.writeBuffer(&buffer)
                }
                body = .question(question, bytes)
            }
        } catch {
            body = .none
            respond(.failure(error))
        }
    }

    private func end() {
        isWhole = true
        deadlines.endCame()
        let whole = body
        body = .none
        switch whole {
        case .none: if isAnswered { next() }
        case .export(let call, let coding): call.end(coding) { self.respond($0) }
        case .question(let question, let bytes): ask(question, bytes)
        }
    }

    /// Has a question answered by a task of the event loop.
    private func ask(_ question: Question, _ bytes: ByteBuffer) {
        guard let head = HTTPRequest(head, isEncrypted: settings.isEncrypted) else { return }
        let request = Request(head: head, body: bytes, from: context?.channel.remoteAddress?.ipAddress ?? "local")
        let bound = NIOLoopBound(self, eventLoop: clock.eventLoop)
        task = Task(executorPreference: clock.executor) {
            let response = await question.answer(request)
            guard let write = bound.value.begin(response) else { return }
            do {
                try await write()
                bound.value.endStream()
            } catch {
                // The client sees that the body has no end.
                bound.value.context?.close(promise: nil)
            }
        }
    }
}
