import FuseboxHTTP
import GatewayRules
import HTTPTypes
import NIOCore

/// Lets a backend finish an answer that nobody waits for any more (`on_client_gone: drain`): some fail when their client leaves. The
/// call keeps its slot until then.
final class Drain: UpstreamUser {
    /// Then the connection is closed all the same.
    private static let timeMax = TimeAmount.minutes(10)

    private let shared: GatewayShared
    private let eventLoop: any EventLoop
    private let backend: Int
    private let ticket: Ticket
    private var isReusable = false
    private var isOver = false
    private var limit: Scheduled<Void>?

    private init(_ shared: GatewayShared, _ eventLoop: any EventLoop, backend: Int, ticket: Ticket, isReusable: Bool) {
        self.shared = shared
        self.eventLoop = eventLoop
        self.backend = backend
        self.ticket = ticket
        self.isReusable = isReusable
    }

    /// Takes a connection over whose answer is under way.
    ///
    /// - Parameter isReusable: whether it may have another call, as the answer's head said, if it came.
    static func begin(
        _ handler: UpstreamHandler, _ shared: GatewayShared, _ eventLoop: any EventLoop, backend: Int, ticket: Ticket,
        isReusable: Bool
    ) {
        let drain = Drain(shared, eventLoop, backend: backend, ticket: ticket, isReusable: isReusable)
        handler.user = drain
        let bound = NIOLoopBound((drain, handler), eventLoop: eventLoop)
        drain.limit = eventLoop.scheduleTask(in: timeMax) {
            let (drain, handler) = bound.value
            drain.end(handler, isWhole: false)
        }
        handler.read()
    }

    func received(_ part: HTTPResponsePart, from handler: UpstreamHandler) {
        shared.board.brought(backend)
        switch part {
        case .head(let head): isReusable = UpstreamHeaders.isReusable(head)
        case .body: break
        case .end: end(handler, isWhole: true)
        }
    }

    func readIsComplete(_ handler: UpstreamHandler) { if !isOver { handler.read() } }

    func upstreamClosed(_ handler: UpstreamHandler, _ error: (any Error)?) { end(handler, isWhole: false) }

    private func end(_ handler: UpstreamHandler, isWhole: Bool) {
        guard !isOver else { return }
        isOver = true
        limit?.cancel()
        handler.user = nil
        if isWhole && isReusable, let pool = shared.pool(eventLoop) {
            pool.keep(handler, for: backend)
        } else {
            handler.close()
        }
        shared.desk.finish(ticket, .nothing)
    }
}

@available(*, unavailable)
extension Drain: Sendable {}
