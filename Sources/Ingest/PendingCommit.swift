import Derivations
import SegmentFormat
import SpanStore

/// What one transaction makes durable, and who waits for it.
struct PendingCommit: Sendable {
    /// A request all of whose spans are durable when this is.
    struct Answer: Sendable {
        var result: IngestResult
        var finish: @Sendable (Result<IngestResult, IngestError>) -> Void
    }

    var group = SpanGroup()
    var rows = DerivationRows()
    var annex = AnnexRows()
    var logs = LogGroup()
    var answers: [Answer] = []
    var nowUnixNano: Int64 = 0
    /// How many of the last spans, these included, the derivations still need once this is committed.
    var unsettledSpans: Int64 = 0
    /// The number among the commits that change derivations; `nil` for one that changes none.
    var number: Int?
    /// The derivations with all that this commits, when they are to be shown once it is durable.
    var snapshot: DerivationView?
    /// When the first of it came to the writer.
    var started = ContinuousClock.now
    /// Commit something even if there is nothing, to learn whether commits succeed.
    var probes = false
}

/// Where the writer's state sends what is to be committed: one at a time. A thread of its own in the server; in tests, the caller's.
protocol CommitLane: AnyObject {
    /// Takes a commit; only when the last one's outcome was taken.
    func submit(_ commit: PendingCommit)

    /// What became of the last one; `nil` when that is not known yet, which it always is when `waits`.
    func takeOutcome(waits: Bool) -> Result<Void, StoreError>?
}
