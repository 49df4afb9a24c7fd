/// One breaker as a person sees it, with all that waits applied. Times are nanoseconds since 1970.
package struct BreakerView: Equatable, Sendable {
    /// One of the breaker's two machines.
    package struct Machine: Equatable, Sendable {
        package var stage: Stage
        package var state: BreakerState
        package var opens: Int64
        package var halfOpens: Int64
        package var closes: Int64
        package var cooldownNanoseconds: Int64
        /// When the current opening began; given while open or unknown.
        package var sinceUnixNano: Int64?
    }

    /// The service and the tool as the client named them, past a label's cap or not.
    package var service: String
    package var tool: String
    /// The process, or the client's own id; empty when a service's processes share the breaker.
    package var scope: String
    /// `nil` when no state was ever reported.
    package var reported: Machine?
    /// `nil` when the fuse table has no rule for it.
    package var derived: Machine?
    /// When its process, or service, was last heard of.
    package var lastReceivedUnixNano: Int64
}

extension DerivationView {
    /// All breakers at the wall clock's time, by service, tool and scope.
    package func breakers(at unixNano: Int64) -> [BreakerView] {
        let now = time.steady(ofWall: unixNano)
        return book.live.map { breaker in
            let machines = breaker.replayed(at: now, rules)
            return BreakerView(
                service: breaker.key.service, tool: breaker.key.tool, scope: breaker.key.scope,
                reported: machines.reported.map { machine in
                    BreakerView.Machine(
                        machine.stage, machine.shown, machine.total,
                        since: machine.state == .open ? since(machine.openings.current, machine.since, unixNano) : nil)
                },
                derived: machines.derived.map { machine in
                    BreakerView.Machine(
                        machine.stage, machine.state, machine.total,
                        since: machine.state == .open ? since(machine.openings.current, machine.openedAt, unixNano) : nil)
                },
                lastReceivedUnixNano: time.wall(
                    presence.lastReceived(service: breaker.service, instance: breaker.instance)))
        }.sorted { ($0.service, $0.tool, $0.scope) < ($1.service, $1.tool, $1.scope) }
    }

    /// When an opening began, by the wall clock of then; `steady` where that lies ahead of the clock as it is now.
    private func since(_ opening: Opening?, _ steady: Int64, _ now: Int64) -> Int64 {
        guard let opening, opening.fromUnixNano <= now else { return time.wall(steady) }
        return opening.fromUnixNano
    }
}

extension BreakerView.Machine {
    init(_ stage: Stage?, _ state: BreakerState, _ total: BreakerEffects, since: Int64?) {
        self.init(
            stage: stage ?? .other, state: state, opens: total.opens, halfOpens: total.halfOpens, closes: total.closes,
            cooldownNanoseconds: total.cooldownNanoseconds, sinceUnixNano: since)
    }
}
