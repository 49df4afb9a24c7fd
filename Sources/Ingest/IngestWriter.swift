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
    /// Retention keeps what was received this long before the derivations' settle time.
    private static let settleMarginNanoseconds: Int64 = 30_000_000_000

    private let queue: IngestQueue
    private let metrics: IngestMetrics
    let logMetrics: LogMetrics
    private let logLedger: LogLedger
    private let limits: IngestLimits
    private let folder: StoreFolder
    private let clock: @Sendable () -> Int64
    private let storage: StorageGuard
    /// What is missing of earlier commits, found at the start; `nil` when all is there.
    package let lostCommits: AcknowledgedMark.Loss?
    private let stalls: StallLoop
    private let finished = DispatchSemaphore(value: 0)

    /// Opens the store in `folder` and starts the writer's threads. They end with `stop`.
    ///
    /// - Parameters:
    ///   - policyText: the policy for other processes to read, kept in the file; `nil` leaves what is there.
    ///   - stallGapNanoseconds: a longer hole in a run is a stall.
    ///   - clock: nanoseconds since 1970.
    package init(
        folder: StoreFolder, policy: FusePolicy, metrics: IngestMetrics, limits: IngestLimits = IngestLimits(),
        retention: RetentionLimits = RetentionLimits(), policyText: String? = nil,
        stallGapNanoseconds: Int64 = 60_000_000_000, clock: @escaping @Sendable () -> Int64
    ) throws(StoreError) {
        let gate = CommitGate()
        let store = try SpanStore(folder: folder, gate: gate)
        if let policyText { try store.keep(.fusePolicy, policyText) }
        let presence = try SpanPresence(store)
        let checkpointer = try Checkpointer(folder: folder, gate: gate)
        let maintenance = try store.maintenance()
        let queue = IngestQueue(limits: limits)
        let storage = StorageGuard(folder: folder, gate: gate, queue: queue, metrics: metrics, limits: limits)
        let committer = GroupCommitter(store: store, metrics: metrics, clock: clock, onError: storage.note)
        let commits = CommitLoop(committer, wake: queue.wake)
        do {
            let state = try WriterState(presence: presence, lane: commits, policy: policy, table: .standard)
            let merging = try MaintenanceLoop(
                maintenance,
                .init(
                    retention: retention, settleNanoseconds: policy.breakerSettleNanoseconds + Self.settleMarginNanoseconds,
                    clock: clock),
                metrics: MaintenanceMetrics(registry: metrics.registry))
            self.queue = queue
            self.storage = storage
            lostCommits = store.lostCommits
            self.metrics = metrics
            logMetrics = LogMetrics(registry: metrics.registry)
            logLedger = store.logLedger
            self.limits = limits
            self.folder = folder
            self.clock = clock
            metrics.queueCapacity.set(limits.queueSpansMax)
            stalls = StallLoop(
                folder: folder, gapNanoseconds: stallGapNanoseconds, clock: clock,
                commit: { rows in Self.commit(rows, through: queue, clock) })
            let checkpoints = CheckpointLoop(checkpointer, metrics: metrics, failed: storage.note)
            DispatchQueue(label: "fusebox.writer", qos: .userInitiated).async { [self] in
                run(state)
                stalls.stop()
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

    // MARK: From any task

    /// Stores the spans of a request. When it returns, they are durable.
    package func store(_ batch: SpanBatch) async throws(IngestError) -> IngestResult {
        metrics.received.increment(by: Int64(batch.spans.count + batch.rejections.total))
        do {
            return try await enqueue(batch, logs: nil, bytes: batch.byteCost)
        } catch {
            metrics.dropped.increment(error.dropReason, by: Int64(batch.spans.count))
            throw error
        }
    }

    /// Lets a request wait for its commit, or says why not.
    func enqueue(_ batch: SpanBatch, logs: LogBatch?, bytes: Int) async throws(IngestError) -> IngestResult {
        let result: Result<IngestResult, IngestError> = await withCheckedContinuation { continuation in
            if let suspicion = storage.suspicion { return continuation.resume(returning: .failure(suspicion)) }
            let request = IngestQueue.Request(
                batch: batch, logs: logs, bytes: bytes, enqueued: ContinuousClock.now,
                finish: { continuation.resume(returning: $0) })
            if let refusal = queue.add(request) { continuation.resume(returning: .failure(refusal)) }
        }
        return try result.get()
    }

    /// The derived families and the collector's own about ingest, as of the last commit.
    package func families() async throws(IngestError) -> [MetricFamily] {
        let depth = queue.depth
        metrics.queueSpans.set(depth.spans)
        metrics.queueBytes.set(depth.bytes)
        logMetrics.show(logLedger)
        metrics.databaseBytes.set(Double(FileSize.bytes(folder.databasePath)))
        metrics.logBytes.set(Double(FileSize.bytes(folder.databasePath + "-wal")))
        if let free = FileSize.freeBytes(folder.path) { metrics.diskFreeBytes.set(Double(free)) }
        return try await onWriter { [self] state in
            // A scrape shows committed values only; what settles now is committed first.
            state.tick(nowUnixNano: clock())
            state.drain()
            metrics.pendingObservations.set(state.pendingObservations)
            let derived = state.derivations.collect(at: state.clockUnixNano) + ((try? AnnexFamilies.collect(state.presence)) ?? [])
            // Read in one go: that nothing waits must not be told beside counters from before it was applied.
            return derived + [stalls.family()].filter { !$0.samples.isEmpty } + metrics.registry.families()
        }
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
    package func breakers() async throws(IngestError) -> [BreakerView] {
        try await onWriter { [clock] state in state.derivations.breakers(at: max(clock(), state.clockUnixNano)) }
    }

    /// Whether spans would be stored now: the writer answers, and its last commit succeeded.
    package var isTaking: Bool {
        get async {
            if storage.suspicion != nil { return false }
            return ((try? await onWriter { $0.lastCommitFailed }) ?? true) == false
        }
    }

    private func onWriter<Value: Sendable>(_ body: @escaping @Sendable (WriterState) -> Value) async throws(IngestError) -> Value
    {
        let result: Result<Value, IngestError> = await withCheckedContinuation { continuation in
            let added = queue.add { state in continuation.resume(returning: .success(body(state))) }
            if !added { continuation.resume(returning: .failure(.stopping)) }
        }
        return try result.get()
    }

    /// Lets nothing more in, commits what is in, and closes the store. Blocks for at most the time of the last commits.
    package func stop() {
        queue.close()
        finished.wait()
        finished.signal()
    }

    /// Commits rows from another thread, and waits for it.
    private static func commit(_ rows: AnnexRows, through queue: IngestQueue, _ clock: @escaping @Sendable () -> Int64) -> Bool {
        let done = DispatchSemaphore(value: 0)
        let isCommitted = Atomic(false)
        let added = queue.add { state in
            do {
                try state.store(rows, nowUnixNano: clock())
                isCommitted.store(true, ordering: .releasing)
            } catch {
                // The caller is told, and tries again later.
            }
            done.signal()
        }
        guard added else { return false }
        done.wait()
        return isCommitted.load(ordering: .acquiring)
    }

    // MARK: On the writer's thread

    private func run(_ state: WriterState) {
        var inbox = InboxReader(folder)
        var heartbeat = Heartbeat(metrics)
        while true {
            let patience = inbox.patience(now: .now)
            var work = queue.take(
                spansMax: state.room, deadline: .now() + .milliseconds(Int(patience / .milliseconds(1))))
            for request in work.expired { request.finish(.failure(.waitedTooLong)) }
            let isIdle = work.requests.isEmpty && work.tasks.isEmpty
            if !work.requests.isEmpty, let refusal = storage.refusal {
                for request in work.requests { request.finish(.failure(refusal)) }
                work.requests = []
            }
            // From the back, so that each request has one owner: what is appended to its bytes must not copy them.
            work.requests.reverse()
            while let request = work.requests.popLast() {
                metrics.queueWait.record(ContinuousClock.now - request.enqueued)
                state.store(request, nowUnixNano: clock())
            }
            state.handOverIfFree()
            if !work.tasks.isEmpty {
                state.drain()
                for task in work.tasks { task(state) }
            }
            if isIdle && state.isEmpty { state.tick(nowUnixNano: clock()) }
            takeRows(state, &inbox, &heartbeat, isLast: work.isClosed)
            metrics.pendingObservations.set(state.pendingObservations)
            if work.isClosed { return state.drain() }
        }
    }

    /// Commits what stands beside the spans: what other processes handed over, and the heartbeat.
    private func takeRows(_ state: WriterState, _ inbox: inout InboxReader, _ heartbeat: inout Heartbeat, isLast: Bool) {
        do throws(StoreError) {
            try inbox.takeNext(state, now: .now, nowUnixNano: clock())
            if let row = heartbeat.row(nowUnixNano: clock(), isLast: isLast) {
                try state.store(AnnexRows(heartbeat: row), nowUnixNano: clock())
                heartbeat.didStore()
            }
        } catch {
            // What was not committed is tried again in the next round; the committer has counted the error.
        }
    }
}

extension IngestError {
    /// The value of the label `reason` of `fusebox_spans_dropped_total`.
    var dropReason: String {
        switch self {
        case .queueFull: "queue_full"
        case .waitedTooLong: "queue_timeout"
        case .stopping: "shutdown"
        case .store(let error): error.isDiskFull ? "disk_full" : "error"
        case .storageSuspect: "suspect"
        case .diskReserve: "disk_full"
        case .logTooLong: "log_full"
        }
    }
}
