/// A derived counter as the store keeps it. Counters never fall and are never deleted.
package struct CounterRow: Equatable, Sendable {
    /// The counter's position in the order of creation, from 0; its row id in the store.
    package var id: Int
    /// The family's base name, such as `agent_tool_calls_total`; histograms use it with `_bucket` and `_sum`.
    package var family: String
    /// The labels as they stand between the braces of the exposition, in the family's label order.
    package var labels: String
    /// Counts as they are, seconds as nanoseconds.
    package var value: Int64
    package var createdUnixNano: Int64

    package init(id: Int, family: String, labels: String, value: Int64, createdUnixNano: Int64) {
        self.id = id
        self.family = family
        self.labels = labels
        self.value = value
        self.createdUnixNano = createdUnixNano
    }
}

/// A label value that was admitted under its cap, first come, never evicted.
package struct LabelRow: Equatable, Sendable {
    /// The label's name: `service_name`, `tool`, `workflow` or `model`.
    package var label: String
    /// The service that the value belongs to; empty for `service_name` itself.
    package var scope: String
    package var value: String
    package var firstSeenUnixNano: Int64

    package init(label: String, scope: String, value: String, firstSeenUnixNano: Int64) {
        self.label = label
        self.scope = scope
        self.value = value
        self.firstSeenUnixNano = firstSeenUnixNano
    }
}

/// A piece of derivation state that is replaced as a whole: a breaker machine, a gauge, the settle watermark.
package struct StateRow: Equatable, Sendable {
    /// What kind of state it is; keys are unique within a kind.
    package var kind: String
    package var key: String
    /// The state as JSON text, so that SQL can read it.
    package var value: String

    package init(kind: String, key: String, value: String) {
        self.kind = kind
        self.key = key
        self.value = value
    }
}

/// An edge of a breaker, reported by an agent or derived by the fuse table.
package struct BreakerTransitionRow: Equatable, Sendable {
    package var timeUnixNano: Int64
    package var serviceName: String
    /// The breaker's scope: an instance, a `breaker.id`, or empty for one that the whole service shares.
    package var scope: String
    package var toolName: String
    /// Reported by the agent, else derived.
    package var isReported: Bool
    package var fromState: String
    package var toState: String
    /// The span whose observation moved it.
    package var traceID: TraceID
    package var spanID: SpanID

    package init(
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
