/// What was seen of a process and its server since the last look.
package struct Sight: Equatable, Sendable {
    package enum Process: Equatable, Sendable {
        /// None of ours.
        case none
        case running
        /// It is gone and was waited for; how it ended, in words.
        case ended(String)
    }

    /// Who listens at the port that the process was given.
    package enum PortOwner: Equatable, Sendable {
        case nobody, child, stranger
    }

    /// What came of a question.
    package enum Answer: Equatable, Sendable {
        case ready
        /// Its server is there, its model is not yet.
        case loading
        /// What its slots do: whether any works, and figures that move with the work.
        case slots(isBusy: Bool, mark: UInt64)
        /// None within its time limit, no connection, or an error.
        case nothing
    }

    package enum Wish: Equatable, Sendable {
        case start, stop, restart
    }

    package var process = Process.none
    package var port = PortOwner.nobody
    /// Counts what the process wrote and how it grew.
    package var startProgress: UInt64 = 0
    /// Counts what its calls brought.
    package var callProgress: UInt64 = 0
    /// Calls that it works on.
    package var calls = 0
    package var answer: Answer?
    /// A connection to it was lost in a way that its end would explain.
    package var isDoubted = false
    /// How often its breaker opened.
    package var breakerOpens: Int64 = 0
    package var hasMemory = true
    package var wish: Wish?

    package init() {}
}

/// What is done about a process.
package enum SupervisionAction: Equatable, Sendable {
    package enum Question: Equatable, Sendable {
        case health
        /// What its slots do: llama.cpp.
        case slots
        /// A completion of one token.
        case completion
    }

    /// Give it a port and start it. There is none of its predecessors left.
    case start
    /// Ask it to end.
    case terminate
    /// End it, and whatever it started.
    case kill
    case ask(Question)
    /// Calls may go to it.
    case admit
    /// No call may go to it; `isHopeless`: none that waits will be served soon.
    case hold(isHopeless: Bool)
    /// It lives: what looked like its end was a failure of another kind.
    case vouch
    case tell(SupervisionEvent)
}

/// Why a process is no more, or is ended.
package enum EndReason: String, CaseIterable, Sendable {
    case exited
    case startTimeout = "start_timeout"
    case portConflict = "port_conflict"
    /// It answered no question.
    case unresponsive
    /// Its calls brought nothing, and its slots did not move.
    case stalled
    /// It gave no token to a question of ours.
    case hung
    case asked
}

/// A change in the life of a process, worth a log record.
package enum SupervisionEvent: Equatable, Sendable {
    case starting
    case adopted
    case ready
    case suspect(String)
    case ending(EndReason)
    case ended(EndReason, String)
    case noMemory
    case retries(afterNanoseconds: Int64, failures: Int)
    case stopped
}
