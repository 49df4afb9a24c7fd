import Derivations
import GatewayRules
import Testing

/// Random histories of the rules, held against what must always be true of them.
struct GatewayHistoryTests {
    @Test(arguments: 0..<300)
    func whateverHappensTheLimitsHoldAndEveryRequestEndsOnce(_ seed: Int) {
        var history = History(seed: UInt64(seed))
        for _ in 0..<400 { history.step() }
        history.drain()
        #expect(history.breaches == [])
    }
}

/// A random plan under random events, and a plain account of what the rules asked for.
private struct History {
    private enum State: Equatable {
        case waiting
        case running(Int)
        case failed(Int)
        case over
    }

    private var luck: Luck
    private var rules: GatewayRules
    private let plan: GatewayPlan
    private var now: Int64 = 0
    private var states: [Ticket: State] = [:]
    private var models: [Ticket: Int] = [:]
    private var probes: [Int: Ticket] = [:]
    private var losses: [Ticket: Int] = [:]
    /// Tickets that were sent back to the front of their line.
    private var returned: Set<Ticket> = []
    private var lastFirstStart: [Int: Ticket] = [:]
    private(set) var breaches: [String] = []

    init(seed: UInt64) {
        var luck = Luck(seed)
        var plan = GatewayPlan(policy: FusePolicy())
        plan.breakerThreshold = Int.random(in: 1...4, using: &luck)
        plan.breakerCooldownNanoseconds = Int64.random(in: 0...20, using: &luck)
        for index in 0..<Int.random(in: 1...4, using: &luck) {
            var backend = BackendPlan(name: "b\(index)", host: "h", port: 1)
            backend.slots = Int.random(in: 1...3, using: &luck)
            backend.group = [nil, nil, "g", "h"].randomElement(using: &luck) ?? nil
            if Bool.random(using: &luck) { backend.process = ProcessPlan(command: ["x", "{port}"]) }
            plan.backends.append(backend)
        }
        for index in 0..<Int.random(in: 1...3, using: &luck) {
            var own = plan.backends.indices.filter { _ in Bool.random(using: &luck) }
            if own.isEmpty { own = [0] }
            var model = ModelPlan(name: "m\(index)", backends: own)
            model.queueDepth = Int.random(in: 0...5, using: &luck)
            model.queueWaitNanoseconds = Int64.random(in: 1...30, using: &luck)
            model.retriesMax = Int.random(in: 0...2, using: &luck)
            plan.models.append(model)
        }
        plan.callsMax = Bool.random(using: &luck) ? nil : Int.random(in: 1...4, using: &luck)
        self.luck = luck
        self.plan = plan
        rules = GatewayRules(plan)
    }

    private mutating func moment() -> GatewayMoment {
        GatewayMoment(nanoseconds: now, chance: Double.random(in: 0..<1, using: &luck))
    }

    private mutating func pick(_ isWanted: (State) -> Bool) -> Ticket? {
        states.filter { isWanted($0.value) }.keys.sorted().randomElement(using: &luck)
    }

    private static func isRunning(_ state: State) -> Bool { if case .running = state { true } else { false } }

    mutating func step() {
        let before = now
        now += Int64.random(in: 0...3, using: &luck)
        if let due = rules.nextWake(after: before), due <= now { perform(rules.wake(at: moment())) }
        switch Int.random(in: 0..<12, using: &luck) {
        case 0...3: arrive()
        case 4: leave()
        case 5: fail()
        case 6...7: finish()
        case 8:
            if let ticket = pick(Self.isRunning) {
                if probes.values.contains(ticket) { probes = probes.filter { $0.value != ticket } }
                perform(rules.firstToken(ticket, at: moment()))
            }
        case 9...10: lookAfter()
        default: perform(rules.wake(at: moment()))
        }
        check()
    }

    private mutating func arrive() {
        let model = Int.random(in: 0..<plan.models.count, using: &luck)
        let patience = Bool.random(using: &luck) ? nil : Int64.random(in: 0...10, using: &luck)
        let (ticket, actions) = rules.arrive(model: model, patience: patience, at: moment())
        if states[ticket] != nil { breaches.append("a ticket was given twice") }
        states[ticket] = .waiting
        models[ticket] = model
        perform(actions)
    }

    private mutating func leave() {
        guard let ticket = pick({ $0 != .over }) else { return }
        end(ticket)
        perform(rules.leave(ticket, at: moment()))
    }

    private mutating func fail() {
        guard let ticket = pick(Self.isRunning), case .running(let backend) = states[ticket] else { return }
        let end: AttemptEnd =
            [
                .connectFailed, .brokenBeforeAnswer, .status(503, isLoading: false), .status(503, isLoading: true),
                .fuse(.firstToken), .status(500, isLoading: false),
            ].randomElement(using: &luck) ?? .connectFailed
        let judgement = Judgement(end, isSupervised: plan.backends[backend].process != nil)
        probes = probes.filter { $0.value != ticket }
        var goesBack = judgement.retry == .wait
        if judgement.retry == .lost {
            goesBack = losses[ticket, default: 0] < 3
            losses[ticket, default: 0] += 1
        }
        states[ticket] = goesBack ? .waiting : .failed(backend)
        if goesBack { returned.insert(ticket) }
        perform(
            rules.fail(ticket, judgement, isLoading: end == .status(503, isLoading: true), busyNanoseconds: 5, at: moment()))
    }

    /// Something becomes of a process, or somebody looked after it.
    private mutating func lookAfter() {
        guard let backend = plan.backends.indices.filter({ plan.backends[$0].process != nil }).randomElement(using: &luck) else {
            return
        }
        switch Int.random(in: 0..<6, using: &luck) {
        case 0...1: perform(rules.vouch(for: backend, at: moment()))
        case 2: perform(rules.set(.down, of: backend, at: moment()))
        case 3: perform(rules.set(.hopeless("x"), of: backend, at: moment()))
        default:
            probes[backend] = nil
            perform(rules.set(.up, of: backend, at: moment()))
        }
    }

    private mutating func finish() {
        guard let ticket = pick({ $0 != .over && $0 != .waiting }), let state = states[ticket] else { return }
        end(ticket)
        var evidence = Evidence.nothing
        if case .running = state {
            evidence = [.success, .success, .timeout, .failure, .nothing].randomElement(using: &luck) ?? .nothing
        }
        perform(rules.finish(ticket, evidence, at: moment()))
    }

    private mutating func end(_ ticket: Ticket) {
        states[ticket] = .over
        probes = probes.filter { $0.value != ticket }
    }

    private mutating func perform(_ actions: [GatewayAction]) {
        for action in actions {
            switch action {
            case .refuse(let ticket, _):
                if states[ticket] != .waiting { breaches.append("\(ticket) was refused and did not wait") }
                states[ticket] = .over
            case .giveUp(let ticket):
                guard case .failed = states[ticket] else { return breaches.append("\(ticket) was given up and had not failed") }
            case .start(let ticket, let grant): start(ticket, grant)
            }
        }
    }

    private mutating func start(_ ticket: Ticket, _ grant: Grant) {
        guard let state = states[ticket], let model = models[ticket] else { return breaches.append("an unknown ticket started") }
        switch state {
        case .waiting:
            if !returned.contains(ticket) {
                if let last = lastFirstStart[model], ticket < last { breaches.append("\(ticket) was overtaken") }
                lastFirstStart[model] = ticket
            }
        case .failed: if grant.attempt < 2 { breaches.append("a repetition was called the first attempt") }
        default: breaches.append("\(ticket) started and was neither waiting nor failed")
        }
        if grant.attempt > plan.models[model].retriesMax + 1 && !returned.contains(ticket) {
            breaches.append("\(ticket) was repeated too often")
        }
        if !plan.models[model].backends.contains(grant.backend) { breaches.append("\(ticket) went to a foreign backend") }
        if probes[grant.backend] != nil { breaches.append("a call went beside a probe") }
        let view = rules.view(at: now).backends[grant.backend]
        if view.availability != .up && grant.attempt == 1 { breaches.append("a call went to a process that is not there") }
        if grant.isProbe { probes[grant.backend] = ticket }
        states[ticket] = .running(grant.backend)
    }

    private mutating func check() {
        var running = [Int](repeating: 0, count: plan.backends.count)
        for state in states.values {
            switch state {
            case .running(let backend), .failed(let backend): running[backend] += 1
            default: break
            }
        }
        let view = rules.view(at: now)
        if running != view.backends.map(\.running) { breaches.append("the slots are not those of the calls: \(running)") }
        for (index, backend) in plan.backends.enumerated() where running[index] > backend.slots {
            breaches.append("\(backend.name) has more calls than slots")
        }
        if running.reduce(0, +) > plan.callsMax ?? .max { breaches.append("the limit over all is broken") }
        for group in Set(plan.backends.compactMap(\.group)) {
            let busy = plan.backends.indices.filter { plan.backends[$0].group == group && running[$0] > 0 }
            if busy.count > 1 { breaches.append("two of group \(group) work at once") }
        }
        let waiting = states.values.filter { $0 == .waiting }.count
        if waiting != view.models.reduce(0, { $0 + $1.waiting }) { breaches.append("the lines are not who waits") }
        if waiting > 0, rules.nextWake(after: now) == nil { breaches.append("somebody waits and nothing will wake") }
        checkNobodyWaitsForNothing(running, view)
    }

    /// Who could go has gone, in plans without groups and without a limit over all.
    private mutating func checkNobodyWaitsForNothing(_ running: [Int], _ view: GatewayView) {
        guard plan.callsMax == nil, plan.backends.allSatisfy({ $0.group == nil }) else { return }
        for (index, model) in plan.models.enumerated() where view.models[index].waiting > 0 {
            for backend in model.backends
            where view.backends[backend].breaker == .closed && view.backends[backend].availability == .up
                && !view.backends[backend].isDoubted && view.backends[backend].pauseNanoseconds == 0
                && running[backend] < plan.backends[backend].slots
            {
                breaches.append("\(model.name) waits though \(plan.backends[backend].name) is free")
            }
        }
    }

    /// Lets everything end.
    mutating func drain() {
        for backend in plan.backends.indices { perform(rules.set(.up, of: backend, at: moment())) }
        for _ in 0..<10_000 {
            if let ticket = pick({ $0 != .over && $0 != .waiting }) {
                end(ticket)
                perform(rules.finish(ticket, .success, at: moment()))
            } else if let wake = rules.nextWake(after: now) {
                now = wake
                perform(rules.wake(at: moment()))
            } else {
                break
            }
        }
        if states.values.contains(where: { $0 != .over }) { breaches.append("a request has no end") }
        if rules.view(at: now).running != 0 { breaches.append("a slot is still taken") }
    }
}
