/// What may become of an attempt at a backend, other than a good answer.
package enum AttemptEnd: Equatable, Sendable {
    /// No connection, or none in time.
    case connectFailed
    /// A kept connection was closed before anything came over it: the backend had given it up.
    case keptConnectionClosed
    /// The connection broke before the answer began.
    case brokenBeforeAnswer
    /// The answer's status, which is no success, and the first bytes of its body.
    case status(Int, isLoading: Bool)
    case fuse(Fuse)
    /// After the answer began it ended without its proper end, or said that it failed; `wasClosed`: the connection broke.
    case brokenAnswer(wasClosed: Bool)
    case clientLeft
}

/// What an attempt's end means: for the backend's breaker, and for the request.
package struct Judgement: Equatable, Sendable {
    package enum Retry: Equatable, Sendable {
        case never
        /// At once on a new connection; costs no retry.
        case free
        /// If the retry limits allow and no byte of an answer went to the client.
        case limited
        /// Back into the queue: the backend has no room now.
        case wait
        /// Back into the queue: its process may have died, and will be there again.
        case lost
    }

    package var evidence: Evidence
    package var retry: Retry

    /// The table of docs/gateway.md, "What counts".
    ///
    /// - Parameter isSupervised: whether the backend's process is looked after here. What its end would explain says nothing against it
    ///   before somebody looked.
    package init(_ end: AttemptEnd, isSupervised: Bool = false) {
        switch end {
        case .connectFailed, .brokenBeforeAnswer, .fuse(.connect):
            if isSupervised { self.init(.doubt, .lost) } else { self.init(.failure, .limited) }
        case .brokenAnswer(let wasClosed): self.init(isSupervised && wasClosed ? .doubt : .failure, .never)
        case .keptConnectionClosed: self.init(.nothing, .free)
        case .status(let status, let isLoading): self.init(status: status, isLoading: isLoading)
        case .fuse(.firstToken), .fuse(.gap), .fuse(.answer): self.init(.timeout, .never)
        // The operator's own cap: a long answer is no failure of the backend.
        case .fuse(.total): self.init(.nothing, .never)
        case .clientLeft: self.init(.nothing, .never)
        }
    }

    private init(status: Int, isLoading: Bool) {
        switch status {
        case 429, 503, 529: self.init(.nothing, .wait)
        case 500, 502, 504: self.init(.failure, .limited)
        case 505...: self.init(.failure, .never)
        default: self.init(.nothing, .never)
        }
    }

    package init(_ evidence: Evidence, _ retry: Retry) {
        self.evidence = evidence
        self.retry = retry
    }
}
