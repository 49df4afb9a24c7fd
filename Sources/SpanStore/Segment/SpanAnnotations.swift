package import TelemetryModel

/// What the caller adds to a span when it goes into the store: the columns derived from its attributes and what the derivations
/// said of it.
package struct SpanAnnotations: Sendable {
    /// A value of a column that was derived from attributes.
    package enum Value: Sendable {
        /// A text in the batch's bytes; `sourceKey` is the batch's index of the attribute key that holds exactly this text for
        /// this span, or -1.
        case text(ByteSlice, sourceKey: Int32)
        case integer(Int64, sourceKey: Int32)
    }

    /// Values by position in `SegmentBuilder.derivedColumns`.
    package var values: [(column: Int, value: Value)] = []
    package var stage: String = ""
    /// Empty when the span is no attempt.
    package var outcome: String = ""
    package var timeoutReason: String = ""
    package var timeoutPhase: String = ""
    package var receivedTimeUnixNano: Int64 = 0

    package init() {}
}
