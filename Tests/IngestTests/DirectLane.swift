import Derivations
import SemanticColumns
import SpanStore
import Synchronization
import TelemetryModel

@testable import Ingest

/// Commits when the test says so, on the test's thread; at once unless it holds.
final class DirectLane: CommitLane {
    private let committer: GroupCommitter
    private var commit: PendingCommit?
    private var outcome: Result<Void, StoreError>?
    /// How many commits were handed over.
    private(set) var submissions = 0
    /// What is submitted waits, as behind a slow disk, until somebody waits for it.
    var isHolding = false
    /// The next commits fail with this.
    var failure: StoreError?

    init(_ store: SpanStore, board: SnapshotBoard? = nil) {
        committer = GroupCommitter(store: store, board: board, metrics: IngestMetrics(), clock: { 0 })
    }

    func submit(_ commit: PendingCommit) {
        submissions += 1
        self.commit = commit
        if !isHolding { run() }
    }

    func takeOutcome(waits: Bool) -> Result<Void, StoreError>? {
        if waits { run() }
        return outcome.take()
    }

    private func run() {
        guard let commit = commit.take() else { return }
        let result = failure.map { .failure($0) } ?? committer.commit(commit)
        outcome = result
        GroupCommitter.answer(commit, result)
    }
}

extension WriterState {
    /// The state over a store, as it is at a start.
    convenience init(_ store: SpanStore, lane: any CommitLane, policy: FusePolicy, board: SnapshotBoard? = nil) throws {
        let presence = try SpanPresence(store)
        let restorer = DerivationRestorer(history: presence.history, policy: policy, table: .standard)
        let restored = try restorer.restored(prices: try presence.prices())
        try self.init(
            presence: presence, lane: lane, restorer: restorer, restored: restored, board: board ?? SnapshotBoard(restored.view),
            table: .standard)
    }
}

/// What a request was answered.
final class Answer: Sendable {
    private let value = Mutex<Result<IngestResult, IngestError>?>(nil)

    var result: Result<IngestResult, IngestError>? { value.withLock { $0 } }

    func request(_ batch: SpanBatch) -> IngestQueue.Request {
        IngestQueue.Request(batch: batch, bytes: batch.byteCost, enqueued: .now) { result in self.value.withLock { $0 = result } }
    }
}
