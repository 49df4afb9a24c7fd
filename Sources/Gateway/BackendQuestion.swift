import FuseboxHTTP
import GatewayRules
import HTTPTypes
import NIOCore
import TelemetryModel

/// One question to a backend about itself, on an event loop, and its answer.
final class BackendQuestion: UpstreamUser {
    /// What a backend said.
    struct Reply: Sendable {
        var status: Int
        var body: [UInt8]
    }

    enum Failure: Error {
        /// Nobody is there.
        case noConnection
        /// It said nothing in time, or broke off.
        case noAnswer
    }

    private static let answerBytesMax = 4 << 20

    private let promise: EventLoopPromise<Reply>
    private let head: HTTPRequest
    private let body: [UInt8]
    private var handler: UpstreamHandler?
    private var limit: Scheduled<Void>?
    private var reply = Reply(status: 0, body: [])
    private var isOver = false

    private init(_ head: HTTPRequest, _ body: [UInt8], _ promise: EventLoopPromise<Reply>) {
        self.head = head
        self.body = body
        self.promise = promise
    }

    /// Asks over a connection of its own. Called on the pool's event loop.
    ///
    /// - Parameter patience: from now to the answer's end.
    static func ask(
        _ head: HTTPRequest, _ body: [UInt8], _ backend: Int, over pool: UpstreamPool, _ eventLoop: any EventLoop,
        patience: TimeAmount
    ) -> EventLoopFuture<Reply> {
        let promise = eventLoop.makePromise(of: Reply.self)
        let question = BackendQuestion(head, body, promise)
        let bound = NIOLoopBound(question, eventLoop: eventLoop)
        question.limit = eventLoop.scheduleTask(in: patience) { bound.value.end(.failure(.noAnswer)) }
        pool.connect(backend, timeout: patience).whenComplete { result in
            let question = bound.value
            switch result {
            case .success(let handler): question.send(handler)
            case .failure: question.end(.failure(.noConnection))
            }
        }
        return promise.futureResult
    }

    private func send(_ handler: UpstreamHandler) {
        guard !isOver else { return handler.close() }
        self.handler = handler
        handler.user = self
        handler.send(head, body)
    }

    func received(_ part: HTTPResponsePart, from handler: UpstreamHandler) {
        switch part {
        case .head(let head): reply.status = head.status.code
        case .body(let buffer) where reply.body.count + buffer.readableBytes <= Self.answerBytesMax:
            reply.body.append(contentsOf: buffer.readableBytesView)
        case .body: break
        case .end: end(.success(reply))
        }
    }

    func readIsComplete(_ handler: UpstreamHandler) { handler.read() }

    func upstreamClosed(_ handler: UpstreamHandler, _ error: (any Error)?) { end(.failure(.noAnswer)) }

    private func end(_ result: Result<Reply, Failure>) {
        guard !isOver else { return }
        isOver = true
        limit?.cancel()
        handler?.user = nil
        handler?.close()
        handler = nil
        promise.completeWith(result.mapError { $0 as any Error })
    }
}

@available(*, unavailable)
extension BackendQuestion: Sendable {}
