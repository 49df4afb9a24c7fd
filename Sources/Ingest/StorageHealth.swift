import SpanStore
import Synchronization

/// Whether the disk under the store is to be trusted.
///
/// After one failed fsync nobody knows what is on the disk: the kernel may have dropped the pages and answer well the next time. So
/// the first such error latches, whichever thread met it, and nothing is acknowledged until the file has been opened anew and checked
/// whole (docs/adr/0020).
final class StorageHealth: Sendable {
    private let suspicion = Mutex<String?>(nil)

    /// What happened; `nil` while the disk is trusted.
    var reason: String? { suspicion.withLock { $0 } }

    var isSuspect: Bool { reason != nil }

    /// Takes note of an error. Says whether it was the first that makes the disk suspect.
    func note(_ error: StoreError) -> Bool {
        guard error.isDiskSuspect else { return false }
        return suspicion.withLock { reason in
            guard reason == nil else { return false }
            reason = error.message
            return true
        }
    }

    func clear() {
        suspicion.withLock { $0 = nil }
    }
}
