/// A span as the service graph looks at it: docs/metrics.md 2.15. Texts are numbers of `GraphNames`.
package struct GraphSpan: Equatable, Sendable {
    /// The other side of a call that sends no spans, by what names it.
    package enum Peer: UInt8, Sendable {
        case none
        case database
        case messaging
        case model
        /// `peer.service` alone.
        case other
    }

    /// OTLP's kinds.
    package enum Kind {
        package static let server: UInt8 = 2
        package static let client: UInt8 = 3
        package static let producer: UInt8 = 4
        package static let consumer: UInt8 = 5
    }

    /// How many spans came before it.
    package var ordinal: Int64
    package var span: UInt64
    /// 0 for a root.
    package var parent: UInt64
    package var service: Int32
    package var kind: UInt8
    /// Not negative.
    package var durationNanoseconds: Int64 = 0
    package var isFailed = false
    package var peer = Peer.none
    package var peerName: Int32 = 0
    /// Who called it is known, or that nobody did.
    fileprivate(set) var isAnswered = false
    /// It had its turn to call a peer.
    fileprivate(set) var hasAsked = false

    package init(ordinal: Int64, span: UInt64, parent: UInt64, service: Int32, kind: UInt8) {
        (self.ordinal, self.span, self.parent, self.service, self.kind) = (ordinal, span, parent, service, kind)
    }
}

extension GraphSpan {
    mutating func answer() { isAnswered = true }
    mutating func ask() { hasAsked = true }

    /// Whether a span that it is the parent of came in from elsewhere.
    func calls(_ other: GraphSpan) -> Bool {
        service != other.service
            || (kind == Kind.client || kind == Kind.producer) && (other.kind == Kind.server || other.kind == Kind.consumer)
    }
}

/// One request from one node of the graph to another.
package struct GraphRequest: Equatable, Sendable {
    /// The label `connection_type`.
    package enum Connection: String, Sendable {
        /// Between two services.
        case direct = ""
        case database
        case messaging = "messaging_system"
        /// One side sends no spans.
        case virtual = "virtual_node"
    }

    /// Who asks, where nobody's span tells.
    package static let user = "user"

    package var client: String
    package var server: String
    package var connection: Connection
    package var isFailed: Bool
    package var clientNanoseconds: Int64
    package var serverNanoseconds: Int64
    package var traceID: TraceID
    package var spanID: SpanID

    /// An edge of the graph.
    package struct Edge: Hashable, Sendable {
        @ByBytes package var client: String
        @ByBytes package var server: String
        package var connection: Connection

        package init(client: String, server: String, connection: Connection) {
            (self.client, self.server, self.connection) = (client, server, connection)
        }
    }

    package var edge: Edge { Edge(client: client, server: server, connection: connection) }
}

/// Names of services and peers as numbers.
package struct GraphNames: Sendable {
    /// Names that are told apart; those past them share one.
    private static let namesMax = 20_000
    /// Stands for the names past them.
    private static let overflow = "__overflow__"

    private var numbers: [ExactText: Int32] = [:]
    private var names: [String] = []

    package init() {}

    package mutating func number(_ name: String) -> Int32 {
        if let known = numbers[ExactText(name)] { return known }
        let made = names.count < Self.namesMax ? name : Self.overflow
        if made == Self.overflow, let known = numbers[ExactText(made)] { return known }
        let number = Int32(truncatingIfNeeded: names.count)
        names.append(made)
        numbers[ExactText(made)] = number
        return number
    }

    package func name(_ number: Int32) -> String {
        names.indices.contains(Int(number)) ? names[Int(number)] : Self.overflow
    }
}
