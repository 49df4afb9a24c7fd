/// What the derivations said of a span, and when it came: what the caller adds to a span when it goes into the store.
package struct SpanAnnotations: Sendable {
    package var stage: String = ""
    /// Empty when the span is no attempt.
    package var outcome: String = ""
    package var timeoutReason: String = ""
    package var timeoutPhase: String = ""
    package var receivedTimeUnixNano: Int64 = 0

    package init() {}
}
