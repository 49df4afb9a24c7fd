/// A derived counter as the store keeps it. Counters never fall and are never deleted.
public struct CounterRow: Equatable, Sendable {
    /// The counter's position in the order of creation, from 0; its row id in the store.
    public var id: Int
    /// The family's base name, such as `agent_tool_calls_total`; histograms use it with `_bucket` and `_sum`.
    public var family: String
    /// The labels as they stand between the braces of the exposition, in the family's label order.
    public var labels: String
    /// Counts as they are, seconds as nanoseconds.
    public var value: Int64
    public var createdUnixNano: Int64

    public init(id: Int, family: String, labels: String, value: Int64, createdUnixNano: Int64) {
        self.id = id
        self.family = family
        self.labels = labels
        self.value = value
        self.createdUnixNano = createdUnixNano
    }
}

/// The new value of a counter whose row the store has.
public struct CounterValue: Equatable, Sendable {
    public var id: Int
    public var value: Int64

    public init(id: Int, value: Int64) {
        self.id = id
        self.value = value
    }
}

/// A label value that was admitted under its cap, first come, never evicted.
public struct LabelRow: Equatable, Sendable {
    /// The label's name: `service_name`, `tool`, `workflow`, `model` or `host`.
    public var label: String
    /// The service that the value belongs to; empty for `service_name` itself and for `host`.
    public var scope: String
    public var value: String
    public var firstSeenUnixNano: Int64

    public init(label: String, scope: String, value: String, firstSeenUnixNano: Int64) {
        self.label = label
        self.scope = scope
        self.value = value
        self.firstSeenUnixNano = firstSeenUnixNano
    }
}

/// A piece of derivation state that is replaced as a whole: a breaker machine, a gauge, the settle watermark.
public struct StateRow: Equatable, Sendable {
    /// What kind of state it is; keys are unique within a kind.
    public var kind: String
    public var key: String
    /// The state as JSON text, so that SQL can read it.
    public var value: String

    public init(kind: String, key: String, value: String) {
        self.kind = kind
        self.key = key
        self.value = value
    }
}

/// An edge of a breaker, reported by an agent or derived by the fuse table.
public struct BreakerTransitionRow: Equatable, Sendable {
    public var timeUnixNano: Int64
    public var serviceName: String
    /// The breaker's scope: an instance, a `breaker.id`, or empty for one that the whole service shares.
    public var scope: String
    public var toolName: String
    /// Reported by the agent, else derived.
    public var isReported: Bool
    public var fromState: String
    public var toState: String
    /// The span whose observation moved it.
    public var traceID: TraceID
    public var spanID: SpanID

    public init(
        timeUnixNano: Int64, serviceName: String, scope: String, toolName: String, isReported: Bool, fromState: String,
        toState: String, traceID: TraceID, spanID: SpanID
    ) {
        self.timeUnixNano = timeUnixNano
        self.serviceName = serviceName
        self.scope = scope
        self.toolName = toolName
        self.isReported = isReported
        self.fromState = fromState
        self.toState = toState
        self.traceID = traceID
        self.spanID = spanID
    }
}
