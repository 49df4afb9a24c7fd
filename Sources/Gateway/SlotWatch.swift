import FuseboxHTTP
import GatewayRules
import HTTPTypes
import NIOCore
import TelemetryModel

/// Keeps the slot of a call that was cut off at its prompt until the backend is done with it: a call that was sent meanwhile would wait
/// inside the backend, with its first-token fuse burning.
///
/// llama.cpp notices that nobody waits any more only in a second without other requests, so it is asked rarely.
final class SlotWatch {
    private static let firstPause = TimeAmount.milliseconds(1300)
    private static let pause = TimeAmount.seconds(2)
    /// A question that gets no answer within this counts as unanswered.
    private static let patience = TimeAmount.seconds(2)
    /// Then the slot is given on, whatever the backend says.
    private static let watchMax = TimeAmount.seconds(120)

    private let shared: GatewayShared
    private let eventLoop: any EventLoop
    private let authorization: String?
    private let backend: Int
    private let ticket: Ticket
    private let start = NIODeadline.now()

    init(_ shared: GatewayShared, _ eventLoop: any EventLoop, _ head: HTTPRequest, backend: Int, ticket: Ticket) {
        self.shared = shared
        self.eventLoop = eventLoop
        authorization = shared.settings.access.ingestTokens.isEmpty ? head.headerFields[.authorization] : nil
        self.backend = backend
        self.ticket = ticket
    }

    func begin() { askLater(Self.firstPause) }

    private func askLater(_ pause: TimeAmount) {
        guard .now() - start < Self.watchMax else { return end() }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: pause) { bound.value.ask() }
    }

    private func ask() {
        guard let pool = shared.pool(eventLoop) else { return end() }
        let head = UpstreamHeaders.question(
            "/slots", to: shared.settings.plan.backends[backend], port: shared.board.port(backend), authorization: authorization)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        BackendQuestion.ask(head, [], backend, over: pool, eventLoop, patience: Self.patience).whenComplete { result in
            bound.value.take(result)
        }
    }

    private func take(_ result: Result<BackendQuestion.Reply, any Error>) {
        switch result {
        case .success(let reply): take(reply)
        // Nobody is there, and so nobody works.
        case .failure(BackendQuestion.Failure.noConnection): end()
        // It is stuck, or so busy that it does not even say so.
        case .failure: askLater(Self.pause)
        }
    }

    private func take(_ reply: BackendQuestion.Reply) {
        // A backend that does not tell of its slots is not waited for.
        guard reply.status == 200, let slots = SlotList(reply.body) else { return end() }
        // Others' calls are in slots of their own; this one's is free when no more are busy than they are.
        if slots.busy < shared.desk.running(backend) { end() } else { askLater(Self.pause) }
    }

    private func end() { shared.desk.finish(ticket, .nothing) }
}

@available(*, unavailable)
extension SlotWatch: Sendable {}
