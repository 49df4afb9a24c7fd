package import Derivations
import Dispatch
package import PrometheusText
import SemanticColumns
package import SpanStore
import Synchronization
package import TelemetryModel

/// The way into the store: requests from any task, one thread that commits them.
///
/// Group commit without a timer: while one transaction is being fsynced, the next requests gather, and go together. So a slow disk
/// costs latency and not throughput, and a lone client waits for nobody.
package final class IngestWriter: Sendable {
    let queue: IngestQueue
    private let metrics: IngestMetrics
    let logMetrics: LogMetrics
    private let logLedger: LogLedger
    private let limits: IngestLimits
    private let folder: StoreFolder
    private let clock: @Sendable () -> Int64
    private let moments: Moments
    private let storage: StorageGuard
    private let board: SnapshotBoard
    private let exposition: ExpositionReader
    /// What is missing of earlier commits, found at the start; `nil` when all is there.
    package let lostCommits: AcknowledgedMark.Loss?
    /// What is forwarded from.
    package let forwardSource: ForwardSource
    /// When readers of this process may begin; whoever reads the data file asks it.
    package let turns: ReadingTurns
    private let stalls: StallLoop
    private let serviceGraph: ServiceGraphLoop
    private let finished = DispatchSemaphore(value: 0)

    /// Opens the store in `folder` and starts the writer's threads. They end with `stop`.
    ///
    /// - Parameters:
    ///   - policyText: the policy for other processes to read, kept in the file; `nil` leaves what is there.
    ///   - stallGapNanoseconds: a longer hole in a run is a stall.
    ///   - clock: nanoseconds since 1970.
    ///   - report: takes a line for the server's log: when spans begin to be refused, and when that has ended.
    package init(
        folder: StoreFolder, policy: FusePolicy, metrics: IngestMetrics, limits: IngestLimits = IngestLimits(),
        retention: RetentionLimits = RetentionLimits(), policyText: String? = nil,
        stallGapNanoseconds: Int64 = 60_000_000_000, clock: @escaping @Sendable () -> Int64,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(StoreError) {
        let gate = CommitGate()
        let turns = ReadingTurns()
        let store = try SpanStore(folder: folder, gate: gate)
        if let policyText { try store.keep(.fusePolicy, policyText) }
        let presence = try SpanPresence(store)
        let checkpointer = try Checkpointer(folder: folder, gate: gate, turns: turns)
        let maintenance = try store.maintenance()
        let queue = IngestQueue(limits: limits)
        let storage = StorageGuard(store: store, queue: queue, metrics: metrics, limits: limits, report: report)
        let restorer = DerivationRestorer(history: presence.history, policy: policy, table: .standard)
        let restored = try restorer.restored(prices: try presence.prices())
        let board = SnapshotBoard(restored.view)
        let committer = GroupCommitter(store: store, board: board, metrics: metrics, clock: clock, onOutcome: storage.note)
        let commits = CommitLoop(committer, wake: queue.wake)
        let forgotten = ForgottenTraces()
        do {
            let state = try WriterState(
                presence: presence, lane: commits, restorer: restorer, restored: restored, board: board, table: .standard)
            let merging = try MaintenanceLoop(
                maintenance,
                .init(
                    retention: retention, clock: clock, forgotten: forgotten, turns: turns,
                    noteHold: { held in storage.note(held: held) }),
                metrics: MaintenanceMetrics(registry: metrics.registry))
            self.queue = queue
            self.storage = storage
            self.turns = turns
            self.board = board
            exposition = ExpositionReader(folder)
            lostCommits = store.lostCommits
            forwardSource = store.forwardSource
            self.metrics = metrics
            logMetrics = LogMetrics(registry: metrics.registry)
            logLedger = store.logLedger
            self.limits = limits
            self.folder = folder
            self.clock = clock
            moments = Moments(clock)
            metrics.queueCapacity.set(limits.queueSpansMax)
            stalls = StallLoop(
                folder: folder, turns: turns, gapNanoseconds: stallGapNanoseconds, clock: clock, forgotten: forgotten,
                commit: { [moments] rows in
                    Self.perform(through: queue) { state throws(StoreError) in try state.store(rows, now: moments.now) } != nil
                })
            serviceGraph = Self.serviceGraph(store.forwardSource, turns, policy, queue, moments)
            let checkpoints = CheckpointLoop(checkpointer, metrics: metrics, storage: storage)
            storage.start()
            DispatchQueue(label: "fusebox.writer", qos: .userInitiated).async { [self] in
                run(state)
                stalls.stop()
                serviceGraph.stop()
                commits.stop()
                merging.stop()
                checkpoints.stop()
                storage.stop()
                committer.finish()
                finished.signal()
            }
        } catch {
            commits.stop()
            throw error
        }
    }

    private static func serviceGraph(
        _ source: ForwardSource, _ turns: ReadingTurns, _ policy: FusePolicy, _ queue: IngestQueue, _ moments: Moments
    ) -> ServiceGraphLoop {
        ServiceGraphLoop(
            source: source, turns: turns, settleNanoseconds: policy.breakerSettleNanoseconds,
            stored: { perform(through: queue) { state throws(StoreError) in try state.serviceGraphCursor() } },
            commit: { update in
                perform(through: queue) { state throws(StoreError) in try state.count(update, now: moments.now) } != nil
            })
    }

    // MARK: From any task

    /// Stores the spans of a request. When it returns, they are durable.
    package func store(_ batch: SpanBatch) async throws(IngestError) -> IngestResult {
        try await store(batch, hasPlace: false)
    }

    /// Why nothing would be stored now; `nil` when it would.
    var storageRefusal: IngestError? { storage.refusal }

    /// - Parameter hasPlace: whether room in the queue was kept for them.
    func store(_ batch: SpanBatch, hasPlace: Bool) async throws(IngestError) -> IngestResult {
        let result: Result<IngestResult, IngestError> = await withCheckedContinuation { continuation in
            store(batch, hasPlace: hasPlace) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    private func store(
        _ batch: SpanBatch, hasPlace: Bool, finish: @escaping @Sendable (Result<IngestResult, IngestError>) -> Void
    ) {
        let count = Int64(batch.spans.count)
        metrics.received.increment(by: count + Int64(batch.rejections.total))
        enqueue(batch, logs: nil, bytes: batch.byteCost, hasPlace: hasPlace) { [metrics] result in
            if case .failure(let error) = result { metrics.dropped.increment(error.dropReason, by: count) }
            finish(result)
        }
    }

    /// Lets a request wait for its commit, or says why not.
    func enqueue(
        _ batch: SpanBatch, logs: LogBatch?, bytes: Int, hasPlace: Bool = false,
        finish: @escaping @Sendable (Result<IngestResult, IngestError>) -> Void
    ) {
        if let refusal = storage.account.current.latched { return finish(.failure(refusal)) }
        var request = IngestQueue.Request(
            batch: batch, logs: logs, bytes: bytes, enqueued: ContinuousClock.now, finish: finish)
        request.hasPlace = hasPlace
        if let refusal = queue.add(request) { finish(.failure(refusal)) }
    }

    /// Every family that `families()` may give beside those of the registry, without samples.
    package static var declaredFamilies: [MetricFamily] {
        SpanDerivations.declaredFamilies + AnnexFamilies.declared + [StallLoop.activeStalls]
    }

    /// The derived families and the collector's own about ingest. They show what is committed: all of it, unless the disk hangs.
    package func families() async -> [MetricFamily] {
        let depth = queue.depth
        metrics.queueSpans.set(depth.spans)
        metrics.queueBytes.set(depth.bytes)
        logMetrics.show(logLedger)
        metrics.databaseBytes.set(Double(FileSize.bytes(folder.databasePath)))
        metrics.logBytes.set(Double(FileSize.bytes(folder.databasePath + "-wal")))
        if let free = FileSize.freeBytes(folder.path) { metrics.diskFreeBytes.set(Double(free)) }
        // Before the snapshot: that nothing waits must not be told beside counters from before it was counted.
        metrics.serviceGraphPending.set(serviceGraph.pendingSpans)
        let shown = await newest()
        return await exposition.run { [self] reader in
            // Of the same snapshot: that nothing waits must not be told beside counters from before it was applied.
            metrics.pendingObservations.set(shown.derivations.pendingObservations)
            metrics.snapshotAge.set(shown.age / .seconds(1))
            let derived = shown.derivations.collect(at: clock()) + reader.annexFamilies()
            return derived + [stalls.family()].filter { !$0.samples.isEmpty } + metrics.registry.families()
        }
    }

    /// Looks for a newer snapshot that a question waits through at most, and how long it waits between two.
    private static let looksMax = 100
    private static let lookPause = Duration.milliseconds(2)

    /// What is committed, as soon as it can be had; when a commit hangs, what was shown last.
    private func newest() async -> SnapshotBoard.Shown {
        for _ in 0..<Self.looksMax {
            let shown = board.shown
            if shown.isNewest || !board.want() { return shown }
            queue.wake()
            // Cancelled, it looks without a pause.
            try? await Task.sleep(for: Self.lookPause)
        }
        return board.shown
    }

    /// How full the queue is, by what fills it: 0 empty, 1 full.
    package var saturation: [(cause: String, level: Double)] {
        let depth = queue.depth
        return [
            ("queue_spans", Double(depth.spans) / Double(max(limits.queueSpansMax, 1))),
            ("queue_bytes", Double(depth.bytes) / Double(max(limits.queueBytesMax, 1))),
        ]
    }

    /// Every breaker as of now, with what still settles applied.
    package func breakers() async -> [BreakerView] {
        let shown = await newest()
        return await exposition.run { [clock] _ in shown.derivations.breakers(at: clock()) }
    }

    /// Why spans are refused now; `nil` when they are stored. Nobody is asked for it: any thread, at any time.
    package var intakeRefusal: IngestError? { storage.account.refusal }

    /// Why spans would not be stored now, or are not being committed; `nil` when they would. Waits for nothing.
    package var refusal: String? { intakeRefusal?.message ?? board.trouble }

    /// Lets nothing more in, commits what is in, and closes the store. Blocks for at most the time of the last commits.
    package func stop() {
        storage.close()
        queue.close()
        finished.wait()
        finished.signal()
    }

    /// Runs `body` on the writer's thread, from another one, and waits for it; `nil` when it failed or the writer stops. The caller tries again
    /// later.
    private static func perform<Result: Sendable>(
        through queue: IngestQueue, _ body: @escaping @Sendable (WriterState) throws(StoreError) -> Result
    ) -> Result? {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Result?>(nil)
        let added = queue.add { state in
            let found = try? body(state)
            result.withLock { $0 = found }
            done.signal()
        }
        guard added else { return nil }
        done.wait()
        return result.withLock { $0 }
    }

    // MARK: On the writer's thread

    private func run(_ state: WriterState) {
        var inbox = InboxReader(folder)
        var heartbeat = Heartbeat(metrics)
        while true {
            let patience = inbox.patience(now: .now)
            var work = queue.take(
                spansMax: state.room, deadline: .now() + .milliseconds(Int(patience / .milliseconds(1))))
            let began = ContinuousClock.now
            defer { turns.noteWork(ContinuousClock.now - began) }
            for request in work.expired { request.finish(.failure(.waitedTooLong)) }
            let isIdle = work.requests.isEmpty && work.tasks.isEmpty
            if !work.requests.isEmpty, let refusal = storage.refusal {
                if refusal.dropReason == "disk_full" { metrics.commits.increment("full") }
                for request in work.requests { request.finish(.failure(refusal)) }
                work.requests = []
            }
            // From the back, so that each request has one owner: what is appended to its bytes must not copy them.
            work.requests.reverse()
            while let request = work.requests.popLast() {
                metrics.queueWait.record(ContinuousClock.now - request.enqueued)
                state.store(request, now: moments.now)
            }
            state.handOverIfFree()
            if !work.tasks.isEmpty {
                state.drain()
                for task in work.tasks { task(state) }
            }
            if isIdle && state.isEmpty { state.tick(now: moments.now) }
            takeRows(state, &inbox, &heartbeat, isLast: work.isClosed)
            state.showIfWanted()
            if work.isClosed { return state.drain() }
        }
    }

    /// Commits what stands beside the spans: what other processes handed over, and the heartbeat.
    private func takeRows(_ state: WriterState, _ inbox: inout InboxReader, _ heartbeat: inout Heartbeat, isLast: Bool) {
        do throws(StoreError) {
            try inbox.takeNext(state, now: .now, moment: moments.now)
            if let row = heartbeat.row(nowUnixNano: clock(), isLast: isLast) {
                try state.store(AnnexRows(heartbeat: row), now: moments.now)
                heartbeat.didStore()
            }
        } catch {
            // What was not committed is tried again in the next round; the committer has counted the error.
        }
    }
}

extension IngestWriter: BatchIntake {
    package func store(_ batch: SpanBatch, finish: @escaping @Sendable (Result<IngestResult, IngestError>) -> Void) {
        store(batch, hasPlace: false, finish: finish)
    }
}

extension IngestError {
    /// The value of the label `reason` of `fusebox_spans_dropped_total`.
    var dropReason: String {
        switch self {
        case .queueFull: "queue_full"
        case .waitedTooLong: "queue_timeout"
        case .stopping: "shutdown"
        case .store(.dataFile): "data_file"
        case .store(let error): error.isDiskFull ? "disk_full" : "error"
        case .storageSuspect: "suspect"
        case .diskReserve: "disk_full"
        case .logTooLong: "log_full"
        case .dataFile: "data_file"
        case .forwardHold: "forward_hold"
        }
    }
}
