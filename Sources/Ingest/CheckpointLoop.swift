import PrometheusText
import SpanStore
import Threads

/// Runs the checkpointer on a thread of its own, five times a second, until it is stopped.
final class CheckpointLoop: Sendable {
    private let thread = WorkerThread()

    init(_ checkpointer: Checkpointer, metrics: IngestMetrics, storage: StorageGuard) {
        let owned = Owned(checkpointer)
        thread.start("fusebox.checkpoints", .utility) { [self] in
            while !thread.isStopping {
                thread.rest(.milliseconds(200))
                run(owned.checkpointer, metrics, storage)
            }
        }
    }

    /// Hands the checkpointer to the one thread that uses it from then on.
    private struct Owned: @unchecked Sendable {
        let checkpointer: Checkpointer

        init(_ checkpointer: Checkpointer) {
            self.checkpointer = checkpointer
        }
    }

    private func run(_ checkpointer: Checkpointer, _ metrics: IngestMetrics, _ storage: StorageGuard) {
        let start = ContinuousClock.now
        defer {
            storage.reader.set(checkpointer.heldFor)
            metrics.checkpointHold.set(checkpointer.longestHold / .seconds(1))
        }
        do throws(StoreError) {
            // A log whose name is gone is found by nobody else: what is in it goes into the file at once.
            if storage.account.current.dataFile != nil { try checkpointer.copyAll() }
            // From the moment on in which the server lets nothing more in: what it still has to commit and to read must not wait here.
            switch try checkpointer.runIfNeeded(isStopping: { storage.account.current.isStopping }) {
            case .idle: return
            case .copied: metrics.checkpoints.increment("passive", "ok")
            case .startedOver: metrics.checkpoints.increment("restart", "ok")
            case .busy: metrics.checkpoints.increment("passive", "busy")
            }
            metrics.checkpointDuration.record(ContinuousClock.now - start)
        } catch {
            // The log stays as it is and is tried again; commits go on and say so themselves when the disk is full.
            metrics.checkpoints.increment("passive", "error")
            if error.isDiskSuspect { storage.note(error) }
        }
    }

    func stop() { thread.stop() }
}
