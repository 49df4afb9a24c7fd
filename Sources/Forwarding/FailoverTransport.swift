package import OutboundHTTP

/// Several ways to one target, such as replicas of a table: one is kept to as long as it answers. Used by one thread.
package final class FailoverTransport: ForwardTransport {
    private let ways: [any ForwardTransport]
    private var current = 0

    /// - Parameter ways: in the order in which they are tried; one at least.
    package init(_ ways: [any ForwardTransport]) {
        self.ways = ways
    }

    /// What could not even be connected goes another way at once. What may have arrived does not: it is the sender's to say when it goes
    /// again, and then it goes another way.
    package func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer {
        var tries = 0
        while true {
            do throws(OutboundError) {
                let answer = try ways[current].post(request)
                if answer.status == 503 { turn() }
                return answer
            } catch {
                turn()
                tries += 1
                guard case .notConnected = error, tries < ways.count else { throw error }
            }
        }
    }

    private func turn() { current = (current + 1) % ways.count }
}
