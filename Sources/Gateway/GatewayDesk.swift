import Derivations
import GatewayRules
import NIOCore
import Synchronization

/// The rules, shared by all event loops: takes what happens to a call, and has everybody whom it concerns do what the rules say.
final class GatewayDesk: Sendable {
    private struct State {
        var rules: GatewayRules
        var holders: [Ticket: NIOLoopBound<Exchange>] = [:]
        /// When the rules will be woken next.
        var wakeAt: Int64?
    }

    /// What the rules say to a new request at once.
    struct Arrival {
        var ticket: Ticket
        /// `nil`: it waits.
        var action: GatewayAction?
        /// How many waited before it.
        var depth: Int
    }

    private let state: Mutex<State>
    private let eventLoop: any EventLoop
    private let sources: GatewaySources

    init(_ plan: GatewayPlan, eventLoop: any EventLoop, sources: GatewaySources) {
        state = Mutex(State(rules: GatewayRules(plan)))
        self.eventLoop = eventLoop
        self.sources = sources
    }

    var view: GatewayView {
        let now = GatewaySources.uptimeNanoseconds()
        return state.withLock { $0.rules.view(at: now) }
    }

    /// What there is to see of a backend.
    func backend(_ index: Int) -> GatewayView.Backend {
        let now = GatewaySources.uptimeNanoseconds()
        return state.withLock { $0.rules.backend(index, at: now) }
    }

    // MARK: Processes

    func set(_ availability: GatewayAvailability, of backend: Int) {
        change { $0.set(availability, of: backend, at: $1) }
    }

    func set(slots: Int, of backend: Int) {
        change { $0.set(slots: slots, of: backend, at: $1) }
    }

    func set(foreignCalls: Int, of backend: Int) {
        state.withLock { $0.rules.set(foreignCalls: foreignCalls, of: backend) }
    }

    func takeResets(of backend: Int) -> [Int64] { state.withLock { $0.rules.takeResets(of: backend) } }

    func vouch(for backend: Int) {
        change { $0.vouch(for: backend, at: $1) }
    }

    // MARK: Calls

    func arrive(model: Int, patience: Int64?, _ exchange: NIOLoopBound<Exchange>) -> Arrival {
        let moment = sources.moment()
        let (arrival, others) = state.withLock { state in
            let depth = state.rules.depth(model: model)
            let (ticket, actions) = state.rules.arrive(model: model, patience: patience, at: moment)
            state.holders[ticket] = exchange
            let (own, others) = Self.parted(actions, ticket, &state)
            return (Arrival(ticket: ticket, action: own, depth: depth), others)
        }
        deliver(others)
        schedule(moment.nanoseconds)
        return arrival
    }

    /// - Parameter budget: how long it may have taken.
    func firstToken(_ ticket: Ticket, budget: Int64?) {
        _ = change(ticket) { $0.firstToken(ticket, budget: budget, at: $1) }
    }

    /// Says what becomes of a call whose attempt failed; `nil` when it waits again.
    func fail(_ ticket: Ticket, _ judgement: Judgement, isLoading: Bool, busyNanoseconds: Int64?) -> GatewayAction? {
        change(ticket) { $0.fail(ticket, judgement, isLoading: isLoading, busyNanoseconds: busyNanoseconds, at: $1) }
    }

    /// Takes in what a call tells that is over and yet holds its slot, until `finish`.
    func judge(_ ticket: Ticket, _ evidence: Evidence) {
        _ = change(ticket, isLast: true) { $0.fail(ticket, Judgement(evidence, .never), at: $1) }
    }

    /// Calls of a backend that hold a slot.
    func running(_ backend: Int) -> Int { state.withLock { $0.rules.running(backend) } }

    func finish(_ ticket: Ticket, _ evidence: Evidence) {
        _ = change(ticket, isLast: true) { $0.finish(ticket, evidence, at: $1) }
    }

    func leave(_ ticket: Ticket) {
        _ = change(ticket, isLast: true) { $0.leave(ticket, at: $1) }
    }

    /// Ends every request that is under way.
    func stopAll() {
        for exchange in state.withLock({ Array($0.holders.values) }) {
            exchange.eventLoop.execute { exchange.value.serverStops() }
        }
    }

    func breakerState(_ backend: Int) -> String { state.withLock { $0.rules.breakerState(backend).rawValue } }

    // MARK: Telling

    private typealias Delivery = (exchange: NIOLoopBound<Exchange>, action: GatewayAction)

    private func change(_ body: (inout GatewayRules, GatewayMoment) -> [GatewayAction]) {
        let moment = sources.moment()
        let others = state.withLock { state in Self.parted(body(&state.rules, moment), nil, &state).others }
        deliver(others)
        schedule(moment.nanoseconds)
    }

    private func change(
        _ ticket: Ticket, isLast: Bool = false, _ body: (inout GatewayRules, GatewayMoment) -> [GatewayAction]
    ) -> GatewayAction? {
        let moment = sources.moment()
        let (own, others) = state.withLock { state in
            if isLast { state.holders[ticket] = nil }
            return Self.parted(body(&state.rules, moment), ticket, &state)
        }
        deliver(others)
        schedule(moment.nanoseconds)
        return own
    }

    /// What concerns the caller, and what others have to be told.
    private static func parted(
        _ actions: [GatewayAction], _ ticket: Ticket?, _ state: inout State
    ) -> (own: GatewayAction?, others: [Delivery]) {
        var own: GatewayAction?
        var others: [Delivery] = []
        for action in actions {
            let concerned =
                switch action {
                case .start(let ticket, _), .refuse(let ticket, _), .giveUp(let ticket): ticket
                }
            if concerned == ticket {
                own = action
            } else if let holder = state.holders[concerned] {
                others.append((holder, action))
            }
            if case .refuse = action { state.holders[concerned] = nil }
        }
        return (own, others)
    }

    private func deliver(_ deliveries: [Delivery]) {
        for (exchange, action) in deliveries {
            exchange.eventLoop.execute { exchange.value.told(action) }
        }
    }

    private func schedule(_ now: Int64) {
        let due: Int64? = state.withLock { state in
            guard let next = state.rules.nextWake(after: now), next < state.wakeAt ?? .max else { return nil }
            state.wakeAt = next
            return next
        }
        guard let due else { return }
        eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(clamping: due))) { [self] in wake(due) }
    }

    private func wake(_ due: Int64) {
        let moment = sources.moment()
        let others = state.withLock { state in
            if state.wakeAt == due { state.wakeAt = nil }
            return Self.parted(state.rules.wake(at: moment), nil, &state).others
        }
        deliver(others)
        schedule(moment.nanoseconds)
    }
}
