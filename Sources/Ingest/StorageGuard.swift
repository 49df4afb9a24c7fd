import PrometheusText
import SpanStore

/// Stands between the disk and those who send: says why nothing may be stored now, latches when the disk fails, and brings it back.
final class StorageGuard: Sendable {
    private let health = StorageHealth()
    private let recovery: StorageRecovery
    private let budget: StorageBudget
    private let queue: IngestQueue
    private let metrics: IngestMetrics

    init(folder: StoreFolder, gate: CommitGate, queue: IngestQueue, metrics: IngestMetrics, limits: IngestLimits) {
        recovery = StorageRecovery(folder: folder, gate: gate)
        budget = StorageBudget(folder, limits)
        self.queue = queue
        self.metrics = metrics
    }

    /// The disk failed and was not checked since; `nil` while it is trusted.
    var suspicion: IngestError? { health.reason.map(IngestError.storageSuspect) }

    /// Why nothing may be stored now; `nil` when it may. Two calls to the kernel.
    var refusal: IngestError? { suspicion ?? budget.refusal }

    /// Latches when the error makes the disk suspect, and starts to bring it back. From any thread of the store.
    func note(_ error: StoreError) {
        guard health.note(error) else { return }
        metrics.storageSuspect.set(1)
        _ = queue.add { $0.isSuspended = true }
        recovery.start { [self] in
            _ = queue.add { [self] state in
                do throws(StoreError) {
                    try state.resume()
                    health.clear()
                    metrics.storageSuspect.set(0)
                } catch {
                    // What could be read a moment ago cannot be now: from the start again.
                    health.clear()
                    note(error)
                }
            }
        }
    }

    func stop() { recovery.stop() }
}
