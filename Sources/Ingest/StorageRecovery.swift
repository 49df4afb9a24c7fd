import Dispatch
import SpanStore
import Synchronization

/// Brings a store back whose disk failed: opens the file anew, copies the log into it, checks all of it, and says when that is done.
/// Runs on a thread of its own, since a large file takes its time.
final class StorageRecovery: Sendable {
    /// Waits double up to this.
    private static let waitSecondsMax = 30

    private let folder: StoreFolder
    private let gate: CommitGate
    private let isStopping = Atomic(false)
    private let wake = DispatchSemaphore(value: 0)
    private let queue = DispatchQueue(label: "fusebox.recovery", qos: .utility)

    init(folder: StoreFolder, gate: CommitGate) {
        self.folder = folder
        self.gate = gate
    }

    /// Tries until it succeeds or is stopped.
    ///
    /// - Parameter recovered: called once, on the recovery's thread, when the file is sound.
    func start(recovered: @escaping @Sendable () -> Void) {
        queue.async { [self] in
            var seconds = 1
            while !isStopping.load(ordering: .acquiring) {
                _ = wake.wait(timeout: .now() + .seconds(seconds))
                guard !isStopping.load(ordering: .acquiring) else { return }
                if attempt() {
                    recovered()
                    return
                }
                seconds = min(2 * seconds, Self.waitSecondsMax)
            }
        }
    }

    private func attempt() -> Bool {
        do {
            try StoreRecheck.run(folder: folder, gate: gate)
            return true
        } catch {
            // It is tried again; readiness and the metric say meanwhile that nothing is taken.
            return false
        }
    }

    /// Makes no further attempt. One that is under way goes on: it only reads, but for a checkpoint, which may end anywhere.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake.signal()
    }
}
