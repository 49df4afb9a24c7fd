import GatewayRules
import NIOCore
import PrometheusText
import Synchronization
import TelemetryModel

/// Looks after the process of one backend for as long as the gateway runs: does what `BackendSupervision` says.
actor BackendSupervisor {
    /// When this program stops and takes the process along, the process has this long.
    private static let farewell: Int64 = 1_500_000_000
    /// Memory is looked at so often: while a process starts, and while it works.
    private static let startMeasuringPause: Int64 = 1_000_000_000
    private static let measuringPause: Int64 = 10_000_000_000

    nonisolated let backend: Int
    nonisolated let name: String
    nonisolated let plan: ProcessPlan
    private nonisolated let shown = Mutex(BackendCondition())
    private nonisolated let wish = Mutex<Sight.Wish?>(nil)
    private nonisolated let answers: AnswerBox
    private nonisolated let ending = Mutex<Ending?>(nil)

    private enum Ending { case leaves, takesAlong }

    private let shared: GatewayShared
    private let folder: ProcessFolder
    private let log: ProcessLog
    private let memory: MemoryGate
    private var rules: BackendSupervision
    private var process: ChildProcess?
    private var output: OutputFile?
    private var startFailure: String?
    private var measuredAt = Int64.min
    private var growth: UInt64 = 0
    private var starts = 0

    /// - Parameter adopted: a process of an earlier run of this program.
    init(
        _ shared: GatewayShared, backend: Int, plan: ProcessPlan, folder: ProcessFolder, log: ProcessLog, memory: MemoryGate,
        adopted: ProcessRecord?
    ) {
        self.shared = shared
        self.backend = backend
        self.plan = plan
        self.folder = folder
        self.log = log
        self.memory = memory
        let backendPlan = shared.settings.plan.backends[backend]
        name = backendPlan.name
        answers = AnswerBox()
        process = adopted?.process
        if let adopted { shared.board.move(backend, to: adopted.port) }
        rules = BackendSupervision(
            plan, showsSlots: backendPlan.kind == .llamaCpp, isAdopted: process != nil, at: GatewaySources.uptimeNanoseconds())
    }

    nonisolated var condition: BackendCondition { shown.withLock { $0 } }

    nonisolated func ask(for wish: Sight.Wish) { self.wish.withLock { $0 = wish } }

    /// This program stops: `run` ends, and the process with it or not.
    nonisolated func finish(takesProcess: Bool) { ending.withLock { $0 = takesProcess ? .takesAlong : .leaves } }

    /// Looks after the process until `finish`.
    func run() async {
        output = OutputFile(path: folder.outputPath(name))
        if let process {
            starts = 1
            log.tell(.adopted, backend: name, pid: Int64(process.pid))
        }
        while true {
            // Something else failed before this program could run: its next run would not expect a process.
            if Task.isCancelled {
                process?.signal(Signals.terminate)
                break
            }
            if let ending = ending.withLock({ $0 }) {
                if ending == .takesAlong { await takeAlong() }
                break
            }
            let moment = shared.sources.moment()
            for action in rules.look(sight(moment.nanoseconds), at: moment) { perform(action, at: moment) }
            show()
            let pause = rules.nextLook(after: moment.nanoseconds).subtractingSaturated(GatewaySources.uptimeNanoseconds())
            try? await Task.sleep(for: .nanoseconds(max(pause, 10_000_000)))
        }
        output?.close()
    }

    // MARK: Seeing

    private func sight(_ now: Int64) -> Sight {
        var sight = Sight()
        sight.wish = wish.withLock { wish in
            defer { wish = nil }
            return wish
        }
        sight.process = look()
        let pause = rules.state == .ready ? Self.measuringPause : Self.startMeasuringPause
        if let process, now.subtractingSaturated(measuredAt) >= pause { measure(process, now) }
        if output?.read() == true { growth &+= 1 }
        sight.startProgress = growth
        sight.answer = answers.take()
        if let process, sight.answer != nil, rules.state != .ready {
            sight.port = ProcessTable.owner(port: shared.board.port(backend), group: process.pid)
        }
        sight.callProgress = shared.board.progress(backend)
        let view = shared.desk.backend(backend)
        sight.calls = view.running
        sight.isDoubted = view.isDoubted
        sight.breakerOpens = view.opens
        if rules.state == .waiting { sight.hasMemory = memory.hasRoom(for: plan, but: backend) }
        return sight
    }

    private func look() -> Sight.Process {
        guard let process else {
            defer { startFailure = nil }
            return startFailure.map { .ended($0) } ?? .none
        }
        guard let words = process.end() else { return .running }
        _ = output?.read()
        return .ended(words)
    }

    private func measure(_ process: ChildProcess, _ now: Int64) {
        measuredAt = now
        let bytes = ProcessTable.residentBytes(group: process.pid)
        let last = shown.withLock { shown in
            defer { shown.residentBytes = bytes }
            return shown.residentBytes
        }
        // Loading a model shows in memory before it shows in words.
        if bytes > last + (1 << 20) { growth &+= 1 }
    }

    private func show() {
        shown.withLock { shown in
            shown.state = rules.state
            shown.since = rules.since
            shown.lastSign = rules.lastSign
            shown.lastReason = rules.lastReason
            shown.failures = rules.failures
            shown.isHopeless = rules.isHopeless
            shown.restarts = max(0, starts - 1)
            shown.pid = process.map { Int64($0.pid) }
            if process == nil { shown.residentBytes = 0 }
        }
    }

    // MARK: Doing

    private func perform(_ action: SupervisionAction, at now: GatewayMoment) {
        switch action {
        case .start: start()
        case .terminate: process?.signal(Signals.terminate)
        case .kill: process?.signal(Signals.kill)
        case .ask(let question): ask(question)
        case .admit:
            memory.settle(backend)
            shared.desk.set(.up, of: backend)
            SlotQuestion.ask(shared, backend)
        case .hold(let isHopeless):
            show()
            shared.desk.set(isHopeless ? .hopeless(condition.reason) : .down, of: backend)
        case .vouch: shared.desk.vouch(for: backend)
        case .tell(let event): tell(event)
        }
    }

    private func tell(_ event: SupervisionEvent) {
        let pid = process.map { Int64($0.pid) }
        log.tell(event, backend: name, pid: pid)
        switch event {
        case .ended(let reason, let words):
            log.keep(output: output?.kept ?? [], backend: name, pid: pid)
            shared.metrics.backendRestarts.increment(name, reason.rawValue)
            shown.withLock { $0.words = words }
            process = nil
            memory.settle(backend)
            folder.remove(name)
        case .noMemory: shown.withLock { $0.lacksMemory = true }
        default: break
        }
    }

    private func start() {
        shown.withLock { $0.lacksMemory = false }
        output?.forget()
        answers.empty()
        starts += 1
        guard let descriptor = output?.descriptor, let port = FreePort.find() else {
            startFailure = "no port, or no file in \(folder.path) for what it writes"
            return
        }
        shared.board.move(backend, to: port)
        memory.take(backend, plan)
        let command = plan.command(port: port)
        do throws(ChildProcess.Failure) {
            let child = try ChildProcess.start(command, output: descriptor)
            process = child
            let record = ProcessRecord(
                backend: name, pid: child.pid, startMark: child.startMark, port: port, command: plan.command)
            if !folder.write(record) { log.tell(.suspect("it could not be written down"), backend: name, pid: Int64(child.pid)) }
        } catch {
            if case .start(let words) = error { startFailure = words }
        }
    }

    private func ask(_ question: SupervisionAction.Question) {
        let number = answers.next()
        BackendHealth.ask(question, shared, backend) { [answers] answer in answers.put(answer, number) }
    }

    /// Ends the process as this program ends.
    private func takeAlong() async {
        guard let process else { return }
        process.signal(Signals.terminate)
        let limit = GatewaySources.uptimeNanoseconds().addingSaturated(Self.farewell)
        while process.end() == nil, GatewaySources.uptimeNanoseconds() < limit { try? await Task.sleep(for: .milliseconds(20)) }
        process.signal(Signals.kill)
        folder.remove(name)
    }
}

/// The answer to the last question that was asked; those to earlier ones are thrown away.
private final class AnswerBox: Sendable {
    private let state = Mutex((number: 0, answer: Sight.Answer?.none))

    func next() -> Int {
        state.withLock { state in
            state = (state.number &+ 1, nil)
            return state.number
        }
    }

    func empty() { _ = next() }

    func put(_ answer: Sight.Answer, _ number: Int) {
        state.withLock { if $0.number == number { $0.answer = answer } }
    }

    func take() -> Sight.Answer? {
        state.withLock { state in
            defer { state.answer = nil }
            return state.answer
        }
    }
}
