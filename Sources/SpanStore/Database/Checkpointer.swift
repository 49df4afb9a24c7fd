import CSQLite
import Dispatch
import SQLite

/// Keeps the writer's transactions and the rare checkpoint that needs them to stand still apart.
package final class CommitGate: Sendable {
    private let turn = DispatchSemaphore(value: 1)

    package init() {}

    func whileCheckpointsWait<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        turn.wait()
        defer { turn.signal() }
        return try body()
    }
}

/// Copies the write-ahead log into the database file and lets it start over, on a connection and a thread of its own, so that no
/// commit pays for it. `CheckpointPolicy` says what to do when, and docs/adr/0054 why.
package final class Checkpointer {
    /// Between two tries while new questions are held back: each holds commits for a moment.
    private static let restartInterval = Duration.milliseconds(20)
    /// When no question of this process is under way, readers of others get this long to leave a gap before commits are held.
    private static let gapWait = Duration.milliseconds(500)
    /// For so long questions that were asked to end are waited for: they look after each segment.
    private static let endWait = Duration.milliseconds(500)

    package enum Outcome: Sendable, Equatable {
        /// The log was short.
        case idle
        /// All of it is copied, or as much as was wanted.
        case copied
        /// The next commit writes from the log's beginning.
        case startedOver
        /// A reader needs old frames; the rest is copied later.
        case busy
    }

    private let connection: Connection
    private let gate: CommitGate
    private let turns: ReadingTurns
    private let logPath: String
    private let pageBytes: Int64
    private let wait: ReaderWait
    private var policy: CheckpointPolicy
    private let began = ContinuousClock.now
    /// The log when it last could start over, and its salt: as long as both are the same, nothing was written since. Its length alone
    /// does not tell: the commits that follow may make it just as long again.
    private var logStartedOver: (log: CheckpointPolicy.Log, salt: UInt64)?
    private var lastLog: CheckpointPolicy.Log?
    /// The longest that commits waited for a checkpoint.
    package private(set) var longestHold: Duration = .zero

    package init(
        folder: StoreFolder, gate: CommitGate, turns: ReadingTurns = ReadingTurns(), policy: CheckpointPolicy = CheckpointPolicy()
    ) throws(StoreError) {
        do {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
            try connection.execute("PRAGMA synchronous = FULL")
            try connection.execute("PRAGMA wal_autocheckpoint = 0")
            pageBytes = try connection.integer("PRAGMA page_size") ?? 0
            // Opens the log too: should its name vanish, this connection still has it.
            _ = try connection.integer("SELECT count(*) FROM sqlite_master")
        } catch {
            throw SpanStore.storeError(error)
        }
        wait = ReaderWait(connection)
        self.gate = gate
        self.turns = turns
        self.policy = policy
        logPath = folder.databasePath + "-wal"
    }

    private var now: Duration { ContinuousClock.now - began }

    /// For how long one and the same reader has kept the log from starting over; `nil` when none does.
    package var heldFor: Duration? { policy.heldFor(now: now) }

    /// Does what the log needs. Blocks on the disk and on readers; not for an event loop.
    ///
    /// - Parameter isStopping: asked while it waits; ends the wait.
    package func runIfNeeded(isStopping: @escaping () -> Bool = { false }) throws(StoreError) -> Outcome {
        do {
            var step = policy.first(fileBytes: FileSize.bytes(logPath))
            var outcome = Outcome.idle
            defer { turns.open() }
            while step != .rest {
                let (log, isOver) = try perform(step, isStopping)
                outcome = note(log, isOver)
                step = isStopping() ? .rest : policy.next(after: step, log: log, isOver: isOver, now: now)
            }
            return outcome
        } catch {
            throw .database(error)
        }
    }

    private func note(_ log: CheckpointPolicy.Log, _ isOver: Bool) -> Outcome {
        defer { lastLog = log }
        if isOver {
            let salt = LogHeader.salt(logPath)
            defer { logStartedOver = (log, salt) }
            return isStartedOver(log, salt) ? .idle : .startedOver
        }
        guard log.leftBytes == 0 else { return .busy }
        return log == lastLog ? .idle : .copied
    }

    /// Whether nothing was written since the log could last start over.
    private func isStartedOver(_ log: CheckpointPolicy.Log, _ salt: UInt64) -> Bool {
        logStartedOver.map { $0.log == log && $0.salt == salt } ?? false
    }

    /// Copies all that can be copied, whatever the log's length: for when the log's name is gone and nobody else will find it.
    package func copyAll() throws(StoreError) {
        do {
            _ = try checkpoint(SQLITE_CHECKPOINT_PASSIVE)
        } catch {
            throw .database(error)
        }
    }

    // MARK: Steps

    private typealias Result = (log: CheckpointPolicy.Log, isOver: Bool)

    private func perform(_ step: CheckpointPolicy.Step, _ isStopping: @escaping () -> Bool) throws(SQLiteError) -> Result {
        switch step {
        case .rest: return (CheckpointPolicy.Log(bytes: 0, copiedBytes: 0), false)
        case .copy:
            let log = try checkpoint(SQLITE_CHECKPOINT_PASSIVE).log
            // Nothing came since it could start over: it still can.
            return (log, isStartedOver(log, LogHeader.salt(logPath)))
        case .restart: return try restart(within: .zero, isStopping)
        case .waitForQuestions(let patience):
            turns.close()
            return try restartBesideCommits(within: patience, isStopping)
        case .waitForReaders(let patience):
            turns.close()
            return try restart(within: patience, isStopping)
        }
    }

    /// Tries again and again, while commits go on in between, until those who read have ended.
    private func restartBesideCommits(
        within patience: Duration, _ isStopping: @escaping () -> Bool
    ) throws(SQLiteError) -> Result {
        var deadline = ContinuousClock.now + patience
        var isQuiet = false
        while true {
            let log = try checkpoint(SQLITE_CHECKPOINT_PASSIVE).log
            if turns.active == 0 {
                if !isQuiet { deadline = min(deadline, ContinuousClock.now + Self.gapWait) }
                isQuiet = true
                if log.leftBytes <= policy.limits.heldBytesMax {
                    let result = try restart(within: .zero, isStopping)
                    if result.isOver { return result }
                }
            }
            guard !isStopping() else { return (log, false) }
            if ContinuousClock.now >= deadline {
                // Questions of agents end before commits wait for them.
                guard turns.endThoseBehind() else { return (log, false) }
                deadline = ContinuousClock.now + Self.endWait
            }
            ReaderWait.sleep(Self.restartInterval)
        }
    }

    /// Holds commits, copies what is left and lets the log start over when no reader needs it within `patience`.
    private func restart(within patience: Duration, _ isStopping: @escaping () -> Bool) throws(SQLiteError) -> Result {
        try gate.whileCheckpointsWait { () throws(SQLiteError) in
            let start = ContinuousClock.now
            defer { longestHold = max(longestHold, ContinuousClock.now - start) }
            let isLarge = FileSize.bytes(logPath) >= policy.limits.bytesToTruncate
            return try wait.within(patience, isStopping) { () throws(SQLiteError) in
                try checkpoint(isLarge ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART)
            }
        }
    }

    /// Gives how much of the log is copied; whether it can start over is told by the modes that see to it.
    private func checkpoint(_ mode: Int32) throws(SQLiteError) -> Result {
        var log: Int32 = 0
        var copied: Int32 = 0
        let result = sqlite3_wal_checkpoint_v2(connection.handle, nil, mode, &log, &copied)
        guard result == SQLITE_OK || result & 0xFF == SQLITE_BUSY else { throw connection.error(result, "checkpoint") }
        return (
            CheckpointPolicy.Log(bytes: Int64(max(log, 0)) * pageBytes, copiedBytes: Int64(max(copied, 0)) * pageBytes),
            result == SQLITE_OK && mode != SQLITE_CHECKPOINT_PASSIVE
        )
    }
}
