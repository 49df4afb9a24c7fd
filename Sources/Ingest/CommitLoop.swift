import Dispatch
import SpanStore
import Synchronization

/// The thread that encodes and commits: while it does, the writer's thread derives the next group. It holds one commit at a time.
final class CommitLoop: CommitLane, Sendable {
    private struct State {
        var commit: PendingCommit?
        var outcome: Result<Void, StoreError>?
    }

    private let state = Mutex(State())
    private let arrival = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)
    private let finished = DispatchSemaphore(value: 0)

    /// - Parameter wake: called, from the committing thread, after each commit.
    init(_ committer: GroupCommitter, wake: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "fusebox.commits", qos: .userInitiated).async { [self] in
            while let commit = next() {
                let outcome = committer.commit(commit)
                state.withLock { $0.outcome = outcome }
                // The writer goes on first; the answers cost it nothing.
                done.signal()
                wake()
                GroupCommitter.answer(commit, outcome)
            }
            finished.signal()
        }
    }

    private func next() -> PendingCommit? {
        arrival.wait()
        return state.withLock { $0.commit.take() }
    }

    func submit(_ commit: PendingCommit) {
        state.withLock { $0.commit = commit }
        arrival.signal()
    }

    func takeOutcome(waits: Bool) -> Result<Void, StoreError>? {
        if waits {
            done.wait()
        } else {
            guard done.wait(timeout: .now()) == .success else { return nil }
        }
        return state.withLock { $0.outcome.take() }
    }

    /// Ends the thread; nothing may be under way.
    func stop() {
        arrival.signal()
        finished.wait()
    }
}
