/// What to do about the write-ahead log, step by step: from its length, from how much of it is copied, and from what was tried.
///
/// A value that neither reads a clock nor touches a file. The longer the log, the more is asked of others for its sake: first
/// nothing, then that new questions of this process wait, then that commits do. A reader that outlasts that is let be until it
/// has ended: to wait for it again would cost much and win nothing.
package struct CheckpointPolicy: Sendable {
    package struct Limits: Sendable {
        /// A log file of this many bytes is copied.
        package var bytesToCopy: Int64 = 16 << 20
        /// A log of this many bytes shall start over.
        package var bytesToRestart: Int64 = 48 << 20
        /// A log file of this many bytes is cut to nothing when it starts over.
        package var bytesToTruncate: Int64 = 112 << 20
        /// What is left to copy of a log that may start over at once: commits wait for no more than this while the log is short.
        package var heldBytesMax: Int64 = 4 << 20
        /// Passes beside the writer in one run.
        package var passesMax = 4
        /// By the length of the log, the longest first: for how long new questions wait for those under way, and commits for
        /// readers of other processes.
        package var patience: [(bytes: Int64, Patience)] = [
            (160 << 20, Patience(questions: .seconds(10), commits: .seconds(8), heldBytes: .max)),
            (112 << 20, Patience(questions: .seconds(5), commits: .seconds(6), heldBytes: .max)),
            (96 << 20, Patience(questions: .seconds(3), commits: .seconds(4), heldBytes: .max)),
            (80 << 20, Patience(questions: .seconds(2), commits: .seconds(1), heldBytes: .max)),
            (64 << 20, Patience(questions: .seconds(1), commits: .milliseconds(250))),
            (48 << 20, Patience(questions: .milliseconds(500), commits: .zero)),
        ]
        /// After a wait that won nothing, the next begins when this many times its length have passed.
        package var pauseFactor = 4

        package init() {}
    }

    package struct Patience: Sendable, Equatable {
        package var questions: Duration
        package var commits: Duration
        /// Commits wait while this much is copied, not for more. In a long log it is readers that leave much to copy, and they end only
        /// while no commit gives the next ones something to hold on to.
        package var heldBytes: Int64

        package init(questions: Duration, commits: Duration, heldBytes: Int64 = 4 << 20) {
            self.questions = questions
            self.commits = commits
            self.heldBytes = heldBytes
        }
    }

    /// The log as the last checkpoint found it, in bytes.
    package struct Log: Sendable, Equatable {
        package var bytes: Int64
        /// From its beginning on; what lies behind is needed by a reader, or came since.
        package var copiedBytes: Int64

        package init(bytes: Int64, copiedBytes: Int64) {
            self.bytes = bytes
            self.copiedBytes = copiedBytes
        }

        var leftBytes: Int64 { bytes - copiedBytes }
    }

    package enum Step: Sendable, Equatable {
        /// Nothing, until the next look.
        case rest
        /// Copy beside the writer what no reader needs.
        case copy
        /// Let the log start over, if that is possible at once.
        case restart
        /// Hold new questions back, copy on, and let the log start over as soon as that is possible.
        case waitForQuestions(Duration)
        /// Hold commits, copy the little that is left, and wait until no reader needs the log.
        case waitForReaders(Duration)
    }

    /// A wait that won nothing.
    private struct Failure {
        var log: Log
        var patience: Patience
        var ended: Duration
        /// When it was first noticed that nothing past `log.copiedBytes` can be copied.
        var since: Duration
    }

    package let limits: Limits
    private var failure: Failure?
    private var passes = 0
    private var lastCopiedBytes: Int64 = 0
    private var waitBegan: Duration = .zero

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// For how long one and the same reader has kept the log from starting over, as far as is known; `nil` when none does.
    ///
    /// - Parameter now: on any clock that goes forward, the same one as in `next`.
    package func heldFor(now: Duration) -> Duration? { failure.map { now - $0.since } }

    /// The first step of a run.
    package mutating func first(fileBytes: Int64) -> Step {
        passes = 0
        lastCopiedBytes = 0
        guard fileBytes >= limits.bytesToCopy else {
            failure = nil
            return .rest
        }
        return .copy
    }

    /// What comes after a step.
    ///
    /// - Parameters:
    ///   - log: as it is after the step.
    ///   - isOver: whether the log can start over now: the next commit writes from its beginning.
    package mutating func next(after step: Step, log: Log, isOver: Bool, now: Duration) -> Step {
        if isOver { failure = nil }
        noteProgress(log)
        switch step {
        case .rest: return .rest
        case .copy: return isOver ? .rest : afterCopy(log, now)
        case .restart: return isOver ? .rest : wait(log, now)
        case .waitForQuestions:
            guard !isOver else { return .rest }
            let patience = patience(log)
            guard patience.commits > .zero, log.leftBytes <= patience.heldBytes else { return fail(log, now) }
            return .waitForReaders(patience.commits)
        case .waitForReaders: return isOver ? .rest : fail(log, now)
        }
    }

    private mutating func afterCopy(_ log: Log, _ now: Duration) -> Step {
        passes += 1
        guard log.bytes >= limits.bytesToRestart else { return .rest }
        if log.leftBytes <= limits.heldBytesMax { return .restart }
        let copied = log.copiedBytes - lastCopiedBytes
        lastCopiedBytes = log.copiedBytes
        // Each pass leaves less, as long as it is commits that made the rest and not a reader that needs it.
        return passes < limits.passesMax && copied > limits.heldBytesMax ? .copy : wait(log, now)
    }

    private func patience(_ log: Log) -> Patience {
        limits.patience.first { log.bytes >= $0.bytes }?.1 ?? Patience(questions: .zero, commits: .zero)
    }

    /// Waits for those who read, unless it is known that this is no use.
    private mutating func wait(_ log: Log, _ now: Duration) -> Step {
        let patience = patience(log)
        guard patience.questions > .zero else { return .rest }
        if let failure {
            let isMore = patience.questions > failure.patience.questions || patience.commits > failure.patience.commits
            let isSameReader = log.copiedBytes <= failure.log.copiedBytes
            let pause = (failure.patience.questions + failure.patience.commits) * limits.pauseFactor
            if !isMore && (isSameReader || now < failure.ended + pause) { return .rest }
        }
        waitBegan = now
        return .waitForQuestions(patience.questions)
    }

    private mutating func fail(_ log: Log, _ now: Duration) -> Step {
        let isSameReader = failure.map { log.copiedBytes <= $0.log.copiedBytes } ?? false
        failure = Failure(
            log: log, patience: patience(log), ended: now, since: isSameReader ? failure?.since ?? waitBegan : waitBegan)
        return .rest
    }

    /// A log that is shorter than it was has started over.
    private mutating func noteProgress(_ log: Log) {
        guard let known = failure, log.bytes < known.log.bytes else { return }
        failure = nil
    }
}
