import Derivations
import Testing

@testable import GatewayRules

private let second: Int64 = 1_000_000_000

/// Rules with one model over the given backends, and a clock that tests set.
private struct Stand {
    var rules: GatewayRules
    var now: Int64 = 0

    init(slots: [Int] = [1], depth: Int = 2, _ change: (inout GatewayPlan) -> Void = { _ in }) {
        var plan = GatewayPlan(policy: FusePolicy())
        for (index, count) in slots.enumerated() {
            var backend = BackendPlan(name: "b\(index)", host: "127.0.0.1", port: 8000 + index)
            backend.slots = count
            plan.backends.append(backend)
        }
        var model = ModelPlan(name: "m", backends: Array(slots.indices))
        model.queueDepth = depth
        plan.models = [model]
        change(&plan)
        rules = GatewayRules(plan)
    }

    var moment: GatewayMoment { GatewayMoment(nanoseconds: now, chance: 0) }

    mutating func arrive(_ model: Int = 0, patience: Int64? = nil) -> (ticket: Ticket, actions: [GatewayAction]) {
        rules.arrive(model: model, patience: patience, at: moment)
    }

    mutating func finish(_ ticket: Ticket, _ evidence: Evidence) -> [GatewayAction] {
        rules.finish(ticket, evidence, at: moment)
    }

    /// Makes calls that end in timeouts until the breaker of the only backend opens.
    mutating func trip() {
        for _ in 0..<3 {
            let (ticket, _) = arrive()
            _ = finish(ticket, .timeout)
        }
    }
}

private func started(_ actions: [GatewayAction]) -> [Ticket] {
    actions.compactMap { if case .start(let ticket, _) = $0 { ticket } else { nil } }
}

private func refusals(_ actions: [GatewayAction]) -> [String] {
    actions.compactMap { if case .refuse(_, let refusal) = $0 { refusal.code } else { nil } }
}

struct GatewayQueueTests {
    @Test func fourClientsOnOneSlotGoInOrderAndNeverTwoAtOnce() {
        var stand = Stand(depth: 3)
        let tickets = (0..<4).map { _ in stand.arrive() }
        #expect(started(tickets[0].actions) == [tickets[0].ticket])
        for index in 1..<4 {
            #expect(tickets[index].actions.isEmpty)
        }
        for index in 0..<3 {
            #expect(started(stand.finish(tickets[index].ticket, .success)) == [tickets[index + 1].ticket])
        }
        #expect(stand.finish(tickets[3].ticket, .success).isEmpty)
    }

    @Test func aRequestBeyondTheQueuesDepthIsRefusedWithAWaitThatFollowsFromHowLongCallsTake() {
        var stand = Stand(depth: 2)
        let (first, _) = stand.arrive()
        stand.now = 4 * second
        _ = stand.finish(first, .success)
        for _ in 0..<3 { _ = stand.arrive() }
        let (ticket, actions) = stand.arrive()
        // Three before it, four seconds each.
        #expect(actions == [.refuse(ticket, .queueFull(depth: 2, waitSeconds: 12))])
    }

    @Test func whoWaitedAsLongAsItMayIsRefusedAtItsTimeAndNobodyElse() {
        var stand = Stand(depth: 3)
        let (first, _) = stand.arrive()
        let (short, _) = stand.arrive(patience: 2 * second)
        let (long, _) = stand.arrive()
        #expect(stand.rules.nextWake(after: 0) == 2 * second)
        stand.now = 2 * second
        #expect(stand.rules.wake(at: stand.moment) == [.refuse(short, .queueTimeout(waitSeconds: 1))])
        #expect(stand.rules.nextWake(after: stand.now) == 30 * second)
        #expect(started(stand.finish(first, .success)) == [long])
        #expect(stand.rules.nextWake(after: stand.now) == nil)
    }

    @Test func whoLeavesTheQueueIsNeverStartedAndWhoLeavesARunningCallFreesItsSlot() {
        var stand = Stand(depth: 3)
        let (first, _) = stand.arrive()
        let (second, _) = stand.arrive()
        let (third, _) = stand.arrive()
        #expect(stand.rules.leave(second, at: stand.moment).isEmpty)
        #expect(started(stand.rules.leave(first, at: stand.moment)) == [third])
    }

    @Test func backendsOfAGroupTakeTurnsAndTheOldestWaitingHasTheNext() {
        var stand = Stand(slots: [2, 2], depth: 8) { plan in
            plan.backends[0].group = "gpu"
            plan.backends[1].group = "gpu"
            plan.models = [ModelPlan(name: "llm", backends: [0]), ModelPlan(name: "embed", backends: [1])]
        }
        let (llm, _) = stand.arrive(0)
        let (embed, held) = stand.arrive(1)
        #expect(held.isEmpty)
        // A younger call of the backend that has the turn would keep the other waiting for ever.
        let (later, alsoHeld) = stand.arrive(0)
        #expect(alsoHeld.isEmpty)
        #expect(started(stand.finish(llm, .success)) == [embed])
        #expect(started(stand.finish(embed, .success)) == [later])
    }

    @Test func theLimitOverAllModelsHoldsThoughSlotsAreFree() {
        var stand = Stand(slots: [4, 4], depth: 8) { plan in
            plan.models = [ModelPlan(name: "a", backends: [0]), ModelPlan(name: "b", backends: [1])]
            plan.callsMax = 2
        }
        let (first, _) = stand.arrive(0)
        _ = stand.arrive(1)
        let (third, held) = stand.arrive(1)
        #expect(held.isEmpty)
        #expect(started(stand.finish(first, .success)) == [third])
    }

    @Test func aBusyBackendIsLeftAloneForAsLongAsItSaidAndItsRequestGoesFirstThen() {
        var stand = Stand(depth: 3)
        let (first, _) = stand.arrive()
        let (waiting, _) = stand.arrive()
        let busy = Judgement(.status(429, isLoading: false))
        #expect(stand.rules.fail(first, busy, busyNanoseconds: 3 * second, at: stand.moment).isEmpty)
        #expect(stand.rules.nextWake(after: 0) == 3 * second)
        stand.now = 3 * second
        #expect(started(stand.rules.wake(at: stand.moment)) == [first])
        #expect(started(stand.finish(first, .success)) == [waiting])
        #expect(stand.rules.view(at: stand.now).backends[0].breaker == .closed)
    }

    @Test func aModelThatIsStillLoadingWhenTheQueueTimeIsOverIsToldApart() {
        var stand = Stand(depth: 3)
        let (ticket, _) = stand.arrive()
        let loading = Judgement(.status(503, isLoading: true))
        #expect(stand.rules.fail(ticket, loading, isLoading: true, at: stand.moment).isEmpty)
        #expect(stand.rules.view(at: stand.now).backends[0].isLoading)
        stand.now = 31 * second
        #expect(stand.rules.wake(at: stand.moment) == [.refuse(ticket, .modelLoading)])
    }
}

struct GatewayBreakerTests {
    @Test func threeTimeoutsInARowOpenItAndWhoeverWaitsIsToldAtOnce() {
        var stand = Stand(slots: [3], depth: 3)
        let calls = (0..<3).map { _ in stand.arrive().ticket }
        let (waiting, _) = stand.arrive()
        #expect(started(stand.finish(calls[0], .timeout)) == [waiting])
        let (later, _) = stand.arrive()
        #expect(started(stand.finish(calls[1], .timeout)) == [later])
        let (last, _) = stand.arrive()
        let actions = stand.finish(calls[2], .timeout)
        #expect(actions == [.refuse(last, .breakerOpen(backend: "b0", waitNanoseconds: 30 * second))])
        #expect(refusals(stand.arrive().actions) == ["fusebox_breaker_open"])
    }

    @Test func afterTheCooldownExactlyOneProbeGoesAndTheOthersWaitForWhatItShows() {
        var stand = Stand(slots: [4], depth: 4)
        stand.trip()
        stand.now = 30 * second
        let (probe, actions) = stand.arrive()
        #expect(actions == [.start(probe, Grant(backend: 0, attempt: 1, isProbe: true, delayNanoseconds: 0))])
        let others = (0..<3).map { _ in stand.arrive() }
        #expect(others.allSatisfy { $0.actions.isEmpty })
        // A first token is enough: an answer of ten minutes must not keep the others waiting.
        #expect(started(stand.rules.firstToken(probe, at: stand.moment)) == others.map(\.ticket))
        #expect(stand.rules.breakerState(0) == .closed)
    }

    @Test func aProbeThatTimesOutOpensItAgainAndRefusesTheOthers() {
        var stand = Stand(slots: [4], depth: 4)
        stand.trip()
        stand.now = 30 * second
        let (probe, _) = stand.arrive()
        _ = stand.arrive()
        #expect(refusals(stand.finish(probe, .timeout)) == ["fusebox_breaker_open"])
        #expect(stand.rules.view(at: stand.now).backends[0].opens == 2)
    }

    @Test func aProbeWhoseClientLeavesHandsItsPlaceToTheNext() {
        var stand = Stand(slots: [4], depth: 4)
        stand.trip()
        stand.now = 30 * second
        let (probe, _) = stand.arrive()
        let (other, _) = stand.arrive()
        #expect(
            stand.rules.leave(probe, at: stand.moment)
                == [.start(other, Grant(backend: 0, attempt: 1, isProbe: true, delayNanoseconds: 0))])
    }

    @Test func aCallFromBeforeTheOpeningThatEndsLateChangesNothing() {
        var stand = Stand(slots: [5], depth: 4)
        let (old, _) = stand.arrive()
        let (older, _) = stand.arrive()
        stand.trip()
        _ = stand.finish(old, .success)
        #expect(stand.rules.breakerState(0) == .open)
        stand.now = 30 * second
        let (probe, _) = stand.arrive()
        _ = stand.finish(older, .timeout)
        #expect(stand.rules.breakerState(0) == .halfOpen)
        _ = stand.finish(probe, .success)
        #expect(stand.rules.breakerState(0) == .closed)
    }

    @Test func clientsThatLeaveAndRequestsAtFaultNeverOpenIt() {
        var stand = Stand()
        for _ in 0..<50 {
            let (left, _) = stand.arrive()
            _ = stand.rules.leave(left, at: stand.moment)
            let (wrong, _) = stand.arrive()
            _ = stand.finish(wrong, .nothing)
        }
        #expect(stand.rules.view(at: 0).backends[0].failures == 0)
    }

    @Test func aBackendThatIsDueForItsProbeGetsOneWhileAnotherWorks() {
        var stand = Stand(slots: [1, 4], depth: 4)
        for _ in 0..<3 {
            let (ticket, _) = stand.arrive()
            _ = stand.finish(ticket, .timeout)
        }
        #expect(stand.arrive().actions.contains { if case .start(_, let grant) = $0 { grant.backend == 1 } else { false } })
        stand.now = 30 * second
        let (_, actions) = stand.arrive()
        #expect(actions.contains { if case .start(_, let grant) = $0 { grant.backend == 0 && grant.isProbe } else { false } })
    }

    @Test func cooldownsAreNeverShorterThanConfiguredAndAtMostATenthLonger() {
        for chance in [0, 0.5, 0.999_999] {
            var breaker = BackendBreaker(threshold: 1, cooldownNanoseconds: 10 * second)
            let didOpen = breaker.take(.timeout, generation: 0, at: GatewayMoment(nanoseconds: 0, chance: chance))
            #expect(didOpen)
            #expect(breaker.dueAt >= 10 * second && breaker.dueAt <= 11 * second)
        }
    }
}

struct GatewayRetryTests {
    private let refused = Judgement(.connectFailed)

    @Test func aFailureBeforeTheAnswerIsRepeatedOnceOnTheSameSlotAfterAWhile() {
        var stand = Stand()
        let (ticket, _) = stand.arrive()
        let actions = stand.rules.fail(ticket, refused, at: stand.moment)
        #expect(
            actions == [.start(ticket, Grant(backend: 0, attempt: 2, isProbe: false, delayNanoseconds: 125_000_000))])
        #expect(stand.rules.view(at: 0).backends[0].running == 1)
        #expect(stand.rules.fail(ticket, refused, at: stand.moment) == [.giveUp(ticket)])
    }

    @Test func itIsRepeatedAtOnceOnAnotherBackendThatIsFree() {
        var stand = Stand(slots: [1, 1])
        let (ticket, _) = stand.arrive()
        #expect(
            stand.rules.fail(ticket, refused, at: stand.moment)
                == [.start(ticket, Grant(backend: 1, attempt: 2, isProbe: false, delayNanoseconds: 0))])
        #expect(stand.rules.view(at: 0).backends.map(\.running) == [0, 1])
    }

    @Test func repetitionsStayATenthOfTheRequests() {
        var stand = Stand { $0.breakerThreshold = 1_000_000 }
        var repetitions = 0
        for _ in 0..<1000 {
            let (ticket, _) = stand.arrive()
            let actions = stand.rules.fail(ticket, refused, at: stand.moment)
            if actions == [.giveUp(ticket)] {
                _ = stand.finish(ticket, .nothing)
            } else {
                repetitions += 1
                _ = stand.finish(ticket, .failure)
            }
        }
        #expect(repetitions <= 103)
        #expect(repetitions >= 100)
    }

    @Test func aTimeoutIsNeverRepeated() {
        var stand = Stand(slots: [1, 1])
        let (ticket, _) = stand.arrive()
        #expect(stand.rules.fail(ticket, Judgement(.fuse(.firstToken)), at: stand.moment) == [.giveUp(ticket)])
    }

    @Test func nothingIsRepeatedOnABackendWhoseBreakerOpened() {
        var stand = Stand { $0.breakerThreshold = 1 }
        let (ticket, _) = stand.arrive()
        #expect(stand.rules.fail(ticket, refused, at: stand.moment) == [.giveUp(ticket)])
    }

    /// The table of docs/gateway.md, row by row.
    @Test(arguments: [
        (AttemptEnd.connectFailed, Evidence.failure, Judgement.Retry.limited),
        (.brokenBeforeAnswer, .failure, .limited),
        (.keptConnectionClosed, .nothing, .free),
        (.fuse(.connect), .failure, .limited),
        (.fuse(.firstToken), .timeout, .never),
        (.fuse(.gap), .timeout, .never),
        (.fuse(.answer), .timeout, .never),
        (.fuse(.total), .nothing, .never),
        (.status(500, isLoading: false), .failure, .limited),
        (.status(502, isLoading: false), .failure, .limited),
        (.status(504, isLoading: false), .failure, .limited),
        (.status(503, isLoading: true), .nothing, .wait),
        (.status(503, isLoading: false), .nothing, .wait),
        (.status(429, isLoading: false), .nothing, .wait),
        (.status(529, isLoading: false), .nothing, .wait),
        (.status(400, isLoading: false), .nothing, .never),
        (.status(401, isLoading: false), .nothing, .never),
        (.status(404, isLoading: false), .nothing, .never),
        (.status(422, isLoading: false), .nothing, .never),
        (.brokenAnswer(wasClosed: true), .failure, .never),
        (.brokenAnswer(wasClosed: false), .failure, .never),
        (.clientLeft, .nothing, .never),
    ])
    func whatCounts(_ end: AttemptEnd, _ evidence: Evidence, _ retry: Judgement.Retry) {
        let judgement = Judgement(end)
        #expect(judgement.evidence == evidence)
        #expect(judgement.retry == retry)
    }
}

/// Backends whose processes are looked after.
struct GatewayProcessTests {
    private func stand(slots: Int = 1, depth: Int = 8) -> Stand {
        Stand(slots: [slots], depth: depth) { plan in
            plan.backends[0].process = ProcessPlan(command: ["x", "{port}"])
            plan.breakerThreshold = 1
        }
    }

    private let lost = Judgement(.brokenBeforeAnswer, isSupervised: true)

    @Test func whoComesBeforeItIsReadyWaitsAndGoesThenInOrder() {
        var stand = stand()
        let tickets = (0..<3).map { _ in stand.arrive() }
        #expect(tickets.allSatisfy { $0.actions.isEmpty })
        let actions = stand.rules.set(.up, of: 0, at: stand.moment)
        #expect(started(actions) == [tickets[0].ticket])
    }

    @Test func whoWaitsForOneThatIsNotThereInTimeHearsThatItIsLoaded() {
        var stand = stand()
        let (ticket, _) = stand.arrive()
        stand.now = 31 * second
        #expect(stand.rules.wake(at: stand.moment) == [.refuse(ticket, .modelLoading)])
    }

    @Test func aCallThatItsEndCutOffGoesAgainFirstOfAllOnItsSuccessorAndCountsForNothing() {
        var stand = stand()
        _ = stand.rules.set(.up, of: 0, at: stand.moment)
        let (first, _) = stand.arrive()
        _ = stand.arrive()
        stand.now = 25 * second
        #expect(stand.rules.fail(first, lost, at: stand.moment) == [])
        _ = stand.rules.set(.down, of: 0, at: stand.moment)
        // Its wait is a new one.
        stand.now = 50 * second
        #expect(!refusals(stand.rules.wake(at: stand.moment)).isEmpty)
        let actions = stand.rules.set(.up, of: 0, at: stand.moment)
        #expect(started(actions) == [first])
        #expect(stand.rules.view(at: stand.now).backends[0].opens == 0)
    }

    @Test func aCallThatIsThereAtTheEndOfFourProcessesIsGivenUp() {
        var stand = stand()
        _ = stand.rules.set(.up, of: 0, at: stand.moment)
        let (ticket, _) = stand.arrive()
        for _ in 0..<3 {
            #expect(stand.rules.fail(ticket, lost, at: stand.moment) == [])
            _ = stand.rules.set(.down, of: 0, at: stand.moment)
            #expect(started(stand.rules.set(.up, of: 0, at: stand.moment)) == [ticket])
        }
        #expect(stand.rules.fail(ticket, lost, at: stand.moment) == [.giveUp(ticket)])
    }

    @Test func lostConnectionsOfOneThatLivesAreFailures() {
        var stand = stand()
        _ = stand.rules.set(.up, of: 0, at: stand.moment)
        let (ticket, _) = stand.arrive()
        _ = stand.rules.fail(ticket, lost, at: stand.moment)
        #expect(stand.rules.view(at: 0).backends[0].isDoubted)
        // Nothing goes before somebody looked.
        #expect(stand.arrive().actions.isEmpty)
        let actions = stand.rules.vouch(for: 0, at: stand.moment)
        #expect(refusals(actions) == ["fusebox_breaker_open", "fusebox_breaker_open"])
    }

    @Test func aNewProcessHasANewBreaker() {
        var stand = stand()
        _ = stand.rules.set(.up, of: 0, at: stand.moment)
        let (ticket, _) = stand.arrive()
        _ = stand.finish(ticket, .timeout)
        #expect(stand.rules.breakerState(0) == .open)
        _ = stand.rules.set(.down, of: 0, at: stand.moment)
        let (waiting, actions) = stand.arrive()
        #expect(refusals(actions) == ["fusebox_breaker_open"])
        _ = waiting
        _ = stand.rules.set(.up, of: 0, at: stand.moment)
        #expect(stand.rules.breakerState(0) == .closed)
        #expect(started(stand.arrive().actions).count == 1)
    }

    @Test func whereNothingWillServeSoonThoseWhoWaitAreToldSo() {
        var stand = stand()
        _ = stand.arrive()
        let actions = stand.rules.set(.hopeless("it exited with 1"), of: 0, at: stand.moment)
        #expect(refusals(actions) == ["fusebox_backend_failed"])
        #expect(refusals(stand.arrive().actions) == ["fusebox_backend_failed"])
    }

    @Test func whatAServerSaysOfItsSlotsIsHowManyGo() {
        var stand = stand()
        _ = stand.rules.set(.up, of: 0, at: stand.moment)
        let tickets = (0..<3).map { _ in stand.arrive().ticket }
        #expect(started(stand.rules.set(slots: 2, of: 0, at: stand.moment)) == [tickets[1]])
    }

    /// What may be the end of a process is nothing before somebody looked; the rest counts as everywhere.
    @Test(arguments: [
        (AttemptEnd.connectFailed, Evidence.doubt, Judgement.Retry.lost),
        (.brokenBeforeAnswer, .doubt, .lost),
        (.fuse(.connect), .doubt, .lost),
        (.brokenAnswer(wasClosed: true), .doubt, .never),
        (.brokenAnswer(wasClosed: false), .failure, .never),
        (.fuse(.firstToken), .timeout, .never),
        (.status(500, isLoading: false), .failure, .limited),
    ])
    func whatCountsOfAProcess(_ end: AttemptEnd, _ evidence: Evidence, _ retry: Judgement.Retry) {
        let judgement = Judgement(end, isSupervised: true)
        #expect(judgement.evidence == evidence)
        #expect(judgement.retry == retry)
    }
}

struct CommandTests {
    @Test func thePortStandsWhereItsMarkStood() {
        let plan = ProcessPlan(command: ["x", "--port", "{port}", "--url=http://h:{port}/{port}", "{ports}"])
        #expect(plan.command(port: 81) == ["x", "--port", "81", "--url=http://h:81/81", "{ports}"])
    }
}
