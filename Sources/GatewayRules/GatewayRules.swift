import Derivations
import TelemetryModel

/// Who may call which backend when: slots, queues, groups, breakers and repetitions of the whole gateway, as one value. What happens
/// goes in, what is to be done comes out; it reads no clock, and waits for nothing.
///
/// Requests for a model wait in one line. Over the lines the oldest goes first, except where it cannot and a younger one can without
/// being in its way.
package struct GatewayRules: Sendable {
    /// Doubled with each busy answer in a row, up to `pauseNanosecondsMax`.
    static let pauseNanosecondsMin: Int64 = 1_000_000_000
    static let pauseNanosecondsMax: Int64 = 30_000_000_000
    private static let backoffNanosecondsMax = 60e9
    /// A request that was under way at the end of so many processes is not tried again: it may be what ends them.
    private static let lossesMax = 3
    private static let resetsMax = 16

    struct Waiting: Sendable {
        var ticket: Ticket
        var deadline: Int64
        /// Attempts that it has behind it.
        var attempts: Int
        /// Of them, those that a process's end may have cut off.
        var losses = 0
        var arrivedAt: Int64
        /// How long its client waits at most.
        var patience: Int64
        /// The last one was told that the model is being loaded.
        var metLoading = false
    }

    struct Model: Sendable {
        var waiting: [Waiting] = []
        /// A moving average of how long calls hold a slot.
        var serviceNanoseconds = 0.0
        var saturation = Saturation()
    }

    struct Backend: Sendable {
        var running = 0
        var breaker: BackendBreaker
        var pausedUntil = Int64.min
        var pauseNanoseconds: Int64 = 0
        var isLoading = false
        var lastSuccess: Int64?
        var availability = GatewayAvailability.up
        /// Connections that were lost since somebody last looked after its process.
        var doubts = 0
        var foreignCalls = 0
        /// When new processes closed its breaker, as far as no span told.
        var resets: [Int64] = []
        var slots: Int
    }

    /// A call that holds a slot.
    struct Call: Sendable {
        var model: Int
        var backend: Int
        var generation: UInt64
        var isProbe: Bool
        var grantedAt: Int64
        var hasToken = false
        /// As it waited, should it go back into the queue.
        var waited: Waiting
        /// With this one.
        var attempts: Int { waited.attempts }
    }

    package let plan: GatewayPlan
    var models: [Model]
    var backends: [Backend]
    var calls: [Ticket: Call] = [:]
    private var modelOfWaiting: [Ticket: Int] = [:]
    private var budget = RetryBudget()
    private var nextNumber: UInt64 = 1
    /// Calls upstream of each group's backend that has the turn.
    private var turns: [String: (backend: Int, running: Int)] = [:]

    package init(_ plan: GatewayPlan) {
        self.plan = plan
        models = plan.models.map { _ in Model() }
        backends = plan.backends.map { backend in
            Backend(
                breaker: BackendBreaker(
                    threshold: plan.breakerThreshold, cooldownNanoseconds: plan.breakerCooldownNanoseconds),
                // A process takes no call before it is seen to be ready.
                availability: backend.process == nil ? .up : .down, slots: backend.slots)
        }
    }

    // MARK: What happens

    /// A request for a model came. It starts, waits or is refused, and more may happen with it.
    ///
    /// - Parameter patience: nanoseconds that its client waits at most; `nil` when it did not say.
    package mutating func arrive(model: Int, patience: Int64?, at now: GatewayMoment) -> (
        ticket: Ticket, actions: [GatewayAction]
    ) {
        let ticket = Ticket(number: nextNumber)
        nextNumber &+= 1
        budget.earn()
        var actions: [GatewayAction] = []
        let shut = shutFor(model, at: now.nanoseconds)
        if let shut {
            actions.append(.refuse(ticket, shut))
            return (ticket, actions)
        }
        let patience = max(0, patience ?? .max)
        let limit = min(plan.models[model].queueWaitNanoseconds, patience)
        models[model].waiting.append(
            Waiting(
                ticket: ticket, deadline: now.nanoseconds.addingSaturated(limit), attempts: 0, arrivedAt: now.nanoseconds,
                patience: patience))
        modelOfWaiting[ticket] = model
        dispatch(now, &actions)
        if modelOfWaiting[ticket] != nil && models[model].waiting.count > places(model) {
            remove(ticket, from: model)
            let depth = models[model].waiting.count
            actions.append(.refuse(ticket, .queueFull(depth: depth, waitSeconds: waitSeconds(model))))
        }
        return (ticket, actions)
    }

    /// How many may wait for a model: half as many while its backends do not keep up, so that those who wait have a chance.
    private func places(_ model: Int) -> Int {
        let depth = plan.models[model].queueDepth
        let saturation = models[model].saturation
        return saturation.firstTokensAreLate || saturation.failsOften ? (depth + 1) / 2 : depth
    }

    /// How many requests wait for a model.
    package func depth(model: Int) -> Int { models[model].waiting.count }

    /// The client went away. One that waited costs the backend nothing; one that ran frees its slot.
    package mutating func leave(_ ticket: Ticket, at now: GatewayMoment) -> [GatewayAction] {
        if let model = modelOfWaiting[ticket] {
            remove(ticket, from: model)
            var actions: [GatewayAction] = []
            // It may have been in the way of others.
            dispatch(now, &actions)
            return actions
        }
        return finish(ticket, .nothing, at: now)
    }

    /// The first token of a streamed answer came. It is all that a probe has to show.
    ///
    /// - Parameter budget: how long it may have taken; `nil` when as long as it liked.
    package mutating func firstToken(_ ticket: Ticket, budget: Int64? = nil, at now: GatewayMoment) -> [GatewayAction] {
        guard let call = calls[ticket] else { return [] }
        backends[call.backend].lastSuccess = now.nanoseconds
        calls[ticket]?.hasToken = true
        if let budget {
            let share = Double(now.nanoseconds.subtractingSaturated(call.grantedAt)) / Double(max(budget, 1))
            models[call.model].saturation.firstToken(budgetShare: share)
        }
        guard call.isProbe else { return [] }
        var actions: [GatewayAction] = []
        take(.success, of: call, at: now, &actions)
        calls[ticket]?.isProbe = false
        calls[ticket]?.generation = backends[call.backend].breaker.generation
        dispatch(now, &actions)
        return actions
    }

    /// An attempt failed before a byte of its answer went to the client.
    ///
    /// - Parameter busyNanoseconds: how long the backend asked to be left alone; `nil` when it did not say.
    package mutating func fail(
        _ ticket: Ticket, _ judgement: Judgement, isLoading: Bool = false, busyNanoseconds: Int64? = nil, at now: GatewayMoment
    ) -> [GatewayAction] {
        guard let call = calls[ticket] else { return [] }
        var actions: [GatewayAction] = []
        take(judgement.evidence, of: call, at: now, &actions)
        switch judgement.retry {
        case .wait:
            pause(call.backend, isLoading: isLoading, busyNanoseconds, now)
            var waiting = call.waited
            waiting.metLoading = isLoading
            requeue(waiting, call, now.nanoseconds, &actions)
        case .lost where call.waited.losses < Self.lossesMax:
            var waiting = call.waited
            waiting.losses += 1
            // It was served when its process ended: its wait for the next one is a new one.
            waiting.deadline = min(
                now.nanoseconds.addingSaturated(plan.models[call.model].queueWaitNanoseconds),
                waiting.arrivedAt.addingSaturated(waiting.patience))
            requeue(waiting, call, now.nanoseconds, &actions)
        case .limited:
            if let grant = repetition(ticket, call, now) {
                actions.append(.start(ticket, grant))
            } else {
                actions.append(.giveUp(ticket))
            }
        case .never, .free, .lost: actions.append(.giveUp(ticket))
        }
        dispatch(now, &actions)
        return actions
    }

    /// A call is over and its slot free.
    package mutating func finish(_ ticket: Ticket, _ evidence: Evidence, at now: GatewayMoment) -> [GatewayAction] {
        guard let call = calls[ticket] else { return [] }
        var actions: [GatewayAction] = []
        take(evidence, of: call, at: now, &actions)
        release(ticket, call)
        if evidence == .success {
            backends[call.backend].lastSuccess = now.nanoseconds
            backends[call.backend].pauseNanoseconds = 0
            backends[call.backend].isLoading = false
            let held = Double(now.nanoseconds.subtractingSaturated(call.grantedAt))
            let average = models[call.model].serviceNanoseconds
            models[call.model].serviceNanoseconds = average == 0 ? held : average * 0.8 + held * 0.2
        }
        dispatch(now, &actions)
        return actions
    }

    /// Time has passed: who waited too long is refused, and who may go now goes.
    package mutating func wake(at now: GatewayMoment) -> [GatewayAction] {
        var actions: [GatewayAction] = []
        for model in models.indices { expire(model, now.nanoseconds, &actions) }
        dispatch(now, &actions)
        return actions
    }

    /// When, behind `now`, `wake` has something to do; `nil` when nobody waits.
    package func nextWake(after now: Int64) -> Int64? {
        var next: Int64?
        for (index, model) in models.enumerated() where !model.waiting.isEmpty {
            for waiting in model.waiting { next = min(next ?? .max, waiting.deadline) }
            for backend in plan.models[index].backends.map({ backends[$0] }) {
                if backend.pausedUntil > now { next = min(next ?? .max, backend.pausedUntil) }
                if backend.breaker.isShut(at: now) { next = min(next ?? .max, backend.breaker.dueAt) }
            }
        }
        return next
    }

    // MARK: The queue

    private mutating func remove(_ ticket: Ticket, from model: Int) {
        models[model].waiting.removeAll { $0.ticket == ticket }
        modelOfWaiting[ticket] = nil
    }

    private mutating func expire(_ model: Int, _ now: Int64, _ actions: inout [GatewayAction]) {
        for waiting in models[model].waiting where waiting.deadline <= now {
            modelOfWaiting[waiting.ticket] = nil
            let isLoading = waiting.metLoading || plan.models[model].backends.allSatisfy { backends[$0].availability != .up }
            let refusal: GatewayRefusal = isLoading ? .modelLoading : .queueTimeout(waitSeconds: waitSeconds(model))
            actions.append(.refuse(waiting.ticket, refusal))
        }
        models[model].waiting.removeAll { $0.deadline <= now }
    }

    /// Seconds until the line for a model will have moved up, going by how long calls took up to now.
    private func waitSeconds(_ model: Int) -> Int {
        let slots = plan.models[model].backends.reduce(0) { $0 + backends[$1].slots }
        let seconds = Double(models[model].waiting.count + 1) * models[model].serviceNanoseconds / 1e9 / Double(max(slots, 1))
        return Int(min(max(seconds.rounded(.up), 1), 60))
    }

    /// Why nothing for the model can go for a while; `nil` when something can, or at least may wait.
    private func shutFor(_ model: Int, at now: Int64) -> GatewayRefusal? {
        var first: (name: String, due: Int64)?
        var failed: GatewayRefusal?
        for index in plan.models[model].backends {
            if case .hopeless(let reason) = backends[index].availability {
                failed = failed ?? .backendFailed(backend: plan.backends[index].name, reason)
                continue
            }
            let breaker = backends[index].breaker
            guard breaker.isShut(at: now) else { return nil }
            if breaker.dueAt < first?.due ?? .max { first = (plan.backends[index].name, breaker.dueAt) }
        }
        guard let first else { return failed ?? .breakerOpen(backend: "", waitNanoseconds: plan.breakerCooldownNanoseconds) }
        return .breakerOpen(backend: first.name, waitNanoseconds: first.due.subtractingSaturated(now))
    }

    private mutating func requeue(_ waiting: Waiting, _ call: Call, _ now: Int64, _ actions: inout [GatewayAction]) {
        release(waiting.ticket, call)
        models[call.model].waiting.insert(waiting, at: 0)
        modelOfWaiting[waiting.ticket] = call.model
        expire(call.model, now, &actions)
    }

    // MARK: Processes

    /// Calls may go to a backend from now on, or may not. One that is `up` after it was not has a new process.
    package mutating func set(
        _ availability: GatewayAvailability, of backend: Int, at now: GatewayMoment
    ) -> [GatewayAction] {
        var actions: [GatewayAction] = []
        let last = backends[backend].availability
        backends[backend].availability = availability
        if availability == .up && last != .up {
            if backends[backend].breaker.state != .closed {
                backends[backend].resets = backends[backend].resets.suffix(Self.resetsMax - 1) + [now.nanoseconds]
            }
            backends[backend].breaker.reset(at: now.nanoseconds)
            backends[backend].pausedUntil = .min
            backends[backend].pauseNanoseconds = 0
            backends[backend].isLoading = false
        }
        if availability != last { backends[backend].doubts = 0 }
        if case .hopeless = availability { refuseWaiting(for: backend, at: now, &actions) }
        dispatch(now, &actions)
        return actions
    }

    /// When new processes closed the breaker of a backend since this was last asked: no call's end tells of it.
    package mutating func takeResets(of backend: Int) -> [Int64] {
        defer { backends[backend].resets = [] }
        return backends[backend].resets
    }

    /// The process of a backend lives: the connections that were lost count as failures.
    package mutating func vouch(for backend: Int, at now: GatewayMoment) -> [GatewayAction] {
        var actions: [GatewayAction] = []
        let doubts = backends[backend].doubts
        backends[backend].doubts = 0
        for _ in 0..<min(doubts, plan.breakerThreshold) {
            let generation = backends[backend].breaker.generation
            guard backends[backend].breaker.take(.failure, generation: generation, at: now) else { continue }
            refuseWaiting(for: backend, at: now, &actions)
        }
        dispatch(now, &actions)
        return actions
    }

    /// Calls that a server works on and that did not come from here.
    package mutating func set(foreignCalls: Int, of backend: Int) { backends[backend].foreignCalls = max(0, foreignCalls) }

    /// What a server says of the calls that it works on at once.
    package mutating func set(slots: Int, of backend: Int, at now: GatewayMoment) -> [GatewayAction] {
        var actions: [GatewayAction] = []
        backends[backend].slots = max(1, slots)
        dispatch(now, &actions)
        return actions
    }

    // MARK: Who goes

    /// Starts whom there is room for, the oldest first.
    private mutating func dispatch(_ now: GatewayMoment, _ actions: inout [GatewayAction]) {
        // Groups in which an older request waits for its turn.
        var claimed: Set<String> = []
        var blocked: Set<Int> = []
        while hasRoom {
            var oldest: (model: Int, waiting: Waiting)?
            for (index, model) in models.enumerated() where !blocked.contains(index) {
                guard let head = model.waiting.first else { continue }
                if head.ticket < oldest?.waiting.ticket ?? Ticket(number: .max) { oldest = (index, head) }
            }
            guard let (model, head) = oldest else { return }
            guard let backend = place(model, at: now.nanoseconds, &claimed) else {
                blocked.insert(model)
                continue
            }
            models[model].waiting.removeFirst()
            modelOfWaiting[head.ticket] = nil
            let isProbe = occupy(backend, at: now.nanoseconds)
            var waited = head
            waited.attempts += 1
            calls[head.ticket] = Call(
                model: model, backend: backend, generation: backends[backend].breaker.generation, isProbe: isProbe,
                grantedAt: now.nanoseconds, waited: waited)
            actions.append(
                .start(head.ticket, Grant(backend: backend, attempt: head.attempts + 1, isProbe: isProbe, delayNanoseconds: 0)))
        }
    }

    private var hasRoom: Bool { calls.count < plan.callsMax ?? .max }

    /// A backend on which the model's next request can start. One that is due for its probe goes first: it would get none otherwise
    /// while the others work.
    private func place(_ model: Int, at now: Int64, _ claimed: inout Set<String>) -> Int? {
        var found: Int?
        for index in plan.models[model].backends where isFree(index, at: now) {
            guard hasTurn(index, claimed) else { continue }
            if backends[index].breaker.isProbeDue(at: now) { return index }
            found = found ?? index
        }
        if found == nil {
            for index in plan.models[model].backends where isFree(index, at: now) {
                if let group = plan.backends[index].group { claimed.insert(group) }
            }
        }
        return found
    }

    /// Whether a backend could take one more call, if it has the turn of its group.
    private func isFree(_ index: Int, at now: Int64) -> Bool {
        let backend = backends[index]
        return backend.availability == .up && backend.doubts == 0 && backend.running < backend.slots
            && backend.pausedUntil <= now && backend.breaker.admits(at: now)
    }

    private func hasTurn(_ index: Int, _ claimed: Set<String>) -> Bool {
        guard let group = plan.backends[index].group else { return true }
        if claimed.contains(group) { return false }
        guard let turn = turns[group] else { return true }
        return turn.backend == index
    }

    /// Takes a slot; says whether the call is a probe.
    private mutating func occupy(_ index: Int, at now: Int64) -> Bool {
        backends[index].running += 1
        if let group = plan.backends[index].group {
            turns[group] = (index, (turns[group]?.running ?? 0) + 1)
        }
        return backends[index].breaker.begin(at: now)
    }

    private mutating func vacate(_ index: Int) {
        backends[index].running -= 1
        guard let group = plan.backends[index].group, let turn = turns[group] else { return }
        turns[group] = turn.running > 1 ? (turn.backend, turn.running - 1) : nil
    }

    private mutating func release(_ ticket: Ticket, _ call: Call) {
        vacate(call.backend)
        calls[ticket] = nil
    }

    // MARK: Failures

    /// Tells the breaker; when it opens, those who wait for what is shut now are told at once.
    private mutating func take(_ evidence: Evidence, of call: Call, at now: GatewayMoment, _ actions: inout [GatewayAction]) {
        if evidence == .timeout && !call.hasToken { models[call.model].saturation.firstToken(budgetShare: 1) }
        if let isFailure = evidence.isFailure { models[call.model].saturation.ended(isFailure: isFailure) }
        if evidence == .doubt { backends[call.backend].doubts += 1 }
        if evidence.outcome == nil && !call.isProbe { return }
        guard backends[call.backend].breaker.take(evidence, generation: call.generation, at: now) else { return }
        refuseWaiting(for: call.backend, at: now, &actions)
    }

    private mutating func refuseWaiting(for backend: Int, at now: GatewayMoment, _ actions: inout [GatewayAction]) {
        for model in models.indices where plan.models[model].backends.contains(backend) && !models[model].waiting.isEmpty {
            guard let refusal = shutFor(model, at: now.nanoseconds) else { continue }
            for waiting in models[model].waiting {
                modelOfWaiting[waiting.ticket] = nil
                actions.append(.refuse(waiting.ticket, refusal))
            }
            models[model].waiting = []
        }
    }

    private mutating func pause(_ index: Int, isLoading: Bool, _ asked: Int64?, _ now: GatewayMoment) {
        let last = backends[index].pauseNanoseconds
        let own = isLoading ? Self.pauseNanosecondsMin : min(max(Self.pauseNanosecondsMin, last * 2), Self.pauseNanosecondsMax)
        if !isLoading { backends[index].pauseNanoseconds = own }
        let pause = min(max(asked ?? own, 1), Self.pauseNanosecondsMax)
        backends[index].pausedUntil = now.nanoseconds.addingSaturated(pause)
        backends[index].isLoading = isLoading
    }

    /// Leave to repeat a failed attempt: on another backend that is free now, or on the same one, whose slot it still holds.
    private mutating func repetition(_ ticket: Ticket, _ call: Call, _ now: GatewayMoment) -> Grant? {
        let model = plan.models[call.model]
        guard call.attempts <= model.retriesMax else { return nil }
        let other = model.backends.first { $0 != call.backend && isFree($0, at: now.nanoseconds) && hasTurn($0, []) }
        guard other != nil || backends[call.backend].breaker.state == .closed else { return nil }
        guard budget.spend() else { return nil }
        var call = call
        call.waited.attempts += 1
        var delay: Int64 = 0
        if let other {
            vacate(call.backend)
            call.backend = other
            call.isProbe = occupy(other, at: now.nanoseconds)
        } else {
            call.isProbe = false
            // Half of it is chance, so that calls that failed together come back apart.
            var backoff = Double(model.backoffNanoseconds) * (0.5 + now.chance / 2)
            for _ in 2..<call.attempts where backoff < Self.backoffNanosecondsMax { backoff *= 2 }
            delay = Int64(min(backoff, Self.backoffNanosecondsMax))
        }
        call.generation = backends[call.backend].breaker.generation
        calls[ticket] = call
        return Grant(backend: call.backend, attempt: call.attempts, isProbe: call.isProbe, delayNanoseconds: delay)
    }
}
