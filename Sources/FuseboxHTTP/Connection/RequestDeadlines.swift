package import NIOCore
import TelemetryModel

/// How long a client may take.
package struct DeadlineLimits: Sendable {
    /// From the begin of a connection to the first request's head, TLS included.
    package var head = TimeAmount.seconds(10)
    /// For a body, beside the time that it has at `bytesPerSecondMin`.
    package var body = TimeAmount.seconds(30)
    /// Slower bodies are given up.
    package var bytesPerSecondMin = 64 << 10
    /// To take an answer, or what of it is in the way.
    package var write = TimeAmount.seconds(30)
    /// Without a request, or without a byte of one that has begun. Common clients drop their connections after 90 s.
    package var idle = TimeAmount.seconds(75)

    package init() {}
}

/// When a client has had its time: a value without a clock, that is told what happens on its connection.
package struct RequestDeadlines: Sendable {
    package enum Breach: Equatable, Sendable {
        /// Nothing came for too long, or nothing was taken.
        case silence
        /// The body came too slowly.
        case slowBody
    }

    private enum Phase {
        /// No request came yet.
        case opening(since: NIODeadline)
        case waiting
        case reading(since: NIODeadline, bytes: Int64)
        /// The request is whole: what takes time now is not the client.
        case answering
    }

    /// A day in milliseconds: no body has longer, whatever it brought.
    private static let earnedMax: Int64 = 86_400_000

    private let limits: DeadlineLimits
    private var phase: Phase
    private var lastRead: NIODeadline
    private var stuckSince: NIODeadline?

    package init(_ limits: DeadlineLimits, openedAt now: NIODeadline) {
        self.limits = limits
        phase = .opening(since: now)
        lastRead = now
    }

    package mutating func headCame(at now: NIODeadline) {
        phase = .reading(since: now, bytes: 0)
        lastRead = now
    }

    package mutating func bodyCame(_ count: Int, at now: NIODeadline) {
        lastRead = now
        if case .reading(let since, let bytes) = phase { phase = .reading(since: since, bytes: bytes.addingSaturated(Int64(count))) }
    }

    package mutating func endCame() { phase = .answering }

    /// The request is answered, and the next may come.
    package mutating func wasAnswered(at now: NIODeadline) {
        phase = .waiting
        lastRead = now
    }

    /// What is written does not go out, or does again.
    package mutating func isStuck(_ isStuck: Bool, at now: NIODeadline) {
        stuckSince = isStuck ? stuckSince ?? now : nil
    }

    package func breach(at now: NIODeadline) -> Breach? {
        if let stuckSince, now - stuckSince >= limits.write { return .silence }
        switch phase {
        case .opening(let since): return now - since >= limits.head ? .silence : nil
        case .waiting: return now - lastRead >= limits.idle ? .silence : nil
        case .reading(let since, let bytes):
            if now - lastRead >= limits.idle { return .silence }
            let earned = min(bytes.multipliedSaturated(by: 1000) / Int64(max(limits.bytesPerSecondMin, 1)), Self.earnedMax)
            return now - since >= limits.body + .milliseconds(earned) ? .slowBody : nil
        case .answering: return nil
        }
    }
}
