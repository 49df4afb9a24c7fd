import Derivations
import GatewayRules
import TelemetryModel
import Testing

/// Who reads the gateway's spans by docs/metrics.md comes to the breaker that the gateway had.
struct BreakerAgreementTests {
    @Test(arguments: 0..<150)
    func derivedAndReportedBreakersOverItsSpansAreInItsStates(_ seed: Int) throws {
        var history = SpanHistory(seed: UInt64(seed), hasFailures: false)
        for _ in 0..<300 {
            history.step()
            guard let view = history.view else { continue }
            let derived = try #require(view.derived)
            #expect(derived.opens == history.gateway.opens)
            #expect((derived.state == .closed) == (history.gateway.breaker == .closed))
            #expect(view.reported?.opens == history.gateway.opens)
        }
        #expect(history.gateway.opens > 0)
    }

    /// A backend that fails otherwise than by timeouts opens the gateway's breaker and no derived one: reports tell it alone.
    @Test(arguments: 0..<50)
    func reportedBreakersFollowFailuresToo(_ seed: Int) throws {
        var history = SpanHistory(seed: UInt64(seed), hasFailures: true)
        for _ in 0..<300 {
            history.step()
            guard let view = history.view else { continue }
            #expect(view.reported?.opens == history.gateway.opens)
        }
    }

    /// A new process has a new breaker: reports tell that it closed, and go on from there.
    @Test(arguments: 0..<50)
    func reportedBreakersFollowNewProcessesToo(_ seed: Int) throws {
        var history = SpanHistory(seed: UInt64(seed), hasFailures: true, hasProcess: true)
        for _ in 0..<300 {
            history.step()
            guard let view = history.view else { continue }
            #expect(view.reported?.opens == history.gateway.opens)
        }
        #expect(history.resets > 0)
    }
}

/// Random calls of one backend, and the spans that tell of them. Calls are shorter than a cooldown.
private struct SpanHistory {
    private static let second: Int64 = 1_000_000_000
    private static let start: Int64 = 1_700_000_000 * second

    private var luck: Luck
    private var rules: GatewayRules
    private var derivations: SpanDerivations
    private let evidence: [Evidence]
    private var now: Int64 = 0
    private var running: [(ticket: Ticket, since: Int64)] = []
    private var spanCount: UInt64 = 0

    private let hasProcess: Bool
    private(set) var resets = 0

    init(seed: UInt64, hasFailures: Bool, hasProcess: Bool = false) {
        self.hasProcess = hasProcess
        var luck = Luck(seed)
        var policy = FusePolicy()
        policy.derivedStages = [.llm]
        policy.breakerThreshold = Int.random(in: 1...4, using: &luck)
        var plan = GatewayPlan(policy: policy)
        var backend = BackendPlan(name: "b", host: "h", port: 1)
        backend.slots = Int.random(in: 1...3, using: &luck)
        if hasProcess { backend.process = ProcessPlan(command: ["x", "{port}"]) }
        plan.backends = [backend]
        var model = ModelPlan(name: "m", backends: [0])
        model.queueDepth = 3
        model.queueWaitNanoseconds = 10 * Self.second
        plan.models = [model]
        rules = GatewayRules(plan)
        derivations = SpanDerivations(policy: policy)
        evidence = [.success, .timeout, .timeout, .nothing] + (hasFailures ? [.failure, .failure] : [])
        self.luck = luck
        perform(rules.set(.up, of: 0, at: moment()))
    }

    var gateway: GatewayView.Backend { rules.view(at: now).backends[0] }

    /// What the spans say up to now; `nil` before the first one.
    var view: BreakerView? { derivations.view.breakers(at: Self.start + now).first }

    private mutating func moment() -> GatewayMoment {
        GatewayMoment(nanoseconds: now, chance: Double.random(in: 0..<1, using: &luck))
    }

    mutating func step() {
        let before = now
        now += Int64.random(in: Self.second...(4 * Self.second), using: &luck)
        if let due = rules.nextWake(after: before), due <= now { perform(rules.wake(at: moment())) }
        if hasProcess && Int.random(in: 0..<8, using: &luck) == 0 {
            perform(rules.set(.down, of: 0, at: moment()))
            perform(rules.set(.up, of: 0, at: moment()))
        }
        if let index = running.firstIndex(where: { now - $0.since > 15 * Self.second }) {
            finish(index)
        } else if Bool.random(using: &luck) || running.isEmpty {
            let (_, actions) = rules.arrive(model: 0, patience: nil, at: moment())
            perform(actions)
        } else {
            finish(Int.random(in: 0..<running.count, using: &luck))
        }
    }

    private mutating func finish(_ index: Int) {
        let (ticket, since) = running.remove(at: index)
        let evidence = evidence.randomElement(using: &luck) ?? .success
        let actions = rules.finish(ticket, evidence, at: moment())
        // As the gateway does: the state when the call was over, before the next one changed it.
        observe(since: since) { span in
            span.timeoutFlag = evidence == .timeout
            span.statusCode = evidence == .success ? 0 : 2
            span.errorType = evidence == .nothing ? "400" : evidence == .success ? nil : "fusebox_failed"
        }
        perform(actions)
    }

    private mutating func perform(_ actions: [GatewayAction]) {
        for action in actions {
            switch action {
            case .start(let ticket, _): running.append((ticket, now))
            case .refuse(_, .breakerOpen):
                observe(since: now) { span in
                    span.breakerRejected = true
                    span.statusCode = 2
                }
            default: break
            }
        }
    }

    private mutating func observe(since: Int64, _ change: (inout ObservedSpan) -> Void) {
        spanCount += 1
        var span = ObservedSpan(traceID: TraceID(high: 1, low: spanCount), spanID: SpanID(spanCount))
        span.service = "fusebox-gateway"
        span.operation = "chat"
        span.model = "m"
        span.kind = 3
        span.breakerID = "b"
        span.breakerState = rules.breakerState(0).rawValue
        span.startTimeUnixNano = Self.start + since
        span.endTimeUnixNano = Self.start + now
        span.receivedTimeUnixNano = Self.start + now
        for reset in rules.takeResets(of: 0) {
            resets += 1
            span.events.append(
                ObservedEvent(kind: .breakerTransition, timeUnixNano: Self.start + reset, text: "closed", message: ""))
        }
        change(&span)
        derivations.advance(to: Moment(steady: span.receivedTimeUnixNano))
        _ = derivations.observe(span)
    }
}
