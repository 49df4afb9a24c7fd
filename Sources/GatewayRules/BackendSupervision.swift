import TelemetryModel

/// The life of a process that serves a model, as one value: what is seen goes in, what is to be done comes out. It reads no clock and
/// starts nothing.
///
/// Health is progress: tokens of its calls, its slots' figures, its answers. A server that answers its health path and gives no token is
/// as dead as one that answers nothing.
package struct BackendSupervision: Sendable {
    package enum State: String, CaseIterable, Sendable {
        case stopped
        /// For its next start.
        case waiting
        case starting
        case loading
        case ready
        /// It may be hung: a question decides.
        case suspect
        case stopping
    }

    private static let second: Int64 = 1_000_000_000
    /// Between questions: while it starts, when it is idle, and when it works or failed to answer.
    private static let startPause: Int64 = 250_000_000
    private static let lookPause: Int64 = 200_000_000
    private static let idlePause: Int64 = 5 * second
    /// llama.cpp that is asked more often does not notice that a client left.
    private static let busyPause: Int64 = 2 * second
    private static let unansweredMax = 3
    private static let memoryPause: Int64 = 5 * second
    private static let backoffMax: Int64 = 60 * second
    /// Starts in a row that came to nothing, from which on those who wait are told so.
    private static let failuresMax = 5
    /// A process that was ready for so long did its work, whether anybody called or not.
    private static let provenAfter: Int64 = 60 * second
    /// The end of a process is seen a moment after that of its connections.
    private static let doubtMax: Int64 = 200_000_000

    package private(set) var state: State
    package private(set) var since: Int64
    /// Starts in a row that came to nothing.
    package private(set) var failures = 0
    /// When it last gave a sign of life.
    package private(set) var lastSign: Int64?
    package private(set) var lastReason: EndReason?

    private let plan: ProcessPlan
    private let showsSlots: Bool
    private var dueAt: Int64
    private var progressAt: Int64
    private var startProgress: UInt64 = 0
    private var callProgress: UInt64 = 0
    private var slotMark: UInt64?
    /// Slots work, for whomever; as they last said.
    private var slotsAreBusy = false
    private var opens: Int64 = 0
    private var hasServed = false
    private var hasToldMemory = false
    /// What was asked and is not answered yet.
    private var asked: SupervisionAction.Question?
    private var askAt: Int64
    private var unanswered = 0
    /// Time with calls and without a sign of work.
    private var idleWork: Int64 = 0
    private var lastLook: Int64
    private var doubtSince: Int64?
    private var killAt: Int64?
    private var staysStopped = false

    /// - Parameters:
    ///   - showsSlots: whether its server tells what its slots do.
    ///   - isAdopted: whether its process runs already, from before.
    package init(_ plan: ProcessPlan, showsSlots: Bool, isAdopted: Bool, at now: Int64) {
        self.plan = plan
        self.showsSlots = showsSlots
        state = isAdopted ? .starting : .waiting
        since = now
        dueAt = now
        progressAt = now
        askAt = now
        lastLook = now
    }

    /// Whether it failed so often that nobody should wait for it.
    package var isHopeless: Bool { failures >= Self.failuresMax }

    /// Takes in what is seen, and says what is to be done.
    package mutating func look(_ sight: Sight, at now: GatewayMoment) -> [SupervisionAction] {
        defer { lastLook = now.nanoseconds }
        var actions: [SupervisionAction] = []
        let question = asked
        if sight.answer != nil { asked = nil }
        if let wish = sight.wish { take(wish, sight, now.nanoseconds, &actions) }
        switch state {
        case .stopped: break
        case .waiting: lookWaiting(sight, now.nanoseconds, &actions)
        case .starting, .loading: lookStarting(sight, now, &actions)
        case .ready, .suspect: lookServing(sight, question, now, &actions)
        case .stopping: lookStopping(sight, now, &actions)
        }
        return actions
    }

    private mutating func enter(_ next: State, _ now: Int64) {
        state = next
        since = now
    }

    private mutating func take(_ wish: Sight.Wish, _ sight: Sight, _ now: Int64, _ actions: inout [SupervisionAction]) {
        if wish != .stop { failures = 0 }
        staysStopped = wish == .stop
        switch state {
        case .stopped, .waiting:
            if wish == .stop {
                enter(.stopped, now)
                actions += [.hold(isHopeless: true), .tell(.stopped)]
            } else {
                enter(.waiting, now)
                dueAt = now
                actions.append(.hold(isHopeless: false))
            }
        case .starting, .loading, .ready, .suspect: if wish != .start { end(.asked, now, &actions) }
        case .stopping: break
        }
    }

    // MARK: To its start

    private mutating func lookWaiting(_ sight: Sight, _ now: Int64, _ actions: inout [SupervisionAction]) {
        guard now >= dueAt else { return }
        guard sight.hasMemory else {
            dueAt = now.addingSaturated(Self.memoryPause)
            if !hasToldMemory { actions += [.hold(isHopeless: true), .tell(.noMemory)] }
            hasToldMemory = true
            return
        }
        if hasToldMemory { actions.append(.hold(isHopeless: isHopeless)) }
        hasToldMemory = false
        hasServed = false
        unanswered = 0
        asked = nil
        slotMark = nil
        slotsAreBusy = false
        progressAt = now
        askAt = now
        enter(.starting, now)
        actions += [.start, .tell(.starting)]
    }

    private mutating func lookStarting(_ sight: Sight, _ now: GatewayMoment, _ actions: inout [SupervisionAction]) {
        if let words = Self.end(sight) { return ended(.exited, words, now, &actions) }
        let time = now.nanoseconds
        if sight.port == .stranger { return end(.portConflict, time, &actions) }
        if sight.startProgress != startProgress {
            startProgress = sight.startProgress
            progressAt = time
        }
        if sight.answer == .loading && state == .starting {
            enter(.loading, time)
            progressAt = time
        }
        // A server that answers may be a stranger's until the port is seen to be the child's.
        if sight.answer == .ready && sight.port == .child {
            enter(.ready, time)
            lastSign = time
            idleWork = 0
            opens = sight.breakerOpens
            callProgress = sight.callProgress
            askAt = time.addingSaturated(Self.idlePause)
            actions += [.admit, .tell(.ready)]
            return
        }
        if time.subtractingSaturated(progressAt) > plan.startTimeoutNanoseconds { return end(.startTimeout, time, &actions) }
        ask(.health, Self.startPause, time, &actions)
    }

    // MARK: At work

    private mutating func lookServing(
        _ sight: Sight, _ question: SupervisionAction.Question?, _ now: GatewayMoment, _ actions: inout [SupervisionAction]
    ) {
        if let words = Self.end(sight) { return ended(.exited, words, now, &actions) }
        let time = now.nanoseconds
        if sight.isDoubted {
            doubtSince = doubtSince ?? time
            if time.subtractingSaturated(doubtSince ?? time) >= Self.doubtMax {
                doubtSince = nil
                actions.append(.vouch)
            }
        } else {
            doubtSince = nil
        }
        takeSigns(sight, question, time)
        if sight.calls > 0 || slotsAreBusy { idleWork = idleWork.addingSaturated(time.subtractingSaturated(lastLook)) }
        if slotMark != nil && idleWork > plan.stallNanoseconds { return end(.stalled, time, &actions) }
        if unanswered >= Self.unansweredMax { return end(.unresponsive, time, &actions) }
        if state == .suspect { return lookSuspect(sight, question, time, &actions) }
        if sight.breakerOpens != opens {
            opens = sight.breakerOpens
            enter(.suspect, time)
            askAt = time
            actions.append(.tell(.suspect("its breaker opened")))
            return lookSuspect(sight, nil, time, &actions)
        }
        let isQuiet = time.subtractingSaturated(lastSign ?? 0) >= (sight.calls > 0 ? Self.busyPause : Self.idlePause)
        guard isQuiet || unanswered > 0 else { return }
        let isWorking = showsSlots && sight.calls > 0 && unanswered == 0
        ask(isWorking ? .slots : .health, isWorking || unanswered > 0 ? Self.busyPause : Self.idlePause, time, &actions)
    }

    /// What shows that it lives, or works.
    private mutating func takeSigns(_ sight: Sight, _ question: SupervisionAction.Question?, _ now: Int64) {
        if sight.callProgress != callProgress {
            callProgress = sight.callProgress
            hasServed = true
            works(now)
        }
        switch sight.answer {
        // No token within its time says no more than that it may be hung.
        case .nothing: if question != .completion { unanswered += 1 }
        case .ready where question == .completion: works(now)
        case .ready, .loading:
            unanswered = 0
            lastSign = now
            // It tells of no slots, so theirs say nothing of its work.
            if question == .slots { slotMark = nil }
        case .slots(let isBusy, let mark):
            slotsAreBusy = isBusy
            unanswered = 0
            lastSign = now
            if slotMark != nil && slotMark != mark { works(now) }
            slotMark = mark
        case nil: break
        }
    }

    private mutating func works(_ now: Int64) {
        lastSign = now
        idleWork = 0
        unanswered = 0
        if state == .suspect { leaveSuspicion(now) }
    }

    private mutating func leaveSuspicion(_ now: Int64) {
        enter(.ready, now)
        askAt = now.addingSaturated(Self.idlePause)
    }

    private mutating func lookSuspect(
        _ sight: Sight, _ question: SupervisionAction.Question?, _ now: Int64, _ actions: inout [SupervisionAction]
    ) {
        switch sight.answer {
        case .nothing where question == .completion: end(.hung, now, &actions)
        // Nothing is at work, and yet no token came: it is asked for one.
        case .slots(isBusy: false, _): ask(.completion, Self.busyPause, now, isDue: true, &actions)
        case .ready where question == .slots: ask(.completion, Self.busyPause, now, isDue: true, &actions)
        default: ask(showsSlots ? .slots : .completion, Self.busyPause, now, &actions)
        }
    }

    private mutating func ask(
        _ question: SupervisionAction.Question, _ pause: Int64, _ now: Int64, isDue: Bool = false,
        _ actions: inout [SupervisionAction]
    ) {
        guard asked == nil, isDue || now >= askAt else { return }
        asked = question
        askAt = now.addingSaturated(pause)
        actions.append(.ask(question))
    }

    // MARK: To its end

    private static func end(_ sight: Sight) -> String? {
        switch sight.process {
        case .running: nil
        case .none: "it is gone"
        case .ended(let words): words
        }
    }

    private mutating func end(_ reason: EndReason, _ now: Int64, _ actions: inout [SupervisionAction]) {
        lastReason = reason
        killAt = now.addingSaturated(plan.stopTimeoutNanoseconds)
        enter(.stopping, now)
        actions += [.hold(isHopeless: staysStopped), .terminate, .tell(.ending(reason))]
    }

    private mutating func lookStopping(_ sight: Sight, _ now: GatewayMoment, _ actions: inout [SupervisionAction]) {
        if let words = Self.end(sight) { return ended(lastReason ?? .asked, words, now, &actions) }
        if let due = killAt, now.nanoseconds >= due {
            killAt = now.nanoseconds.addingSaturated(plan.stopTimeoutNanoseconds)
            actions.append(.kill)
        }
    }

    private mutating func ended(
        _ reason: EndReason, _ words: String, _ now: GatewayMoment, _ actions: inout [SupervisionAction]
    ) {
        let wasProven = state == .ready && now.nanoseconds.subtractingSaturated(since) >= Self.provenAfter
        lastReason = reason
        // What it started may live on without it.
        actions += [.kill, .tell(.ended(reason, words))]
        asked = nil
        doubtSince = nil
        idleWork = 0
        if staysStopped {
            enter(.stopped, now.nanoseconds)
            actions += [.hold(isHopeless: true), .tell(.stopped)]
            return
        }
        failures = hasServed || wasProven || reason == .asked ? 0 : failures + 1
        let delay = Self.backoff(failures, now.chance)
        dueAt = now.nanoseconds.addingSaturated(delay)
        enter(.waiting, now.nanoseconds)
        actions.append(.hold(isHopeless: isHopeless))
        if failures > 0 { actions.append(.tell(.retries(afterNanoseconds: delay, failures: failures))) }
    }

    /// At once after one that had worked; else 1 s, doubled with each failure up to a minute, of which up to half is left off by chance.
    static func backoff(_ failures: Int, _ chance: Double) -> Int64 {
        guard failures > 0 else { return 0 }
        let whole = min(second << min(failures - 1, 10), backoffMax)
        return Int64(Double(whole) * (0.5 + chance / 2))
    }

    /// When, behind `now`, the next look has something to do at the latest.
    package func nextLook(after now: Int64) -> Int64 {
        switch state {
        case .stopped: now.addingSaturated(Self.second)
        case .waiting: max(now, min(dueAt, now.addingSaturated(Self.second)))
        case .ready: now.addingSaturated(Self.lookPause)
        case .starting, .loading, .suspect, .stopping: now.addingSaturated(Self.lookPause / 4)
        }
    }
}
