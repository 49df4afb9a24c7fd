import GatewayRules
import Testing

struct BackendSupervisionTests {
    @Test func aFreshProcessTakesCallsOnceItAnswersAtAPortThatIsItsOwn() {
        var stand = Stand()
        #expect(stand.look() == [.start, .tell(.starting)])
        stand.sight.process = .running
        #expect(stand.look() == [.ask(.health)])
        stand.answer(.ready)
        #expect(stand.look(after: 0.01) == [])
        #expect(stand.rules.state == .starting)
        stand.sight.port = .child
        _ = stand.look(after: 1)
        stand.answer(.ready)
        #expect(stand.look() == [.admit, .tell(.ready)])
    }

    @Test func aStrangerAtThePortIsAConflict() {
        var stand = Stand()
        _ = stand.look()
        stand.sight.process = .running
        stand.sight.port = .stranger
        #expect(stand.look() == [.hold(isHopeless: false), .terminate, .tell(.ending(.portConflict))])
    }

    @Test func aStartIsGivenUpByTheTimeSinceItsLastProgress() {
        var stand = Stand()
        _ = stand.look()
        stand.sight.process = .running
        for step in 0..<100 {
            stand.sight.startProgress = UInt64(step)
            #expect(!stand.look(after: 9).contains(.terminate))
        }
        #expect(stand.look(after: 11).contains(.terminate))
    }

    @Test func aSuccessorWaitsForTheEndOfItsPredecessorHoweverLongItTakes() {
        var stand = Stand.ready()
        stand.sight.wish = .restart
        #expect(stand.look().contains(.terminate))
        var kills = 0
        for _ in 0..<50 {
            let actions = stand.look(after: 1)
            kills += actions.count { $0 == .kill }
            #expect(!actions.contains(.start))
        }
        #expect(kills >= 2)
        stand.sight.process = .ended("signal 9 ended it")
        #expect(stand.look().contains(.tell(.ended(.asked, "signal 9 ended it"))))
        stand.sight.process = .none
        #expect(stand.look() == [.start, .tell(.starting)])
    }

    @Test func oneThatServedIsReplacedAtOnceAndOneThatCameToNothingAfterPausesThatGrow() {
        var stand = Stand.ready()
        stand.sight.callProgress = 1
        _ = stand.look()
        var pauses: [Int64] = []
        for _ in 0..<9 {
            stand.sight.process = .ended("x")
            let ended = stand.now
            _ = stand.look(after: 0)
            stand.sight.process = .none
            while !stand.look(after: 0.05).contains(.start) {}
            pauses.append((stand.now - ended) / 100_000_000)
            stand.sight.process = .running
        }
        // With a chance of one half, three quarters of 1, 2, 4 … 60 seconds.
        #expect(pauses[0] == 0)
        #expect(zip(pauses.dropFirst(), [7, 15, 30, 60, 120, 240, 450, 450]).allSatisfy { abs($0 - $1) <= 1 })
        #expect(stand.rules.isHopeless)
    }

    @Test func healthThatAnswersIsNoProofThatCallsGetOn() {
        var stand = Stand.ready()
        stand.sight.calls = 1
        for _ in 0..<25 {
            stand.sight.answer = .slots(isBusy: true, mark: 7)
            #expect(!stand.look(after: 1).contains(.terminate))
        }
        var actions: [SupervisionAction] = []
        for _ in 0..<10 {
            stand.sight.answer = .slots(isBusy: true, mark: 7)
            actions += stand.look(after: 1)
        }
        #expect(actions.contains(.tell(.ending(.stalled))))
    }

    @Test func slotsThatMoveAreProgressHoweverLongThePromptIs() {
        var stand = Stand.ready()
        stand.sight.calls = 1
        for step in 0..<500 {
            stand.sight.answer = .slots(isBusy: true, mark: UInt64(step))
            #expect(!stand.look(after: 2.5).contains(.terminate))
        }
    }

    @Test func aServerAtWorkIsAskedSeldomAndOneThatShowsTokensNotAtAll() {
        var stand = Stand.ready()
        stand.sight.calls = 1
        var asked = 0
        for step in 1...1000 {
            stand.sight.callProgress = UInt64(step)
            asked += stand.look(after: 0.2).count { if case .ask = $0 { true } else { false } }
        }
        #expect(asked == 0)
        var last: Int64?
        for step in 0..<200 {
            for action in stand.look(after: 0.1) {
                guard case .ask(let question) = action else { continue }
                #expect(question == .slots)
                if let last { #expect(stand.now - last >= 2_000_000_000) }
                last = stand.now
                stand.sight.answer = .slots(isBusy: true, mark: UInt64(step))
            }
        }
        #expect(last != nil)
    }

    @Test func threeQuestionsWithoutAnAnswerEndItAndAnyTokenBetweenThemSavesIt() {
        var stand = Stand.ready()
        for step in 0..<40 {
            stand.sight.answer = .nothing
            stand.sight.callProgress = UInt64(step / 2)
            #expect(!stand.look(after: 3).contains(.terminate))
        }
        var count = 0
        repeat {
            stand.sight.answer = .nothing
            count += 1
        } while !stand.look(after: 3).contains(.terminate)
        #expect(count <= 3)
    }

    @Test func aBreakerThatOpenedHasItAskedForATokenAndItsSilenceEndsIt() {
        var stand = Stand.ready(showsSlots: false)
        stand.sight.breakerOpens = 1
        #expect(stand.look(after: 6).contains(.ask(.completion)))
        #expect(stand.rules.state == .suspect)
        var silent = stand
        silent.sight.answer = .nothing
        #expect(silent.look().contains(.tell(.ending(.hung))))
        stand.sight.answer = .ready
        #expect(!stand.look().contains(.terminate))
        #expect(stand.rules.state == .ready)
    }

    @Test func aLostConnectionToOneThatLivesIsSaidToBeAFailureAfterAMoment() {
        var stand = Stand.ready()
        stand.sight.isDoubted = true
        #expect(!stand.look(after: 0.05).contains(.vouch))
        #expect(stand.look(after: 0.3).contains(.vouch))
    }

    @Test func oneThatWasAskedToStopStaysStoppedUntilItIsAskedToStart() {
        var stand = Stand.ready()
        stand.sight.wish = .stop
        _ = stand.look()
        stand.sight.process = .ended("it exited with 0")
        #expect(stand.look().contains(.tell(.stopped)))
        stand.sight.process = .none
        for _ in 0..<100 { #expect(stand.look(after: 10) == []) }
        stand.sight.wish = .start
        #expect(stand.look().contains(.start))
    }

    @Test func withoutMemoryNothingStartsAndItIsSaidOnce() {
        var stand = Stand()
        stand.sight.hasMemory = false
        #expect(stand.look() == [.hold(isHopeless: true), .tell(.noMemory)])
        for _ in 0..<10 { #expect(stand.look(after: 4) == []) }
        stand.sight.hasMemory = true
        #expect(stand.look(after: 6) == [.hold(isHopeless: false), .start, .tell(.starting)])
    }

    /// A world of processes that load, work, hang, die and refuse to die, by chance.
    @Test(arguments: 0..<100)
    func whateverAProcessDoesThereIsNeverASecondOneAndInTheEndOneServes(_ seed: Int) {
        var world = World(seed: UInt64(seed))
        for _ in 0..<1500 { world.step(isCalm: false) }
        for _ in 0..<1500 { world.step(isCalm: true) }
        #expect(world.breaches == [])
        #expect(world.rules.state == .ready)
    }
}

private struct Stand {
    var rules: BackendSupervision
    var sight = Sight()
    var now: Int64 = 0

    init(showsSlots: Bool = true) {
        var plan = ProcessPlan(command: ["x", "{port}"])
        plan.startTimeoutNanoseconds = 10_000_000_000
        plan.stopTimeoutNanoseconds = 10_000_000_000
        rules = BackendSupervision(plan, showsSlots: showsSlots, isAdopted: false, at: 0)
    }

    static func ready(showsSlots: Bool = true) -> Stand {
        var stand = Stand(showsSlots: showsSlots)
        _ = stand.look()
        stand.sight.process = .running
        _ = stand.look()
        stand.sight.port = .child
        stand.sight.answer = .ready
        _ = stand.look()
        return stand
    }

    mutating func answer(_ answer: Sight.Answer) { sight.answer = answer }

    /// Looks after so many seconds; what was answered and wished is said once.
    mutating func look(after seconds: Double = 0.01) -> [SupervisionAction] {
        now += Int64(seconds * 1e9)
        defer {
            sight.answer = nil
            sight.wish = nil
        }
        return rules.look(sight, at: GatewayMoment(nanoseconds: now, chance: 0.5))
    }
}

private struct World {
    private enum Life {
        case loading(until: Int64)
        case working
        /// Answers health, and no call.
        case hung
        /// Answers nothing.
        case stopped
    }

    private struct Process {
        var life: Life
        var isDeaf: Bool
        var port: Sight.PortOwner
    }

    private(set) var rules: BackendSupervision
    private(set) var breaches: [String] = []
    private var luck: Luck
    private var now: Int64 = 0
    private var process: Process?
    private var endedWords: String?
    private var asked: SupervisionAction.Question?
    private var progress: UInt64 = 0
    private var mark: UInt64 = 0
    private var growth: UInt64 = 0
    private var opens: Int64 = 0
    private var terminatedAt: Int64?
    private var lastProgress: Int64 = 0
    private var isCalm = false

    init(seed: UInt64) {
        luck = Luck(seed)
        var plan = ProcessPlan(command: ["x", "{port}"])
        plan.startTimeoutNanoseconds = 20_000_000_000
        plan.stopTimeoutNanoseconds = 2_000_000_000
        rules = BackendSupervision(plan, showsSlots: Bool.random(using: &luck), isAdopted: false, at: 0)
    }

    mutating func step(isCalm: Bool) {
        self.isCalm = isCalm
        now += Int64.random(in: 10_000_000...500_000_000, using: &luck)
        if !isCalm { mischief() }
        if case .loading(let until)? = process?.life {
            growth += 1
            if now >= until { process?.life = .working }
        }
        var sight = Sight()
        sight.process = process != nil ? .running : endedWords.map { .ended($0) } ?? .none
        sight.port = process?.port ?? .nobody
        sight.startProgress = growth
        if case .working? = process?.life, rules.state == .ready || rules.state == .suspect {
            sight.calls = 1
            progress += 1
            mark += 1
            lastProgress = now
        } else if process != nil, rules.state == .ready {
            sight.calls = 1
            if Int.random(in: 0..<100, using: &luck) == 0 { opens += 1 }
        }
        sight.callProgress = progress
        sight.breakerOpens = opens
        sight.hasMemory = isCalm || Int.random(in: 0..<4, using: &luck) > 0
        sight.answer = asked.flatMap { answer($0) }
        if sight.answer != nil { asked = nil }
        if !isCalm, Int.random(in: 0..<500, using: &luck) == 0 { sight.wish = [.start, .restart].randomElement(using: &luck) }
        let before = rules.state
        let isWished = sight.wish != nil
        for action in rules.look(sight, at: GatewayMoment(nanoseconds: now, chance: .random(in: 0..<1, using: &luck))) {
            perform(action, before, isWished)
        }
        if process == nil && before != .starting { endedWords = nil }
    }

    private mutating func mischief() {
        guard process != nil, Int.random(in: 0..<60, using: &luck) == 0 else { return }
        switch Int.random(in: 0..<4, using: &luck) {
        case 0: die("signal 9 ended it")
        case 1: process?.life = .hung
        case 2: process?.life = .stopped
        default: process?.isDeaf = true
        }
    }

    private mutating func die(_ words: String) {
        process = nil
        endedWords = words
    }

    private mutating func answer(_ question: SupervisionAction.Question) -> Sight.Answer? {
        guard let process else { return .nothing }
        switch process.life {
        case .loading: return .loading
        case .stopped: return .nothing
        case .working, .hung:
            let works = if case .working = process.life { true } else { false }
            switch question {
            case .health: return .ready
            case .slots: return .slots(isBusy: true, mark: mark)
            case .completion: return works ? .ready : .nothing
            }
        }
    }

    private mutating func perform(_ action: SupervisionAction, _ before: BackendSupervision.State, _ isWished: Bool) {
        switch action {
        case .start:
            if process != nil { breaches.append("a second process was started") }
            let loading = Int64.random(in: 0...60_000_000_000, using: &luck)
            let isTaken = !isCalm && Int.random(in: 0..<10, using: &luck) == 0
            process = Process(life: .loading(until: now + loading), isDeaf: false, port: isTaken ? .stranger : .child)
            endedWords = nil
            terminatedAt = nil
            asked = nil
        case .terminate:
            if case .working? = process?.life, before == .ready, !isWished {
                breaches.append("a process that works was ended")
            }
            if case .loading? = process?.life, !isWished, process?.port == .child {
                breaches.append("a load with progress was ended")
            }
            terminatedAt = now
            if let process, !process.isDeaf, case .working = process.life { die("it exited with 0") }
        case .kill:
            guard process != nil else { return }
            if let terminatedAt, now - terminatedAt >= 2_000_000_000 {
                die("signal 9 ended it")
            } else {
                breaches.append("a process was killed that had no time to end")
            }
        case .ask(let question): asked = question
        case .admit: if process == nil { breaches.append("nobody was admitted") }
        case .hold, .vouch, .tell: break
        }
    }
}
