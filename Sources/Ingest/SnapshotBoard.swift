import Derivations
import Synchronization

/// What was last committed, for whoever asks, and what becomes of commits: read from any thread, and never waited for.
///
/// The derivations are ahead of the file while a commit is under way, so a copy of them is taken when a commit is handed over and
/// put up when it is durable. A copy makes the writer copy what it changes next, which is dear for many series: so one is taken
/// when somebody wants it, and otherwise once in some seconds, for the case that the disk hangs and no newer one can be had.
final class SnapshotBoard: Sendable {
    /// The derivations as of a commit.
    struct Snapshot: Sendable {
        var derivations: DerivationView
        /// The number of the commit; those that change no derivation have none.
        var commit: Int
    }

    /// A snapshot as it is shown.
    struct Shown: Sendable {
        var derivations: DerivationView
        /// How long ago it was put up, when something newer is committed; else zero.
        var age: Duration
        var isNewest: Bool { age == .zero }
    }

    /// A commit that takes longer than this has met a disk that hangs, as far as health is concerned,
    private static let commitMax = Duration.milliseconds(750)
    /// and one that takes longer than this is not worth waiting for with a question.
    private static let patience = Duration.milliseconds(100)

    fileprivate struct State {
        var snapshot: Snapshot
        var putUp = ContinuousClock.now
        /// The number of the last commit that is durable.
        var committed = 0
        var isWanted = false
        /// When the commit that is under way began.
        var began: ContinuousClock.Instant?
        /// Why the last commit failed; `nil` after one that did not.
        var failure: String?
    }

    private let state: Mutex<State>

    /// - Parameter restored: the derivations as they were read from the file.
    init(_ restored: DerivationView) {
        state = Mutex(State(snapshot: Snapshot(derivations: restored, commit: 0)))
    }

    // MARK: Readers

    var shown: Shown {
        state.withLock { state in
            let isNewest = state.snapshot.commit == state.committed
            let age: Duration = isNewest ? .zero : max(.nanoseconds(1), .now - state.putUp)
            return Shown(derivations: state.snapshot.derivations, age: age)
        }
    }

    /// Somebody would like a newer snapshot. False when there is none to be had soon: a commit hangs.
    func want() -> Bool {
        state.withLock { state in
            state.isWanted = true
            return state.began.map { .now - $0 < Self.patience } ?? true
        }
    }

    /// Why nothing is being committed; `nil` while commits succeed, or nobody knows better.
    var trouble: String? {
        state.withLock { state in
            if let began = state.began, .now - began >= Self.commitMax {
                let seconds = (ContinuousClock.now - began) / .seconds(1)
                return "a commit has been under way for \((seconds * 10).rounded() / 10) s: the disk does not answer"
            }
            return state.failure.map { "the last commit failed: \($0)" }
        }
    }

    // MARK: The writer

    var isWanted: Bool { state.withLock { $0.isWanted } }

    /// Puts up derivations that are what the file holds.
    func put(_ derivations: DerivationView) {
        state.withLock { $0.show(Snapshot(derivations: derivations, commit: $0.committed)) }
    }

    // MARK: The committing thread

    func begin() {
        state.withLock { $0.began = .now }
    }

    /// A commit is durable.
    ///
    /// - Parameter number: `nil` when it changed no derivation.
    func succeed(number: Int?, _ snapshot: DerivationView?) {
        state.withLock { state in
            state.began = nil
            state.failure = nil
            if let number { state.committed = number }
            if let snapshot { state.show(Snapshot(derivations: snapshot, commit: state.committed)) }
        }
    }

    func fail(_ message: String) {
        state.withLock { state in
            state.began = nil
            state.failure = message
        }
    }
}

extension SnapshotBoard.State {
    fileprivate mutating func show(_ snapshot: SnapshotBoard.Snapshot) {
        self.snapshot = snapshot
        putUp = .now
        isWanted = false
    }
}
