import TelemetryModel

/// What is known of the health of a backend that runs by itself, by evidence with an age. It is shown, and decides nothing: calls
/// go by the breaker.
package struct BackendWatch: Equatable, Sendable {
    package enum State: String, CaseIterable, Sendable {
        /// Nothing is known yet.
        case unknown
        case ready
        case loading
        /// It answers nothing.
        case silent
        /// What was known is too old to go by.
        case stale
    }

    /// Between questions to one without calls, and to one that did not answer. Calls that bring something take the place of questions.
    package static let idlePause: Int64 = 5_000_000_000
    package static let silentPause: Int64 = 2_000_000_000
    /// Evidence older than this many questions' time is none.
    package static let staleAfter: Int64 = 3 * (idlePause + silentPause)

    package private(set) var lastEvidence: Int64?
    private var last = State.unknown
    private var progress: UInt64 = 0
    private var askAt: Int64
    private var isAsking = false

    package init(at now: Int64) {
        askAt = now
    }

    /// Takes in what is seen; says whether the backend is to be asked for its health.
    ///
    /// - Parameter progress: counts what its calls brought.
    package mutating func look(progress: UInt64, answer: Sight.Answer?, at now: Int64) -> Bool {
        if let answer { take(answer, now) }
        if progress != self.progress {
            self.progress = progress
            lastEvidence = now
            last = .ready
            askAt = now.addingSaturated(Self.idlePause)
        }
        guard !isAsking, now >= askAt else { return false }
        isAsking = true
        return true
    }

    private mutating func take(_ answer: Sight.Answer, _ now: Int64) {
        isAsking = false
        lastEvidence = now
        switch answer {
        case .ready, .slots: last = .ready
        case .loading: last = .loading
        case .nothing: last = .silent
        }
        askAt = now.addingSaturated(last == .ready ? Self.idlePause : Self.silentPause)
    }

    package func state(at now: Int64) -> State {
        guard let lastEvidence else { return .unknown }
        return now.subtractingSaturated(lastEvidence) > Self.staleAfter ? .stale : last
    }
}
