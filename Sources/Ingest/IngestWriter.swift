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
    private let queue: IngestQueue
    private let metrics: IngestMetrics
    private let limits: IngestLimits
    private let folder: StoreFolder
    private let clock: @Sendable () -> Int64
    private let stalls: StallLoop
    private let finished = DispatchSemaphore(value: 0)

    /// Opens the store in `folder` and starts the writer's threads. They end with `stop`.
    ///
    /// - Parameters:
    ///   - stallGapNanoseconds: a longer hole in a run is a stall.
    ///   - clock: nanoseconds since 1970.
    package init(
        folder: StoreFolder, policy: FusePolicy, metrics: IngestMetrics, limits: IngestLimits = IngestLimits(),
        stallGapNanoseconds: Int64 = 60_000_000_000, clock: @escaping @Sendable () -> Int64
    ) throws(StoreError) {
        let gate = CommitGate()
        let store = try SpanStore(folder: folder, gate: gate)
        let state = try WriterState(store: store, policy: policy, table: .standard, metrics: metrics)
        let checkpointer = try Checkpointer(folder: folder, gate: gate)
        let queue = IngestQueue(limits: limits)
        self.queue = queue
        self.metrics = metrics
        self.limits = limits
        self.folder = folder
        self.clock = clock
        metrics.queueCapacity.set(limits.queueSpansMax)
        metrics.storedSpans.set(Double(store.storedSpans))
        let checkpoints = CheckpointLoop(checkpointer, metrics: metrics)
        stalls = StallLoop(
            folder: folder, gapNanoseconds: stallGapNanoseconds, clock: clock,
            commit: { rows in Self.commit(rows, through: queue, clock) })
        DispatchQueue(label: "fusebox.writer", qos: .userInitiated).async { [self] in
            run(state)
            stalls.stop()
            checkpoints.stop()
            state.store.emptyLog()
            finished.signal()
        }
    }

    // MARK: From any task

    /// Stores the spans of a request. When it returns, they are durable.
    package func store(_ batch: SpanBatch) async throws(IngestError) -> IngestResult {
        metrics.received.increment(by: Int64(batch.spans.count + batch.rejections.total))
        let result: Result<IngestResult, IngestError> = await withCheckedContinuation { continuation in
            let request = IngestQueue.Request(
                batch: batch, bytes: batch.byteCost, enqueued: ContinuousClock.now, finish: { continuation.resume(returning: $0) }
            )
            if let refusal = queue.add(request) { continuation.resume(returning: .failure(refusal)) }
        }
        if case .failure(let error) = result { metrics.dropped.increment(error.dropReason, by: Int64(batch.spans.count)) }
        return try result.get()
    }

    /// The derived families and the collector's own about ingest, as of the last commit.
    package func families() async throws(IngestError) -> [MetricFamily] {
        let derived = try await onWriter { [clock] state in
            // A scrape shows committed values only; what settles now is committed first.
            try? state.tick(nowUnixNano: clock())
            let families = state.derivations.collect(at: state.clockUnixNano)
            return families + ((try? AnnexFamilies.collect(state.store)) ?? [])
        }
        let depth = queue.depth
        metrics.queueSpans.set(depth.spans)
        metrics.queueBytes.set(depth.bytes)
        metrics.databaseBytes.set(Double(FileSize.bytes(folder.databasePath)))
        metrics.logBytes.set(Double(FileSize.bytes(folder.databasePath + "-wal")))
        if let free = FileSize.freeBytes(folder.path) { metrics.diskFreeBytes.set(Double(free)) }
        return derived + [stalls.family()].filter { !$0.samples.isEmpty } + metrics.registry.families()
    }

    /// Whether spans would be stored now: the writer answers, and its last commit succeeded.
    package var isTaking: Bool {
        get async { ((try? await onWriter { $0.lastCommitFailed }) ?? true) == false }
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
                spansMax: SegmentFormat.spansPerCommitMax, deadline: .now() + .milliseconds(Int(patience / .milliseconds(1))))
            if !work.requests.isEmpty { store(&work.requests, state) }
            for task in work.tasks { task(state) }
            if work.requests.isEmpty {
                // A tick that cannot be committed is tried again with the next; its error shows in the metrics.
                do { try state.tick(nowUnixNano: clock()) } catch { count(error) }
            }
            do {
                try inbox.takeNext(state, now: .now, nowUnixNano: clock())
                if let row = heartbeat.row(nowUnixNano: clock(), isLast: work.isClosed) {
                    try state.store(AnnexRows(heartbeat: row), nowUnixNano: clock())
                    heartbeat.didStore()
                }
            } catch {
                // What was not committed is tried again in the next round.
                count(error)
            }
            metrics.storedSpans.set(Double(state.store.storedSpans))
            metrics.pendingObservations.set(state.derivations.pendingObservations)
            if work.isClosed { return }
        }
    }

    private func store(_ requests: inout [IngestQueue.Request], _ state: WriterState) {
        let start = ContinuousClock.now
        for request in requests { metrics.queueWait.record(start - request.enqueued) }
        do throws(StoreError) {
            let results = try state.store(&requests, nowUnixNano: clock())
            metrics.commits.increment("ok")
            metrics.commitDuration.record(ContinuousClock.now - start)
            metrics.lastCommit.set(Double(clock()) / 1e9)
            for (request, result) in zip(requests, results) {
                count(result)
                request.finish(.success(result))
            }
        } catch {
            count(error)
            for request in requests { request.finish(.failure(.store(error))) }
        }
    }

    private func count(_ result: IngestResult) {
        metrics.accepted.increment(by: Int64(result.accepted))
        if result.duplicates > 0 {
            metrics.duplicates.increment("identical", by: Int64(result.duplicates - result.conflicts))
            metrics.duplicates.increment("conflict", by: Int64(result.conflicts))
        }
        if result.rejections.total > 0 {
            let invalid = result.rejections.invalidIDs + result.rejections.timesOutOfRange
            metrics.rejected.increment("invalid", by: Int64(invalid))
            metrics.rejected.increment("too_old", by: Int64(result.rejections.tooOld))
        }
    }

    private func count(_ error: StoreError) {
        metrics.commits.increment(error.commitResult)
    }
}

extension StoreError {
    /// The value of the label `result` of `fusebox_commits_total`.
    fileprivate var commitResult: String {
        if isDiskFull { return "full" }
        return isContention ? "busy" : "error"
    }
}

extension IngestError {
    /// The value of the label `reason` of `fusebox_spans_dropped_total`.
    fileprivate var dropReason: String {
        switch self {
        case .queueFull: "queue_full"
        case .stopping: "shutdown"
        case .store(let error): error.isDiskFull ? "disk_full" : "error"
        }
    }
}
