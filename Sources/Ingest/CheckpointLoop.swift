import Dispatch
import PrometheusText
import SpanStore
import Synchronization

/// Runs the checkpointer on a thread of its own, five times a second, until it is stopped.
final class CheckpointLoop: Sendable {
    private let isStopping = Atomic(false)
    private let wake = DispatchSemaphore(value: 0)
    private let finished = DispatchSemaphore(value: 0)

    /// - Parameter failed: told of every checkpoint that failed.
    init(_ checkpointer: Checkpointer, metrics: IngestMetrics, failed: @escaping @Sendable (StoreError) -> Void) {
        let owned = Owned(checkpointer)
        DispatchQueue(label: "fusebox.checkpoints", qos: .utility).async { [self] in
            while !isStopping.load(ordering: .acquiring) {
                _ = wake.wait(timeout: .now() + .milliseconds(200))
                Self.run(owned.checkpointer, metrics, failed)
            }
            finished.signal()
        }
    }

    /// Hands the checkpointer to the one thread that uses it from then on.
    private struct Owned: @unchecked Sendable {
        let checkpointer: Checkpointer

        init(_ checkpointer: Checkpointer) {
            self.checkpointer = checkpointer
        }
    }

    private static func run(
        _ checkpointer: Checkpointer, _ metrics: IngestMetrics, _ failed: (StoreError) -> Void
    ) {
        let start = ContinuousClock.now
        do throws(StoreError) {
            switch try checkpointer.runIfNeeded() {
            case .idle: return
            case .done: metrics.checkpoints.increment("passive", "ok")
            case .busy: metrics.checkpoints.increment("passive", "busy")
            }
            metrics.checkpointDuration.record(ContinuousClock.now - start)
        } catch {
            // The log stays as it is and is tried again; commits go on and say so themselves when the disk is full.
            metrics.checkpoints.increment("passive", "error")
            failed(error)
        }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake.signal()
        finished.wait()
    }
}
