import Derivations
import TelemetryModel

/// A time limit of a call.
package enum Fuse: String, CaseIterable, Sendable {
    case connect
    case firstToken = "first_token"
    case gap
    case answer
    case total
}

/// The fuses of one call from the moment that it got its slot: which one burns, and until when. Times are nanoseconds.
package struct CallFuses: Sendable {
    private enum Phase {
        case connecting(since: Int64)
        case waiting
        case flowing(lastToken: Int64)
    }

    private let limits: FuseLimits
    private let isStreamed: Bool
    private let firstTokenDeadline: Int64?
    private let endDeadline: (fuse: Fuse, at: Int64)?
    private var phase: Phase

    /// - Parameter promptTokens: about how many; the first token may take longer for more.
    package init(_ limits: FuseLimits, isStreamed: Bool, promptTokens: Int, grantedAt: Int64) {
        self.limits = limits
        self.isStreamed = isStreamed
        firstTokenDeadline =
            isStreamed ? limits.firstToken(promptTokens: promptTokens).map { grantedAt.addingSaturated($0) } : nil
        let total = limits.totalNanoseconds.map { (fuse: Fuse.total, at: grantedAt.addingSaturated($0)) }
        let answer = isStreamed ? nil : limits.answerNanoseconds.map { (fuse: Fuse.answer, at: grantedAt.addingSaturated($0)) }
        endDeadline = [total, answer].compactMap { $0 }.min { $0.at < $1.at }
        phase = .connecting(since: grantedAt)
    }

    /// A further attempt of the same call begins.
    package mutating func connects(at now: Int64) { phase = .connecting(since: now) }

    package mutating func connected() { phase = .waiting }

    /// A token came. Ends the first-token fuse, and lets the next gap begin.
    package mutating func token(at now: Int64) { phase = .flowing(lastToken: now) }

    /// The fuse that burns down first, and when.
    package var next: (fuse: Fuse, at: Int64)? {
        let own: (fuse: Fuse, at: Int64)? =
            switch phase {
            case .connecting(let since): (.connect, since.addingSaturated(limits.connectNanoseconds))
            case .waiting: nil
            case .flowing(let last): isStreamed ? limits.gapNanoseconds.map { (.gap, last.addingSaturated($0)) } : nil
            }
        var first: (fuse: Fuse, at: Int64)?
        if case .flowing = phase {} else { first = firstTokenDeadline.map { (.firstToken, $0) } }
        return [own, first, endDeadline].compactMap { $0 }.min { $0.at < $1.at }
    }

    /// The fuse that has blown by now; `nil` when none has.
    package func blown(at now: Int64) -> Fuse? {
        guard let next, now >= next.at else { return nil }
        return next.fuse
    }
}
