package import Derivations

/// A request that the rules know of, from its arrival to its end.
package struct Ticket: Hashable, Comparable, Sendable {
    package let number: UInt64

    package static func < (left: Ticket, right: Ticket) -> Bool { left.number < right.number }
}

/// Leave to make an attempt at a backend.
package struct Grant: Equatable, Sendable {
    /// Position in `GatewayPlan.backends`.
    package var backend: Int
    /// From 1 on.
    package var attempt: Int
    package var isProbe: Bool
    /// How long to wait before it.
    package var delayNanoseconds: Int64
}

/// What the rules want done. Every ticket gets exactly one of `refuse` and `start`, and after a `start` more starts or one `giveUp`.
package enum GatewayAction: Equatable, Sendable {
    case start(Ticket, Grant)
    /// It never ran, or was sent back into the queue and ran out of time there.
    case refuse(Ticket, GatewayRefusal)
    /// The attempt that failed was the last one. The slot is held until `finish`.
    case giveUp(Ticket)
}

/// Whether calls may go to a backend whose process is looked after here.
package enum GatewayAvailability: Equatable, Sendable {
    case up
    /// Not now; who waits for it waits on.
    case down
    /// Not soon, and why.
    case hopeless(String)
}

/// What there is to see of the rules at a moment.
package struct GatewayView: Equatable, Sendable {
    package struct Model: Equatable, Sendable {
        package var name: String
        package var backends: [String]
        package var waiting: Int
        package var queueDepth: Int
        /// Why it does not keep up; empty when it does.
        package var saturation: [Saturation.Cause]
    }

    package struct Backend: Equatable, Sendable {
        package var name: String
        package var kind: BackendPlan.Kind
        package var running: Int
        package var slots: Int
        package var breaker: BreakerState
        /// Until a probe may go; 0 unless the breaker is open.
        package var cooldownNanoseconds: Int64
        package var failures: Int
        package var opens: Int64
        /// Of its breaker, oldest first.
        package var changes: [BackendBreaker.Change]
        /// Until its own word that it is busy or loading is over.
        package var pauseNanoseconds: Int64
        package var isLoading: Bool
        /// Whether calls may go to it; always, unless its process is looked after here.
        package var availability: GatewayAvailability
        /// A connection to its process was lost, and nobody looked since.
        package var isDoubted: Bool
        /// Calls that it works on and did not get from here, as it last said.
        package var foreignCalls: Int
        /// Since it last gave a token or a good answer; `nil` when it never did.
        package var sinceSuccessNanoseconds: Int64?
    }

    package var models: [Model]
    package var backends: [Backend]
    package var running: Int
    package var callsMax: Int?
}
