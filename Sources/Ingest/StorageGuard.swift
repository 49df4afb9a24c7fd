import PrometheusText
import SpanStore
import Synchronization
import Threads

/// Stands between the disk and those who send: says why nothing may be stored now, latches when the disk fails, and brings it back.
final class StorageGuard: Sendable {
    /// Between two looks at what nobody else would notice while no spans come.
    private static let lookPause = Duration.milliseconds(250)

    let account: IntakeAccount
    /// For how long one reader has kept the log from starting over, as the checkpoints saw it.
    let reader = ReaderNote()
    private let files: DataFileWatch
    private let recovery: StorageRecovery
    private let budget: StorageBudget
    private let queue: IngestQueue
    private let metrics: IngestMetrics
    private let report: @Sendable (String) -> Void
    private let thread = WorkerThread()

    /// - Parameter report: takes a line for the server's log.
    init(
        store: SpanStore, queue: IngestQueue, metrics: IngestMetrics, limits: IngestLimits,
        report: @escaping @Sendable (String) -> Void
    ) {
        account = metrics.registry.register(IntakeAccount())
        files = store.files
        recovery = StorageRecovery(folder: store.folder, gate: store.gate)
        budget = StorageBudget(store.folder, limits)
        self.queue = queue
        self.metrics = metrics
        self.report = report
    }

    /// Why nothing may be stored now; `nil` when it may. Two calls to the kernel.
    var refusal: IngestError? {
        let found = budget.refusal(readerSeconds: reader.seconds)
        return account.update { state in
            state.budget = found
            return state.closed
        }
    }

    /// Takes note of what became of a commit or a checkpoint: latches when the error makes the disk suspect, and starts to bring
    /// it back. From any thread of the store.
    func note(_ error: StoreError?) {
        if account.note(error) { startRecovery() }
        if case .dataFile? = error { look() }
    }

    /// Takes note of the targets of forwarding because of which retention could not make the room that it should.
    func note(held targets: [String]) {
        account.update { $0.hold = targets.isEmpty ? nil : .forwardHold(targets: targets) }
    }

    private func startRecovery() {
        metrics.storageSuspect.set(1)
        _ = queue.add { $0.isSuspended = true }
        recovery.start { [self] in
            _ = queue.add { [self] state in
                do throws(StoreError) {
                    try state.resume()
                    account.update { state in
                        state.suspicion = nil
                        state.commitFailure = nil
                    }
                    metrics.storageSuspect.set(0)
                } catch {
                    // What could be read a moment ago cannot be now: from the start again.
                    account.update { $0.suspicion = nil }
                    note(error)
                }
            }
        }
    }

    // MARK: Looking

    /// Looks now and then, on a thread of its own, until it is stopped, and tells the log.
    func start() {
        thread.start("fusebox.intake", .utility) { [self] in
            let began = ContinuousClock.now
            var log = IntakeLog()
            while !thread.isStopping {
                look()
                if let line = log.line(account.takeUntold(), now: ContinuousClock.now - began) { report(line) }
                thread.rest(Self.lookPause)
            }
        }
    }

    /// Compares the files with their names and what is left with what is kept.
    private func look() {
        let problem = files.look()
        let found = budget.refusal(readerSeconds: reader.seconds)
        let isOverloaded = queue.turnedAwayOfLate
        let (before, fails) = account.update { state in
            defer {
                state.dataFile = problem
                state.budget = found
                state.overload = isOverloaded ? .queueFull : nil
            }
            return (state.dataFile, state.commitFailure != nil)
        }
        if (before == nil) != (problem == nil) {
            _ = queue.add { [self] in suspend($0, problem != nil) }
        } else if fails, problem == nil {
            // The writer tries to commit before it does anything else: nobody may be sending while readiness says no.
            _ = queue.add { _ in }
        }
    }

    /// While the file is not where it should be nothing is committed, counters included; afterwards what was derived is read anew
    /// from what is committed.
    private func suspend(_ state: WriterState, _ isGone: Bool) {
        if isGone {
            state.isSuspended = true
        } else if account.current.latched == nil {
            // What cannot be read now is read before the next span.
            try? state.resume()
            account.update { $0.commitFailure = nil }
        }
    }

    /// The server goes down: nothing more is let in.
    func close() {
        account.update { $0.isStopping = true }
    }

    func stop() {
        thread.stop()
        recovery.stop()
    }
}

/// A number of seconds that one thread writes and others read.
final class ReaderNote: Sendable {
    private let value = Atomic<Int>(0)

    var seconds: Int { value.load(ordering: .relaxed) }

    func set(_ duration: Duration?) {
        value.store(Int(clamping: duration?.components.seconds ?? 0), ordering: .relaxed)
    }
}
