package import Derivations
import Evals
package import SegmentFormat
import SemanticColumns
package import SpanStore
import TelemetryModel

/// Everything that the writer's thread owns: what it knows of stored spans, the derivations, and the group of spans that is being
/// gathered. It is used by that thread alone; `@unchecked Sendable` because tasks carry a reference to it across, and run there.
///
/// While a group is being committed the next one is gathered on top of it. When a commit fails, both are given up: those who wait
/// are told to send again, and the derivations are read anew from the store.
final class WriterState: @unchecked Sendable {
    /// Bytes of requests that one group holds at most, unless a single request is larger.
    private static let groupBytesMax = 64 << 20
    /// A snapshot is taken this often though nobody asks for one.
    private static let snapshotNanoseconds: Int64 = 5_000_000_000

    let presence: SpanPresence
    private let lane: any CommitLane
    private let restorer: DerivationRestorer
    private let board: SnapshotBoard
    /// How many commits that change derivations were handed over.
    private var commits = 0
    /// When the last snapshot was taken, on the clock of `Moment.elapsed`.
    private var lastSnapshot: Int64 = 0
    private var elapsed: Int64 = 0
    private var gatherer: SpanGatherer
    /// Log records that go with the next commit.
    private var logs = LogGroup()
    /// Who waits for what is being gathered, and since when.
    private var answers: [PendingCommit.Answer] = []
    private var started = ContinuousClock.now
    private var pendingBytes = 0
    /// The group at the lane: its spans are known here until they are known to be stored.
    private var committing: SpanGroup?
    /// The derivations hold what was given up, and reading back what is committed has failed.
    private var isStale = false
    /// The wall clock of the moment that the derivations were told last: when what is gathered was received. It may go back.
    private(set) var clockUnixNano: Int64 = 0
    /// While the disk is suspect nothing is committed, counters included.
    var isSuspended = false
    /// How many observations waited when the last group was handed over.
    private var shownWaiting = 0
    /// Whether the last try to commit failed.
    private(set) var lastCommitFailed = false

    /// - Parameters:
    ///   - restored: the derivations as `restorer` read them.
    ///   - board: where what is committed is shown.
    init(
        presence: SpanPresence, lane: any CommitLane, restorer: DerivationRestorer, restored: SpanDerivations,
        board: SnapshotBoard, table: ColumnTable
    ) throws(StoreError) {
        self.presence = presence
        self.lane = lane
        self.restorer = restorer
        self.board = board
        gatherer = SpanGatherer(presence: presence, derivations: restored, table: table, prices: try presence.prices())
        presence.keepUnsettled(gatherer.derivations.unsettledSpans)
    }

    /// What was derived, of what is committed and what is gathered. A copy: not for every round.
    var derivations: SpanDerivations { gatherer.derivations }

    /// Observations that wait for older ones.
    var pendingObservations: Int { gatherer.pendingObservations }

    // MARK: Gathering

    /// How many more spans the group takes.
    var room: Int {
        pendingBytes < Self.groupBytesMax ? SegmentFormat.spansPerCommitMax - gatherer.group.spanCount - logs.recordCount : 0
    }

    /// Nothing was gathered since the last commit.
    var isEmpty: Bool { gatherer.group.isEmpty && answers.isEmpty }

    /// Takes a request in. It is answered when its last span is durable, or when that failed.
    func store(_ request: consuming IngestQueue.Request, now: Moment) {
        let finish = request.finish
        do throws(StoreError) {
            try refresh()
            // One time for all of a group, as for all of a request.
            if gatherer.group.isEmpty { advance(to: now) }
            if isEmpty { started = request.enqueued }
            pendingBytes += request.bytes
            let result: IngestResult
            if let logs = request.logs {
                result = take(logs)
                if !request.batch.spans.isEmpty { _ = try append(&request.batch) }
            } else {
                result = try append(&request.batch)
            }
            answers.append(PendingCommit.Answer(result: result, finish: finish))
        } catch {
            giveUp(error)
            finish(.failure(.store(error)))
        }
    }

    /// Gathers a batch's log records, and the evals among them.
    private func take(_ batch: LogBatch) -> IngestResult {
        gatherer.annex.add(AnnexRows(evals: LogEvalExtractor.evals(of: batch)))
        logs.append(batch, receivedTimeUnixNano: clockUnixNano)
        return IngestResult(rejections: SpanRejections())
    }

    /// Gathers a batch's spans; hands over each time that the group is full.
    private func append(_ batch: inout SpanBatch) throws(StoreError) -> IngestResult {
        var result = IngestResult(rejections: batch.rejections)
        gatherer.begin(&batch)
        var next = 0
        while next < batch.spans.count {
            next = try gatherer.append(&batch, from: next, &result, committing: &committing)
            if gatherer.group.spanCount == SegmentFormat.spansPerCommitMax { try handOver() }
        }
        return result
    }

    // MARK: Committing

    /// Hands over what was gathered, if there is something and the lane is free.
    func handOverIfFree() {
        settle(waits: false)
        if committing == nil && !isEmpty { submit() }
    }

    /// Hands over what was gathered, when the lane is free.
    private func handOver() throws(StoreError) {
        if let error = settle(waits: true) { throw error }
        submit()
    }

    /// Commits all that was gathered or derived, and learns what became of it.
    func drain() {
        settle(waits: true)
        if !isStale && !isSuspended {
            submit()
            settle(waits: true)
        }
    }

    /// Shows what is committed to who waits for it, when nothing is under way and nothing gathered: the derivations are what the
    /// file holds.
    func showIfWanted() {
        settle(waits: false)
        if board.isWanted, committing == nil, isEmpty, !isStale, !isSuspended { board.put(gatherer.derivations.view) }
    }

    private func submit() {
        let (group, changes, annex) = gatherer.take()
        committing = group
        // A call that does not count settles without a row; that it no longer waits is shown all the same.
        let waiting = gatherer.pendingObservations
        let changesDerivations = !group.isEmpty || !changes.isEmpty || waiting != shownWaiting
        shownWaiting = waiting
        if changesDerivations { commits += 1 }
        let takesSnapshot =
            changesDerivations
            && (board.isWanted || elapsed - lastSnapshot >= Self.snapshotNanoseconds)
        if takesSnapshot { lastSnapshot = elapsed }
        lane.submit(
            PendingCommit(
                group: group, rows: DerivationRows(changes), annex: annex, logs: logs, answers: answers,
                nowUnixNano: clockUnixNano,
                unsettledSpans: gatherer.derivations.unsettledSpans,
                number: changesDerivations ? commits : nil,
                snapshot: takesSnapshot ? gatherer.derivations.view : nil,
                started: started,
                // Nobody may be sending while readiness says that nothing is taken, and a commit of nothing tells nothing.
                probes: lastCommitFailed))
        answers = []
        logs = LogGroup()
        pendingBytes = 0
    }

    /// Learns what became of the group at the lane; gives the error when it failed, and then what was gathered is gone too.
    @discardableResult
    private func settle(waits: Bool) -> StoreError? {
        guard committing != nil, let outcome = lane.takeOutcome(waits: waits) else { return nil }
        committing = nil
        switch outcome {
        case .success:
            lastCommitFailed = false
            presence.settle()
            return nil
        case .failure(let error):
            lastCommitFailed = true
            discard(error)
            return error
        }
    }

    /// Forgets what was gathered, after an error other than a commit's.
    private func giveUp(_ error: StoreError) {
        settle(waits: true)
        discard(error)
    }

    private func discard(_ error: StoreError) {
        let answers = answers
        self.answers = []
        logs = LogGroup()
        pendingBytes = 0
        gatherer.discard()
        isStale = true
        for answer in answers { answer.finish(.failure(.store(error))) }
        // When this fails it is tried again before the next span.
        try? refresh()
    }

    /// Reads the derivations anew from the store after something was given up.
    private func refresh() throws(StoreError) {
        guard isStale else { return }
        gatherer.replace(try restorer.restored(prices: try presence.prices()))
        isStale = false
    }

    /// The disk is trusted again: goes on from what is committed.
    func resume() throws(StoreError) {
        isStale = true
        try refresh()
        isSuspended = false
        lastCommitFailed = false
    }

    // MARK: Time

    private func advance(to now: Moment) {
        clockUnixNano = now.unixNano
        elapsed = now.elapsed
        gatherer.advance(to: now)
    }

    /// Lets observations settle and breakers expire, and hands over what that changed: at each step of the derivations' clock, since
    /// between two of them nothing can. So a writer that is woken by its own commits comes to rest.
    func tick(now: Moment) {
        settle(waits: false)
        guard committing == nil, !isSuspended, (try? refresh()) != nil else { return }
        let before = gatherer.settleClock
        advance(to: now)
        if gatherer.settleClock > before { submit() }
    }

    /// Commits rows that stand beside the spans: imported evals, prices, stalls, a heartbeat. Waits for it.
    func store(_ rows: AnnexRows, now: Moment) throws(StoreError) {
        settle(waits: true)
        if isSuspended { throw .setting("the disk failed, and the data file is being checked") }
        try refresh()
        advance(to: now)
        gatherer.annex.add(rows)
        submit()
        if let error = settle(waits: true) { throw error }
        if let prices = rows.prices { gatherer.replace(prices) }
    }

    /// Counts requests between services, and how far finding them has come. Waits for the commit.
    func count(_ update: ServiceGraphUpdate, now: Moment) throws(StoreError) {
        settle(waits: true)
        if isSuspended { throw .setting("the disk failed, and the data file is being checked") }
        try refresh()
        advance(to: now)
        gatherer.count(update)
        submit()
        if let error = settle(waits: true) { throw error }
    }

    /// How far requests between services are counted in the file.
    func serviceGraphCursor() throws(StoreError) -> ServiceGraphCursor {
        settle(waits: true)
        try refresh()
        return gatherer.serviceGraphCursor
    }
}

extension DerivationRows {
    package init(_ changes: DerivationChanges) {
        self.init()
        counters = changes.counters
        counterValues = changes.counterValues
        labels = changes.labels
        states = changes.states
        transitions = changes.transitions
        openings = changes.openings
        removedStates = changes.removedStates.map { StateRow(kind: $0.kind, key: $0.key, value: "") }
    }
}

extension AnnotationValues {
    /// The texts of a classification, by their codes.
    package static let derived = AnnotationValues(
        stages: Stage.allCases.map(\.rawValue), outcomes: Outcome.allCases.map(\.rawValue),
        timeoutReasons: TimeoutReason.allCases.map(\.rawValue), timeoutPhases: Phase.allCases.map(\.rawValue))
}
