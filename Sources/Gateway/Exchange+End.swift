import GatewayRules
import NIOCore

/// How a request ends.
extension Exchange {
    /// Has an answer that nobody waits for any more come to its end, where the backend is to be left alone; says whether it does.
    func drain() -> Bool {
        guard let handler = upstream, let grant, let ticket, plan.backends[grant.backend].drainsAbandonedCalls else {
            return false
        }
        upstream = nil
        Drain.begin(
            handler, shared, eventLoop, backend: grant.backend, ticket: ticket,
            isReusable: answer.way == .none || UpstreamHeaders.isReusable(answer.head))
        return true
    }

    /// Tells the rules that the call is over. A backend that may still be at its prompt keeps its slot until it is done with it.
    private func endTicket(_ ticket: Ticket, _ evidence: Evidence?) {
        if mayLinger, let grant {
            shared.desk.judge(ticket, evidence ?? .nothing)
            return SlotWatch(shared, eventLoop, head, backend: grant.backend, ticket: ticket).begin()
        }
        if let evidence { shared.desk.finish(ticket, evidence) } else { shared.desk.leave(ticket) }
    }

    /// The connection was closed while the backend was at the prompt.
    private var mayLinger: Bool {
        guard let grant, plan.backends[grant.backend].lingers else { return false }
        return wasCut && !answer.hasToken
    }

    /// Tells everybody that the request is over.
    ///
    /// - Parameter evidence: `nil` when the client left.
    func conclude(_ outcome: CallRecord.Outcome, _ evidence: Evidence?) {
        guard !isOver else { return }
        isOver = true
        fuseTimer?.cancel()
        record.outcome = outcome
        record.endTimeUnixNano = unixNano
        if let ticket { endTicket(ticket, evidence) }
        if let backend = record.backend {
            record.breakerState = shared.desk.breakerState(backend)
            let now = GatewaySources.uptimeNanoseconds()
            record.breakerResets = shared.desk.takeResets(of: backend).map { record.endTimeUnixNano &- (now &- $0) }
        }
        shared.metrics.ended(record, backend: record.backend.map { plan.backends[$0].name } ?? "", model: plan.models[model].name)
        shared.board.ended(record)
        shared.outbox.put(record, place)
        client.exchangeEnded()
    }
}
