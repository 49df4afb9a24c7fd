/// What the derivations said of a span, and when it came: what the caller adds to a span when it goes into the store.
///
/// Texts are given as numbers: 0 for none, else the position plus one among the values of `AnnotationValues`.
public struct SpanAnnotations: Sendable {
    public var stage: UInt8 = 0
    /// None when the span is no attempt.
    public var outcome: UInt8 = 0
    public var timeoutReason: UInt8 = 0
    public var timeoutPhase: UInt8 = 0
    public var receivedTimeUnixNano: Int64 = 0

    public init() {}
}

/// The texts that annotations stand for.
public struct AnnotationValues: Sendable {
    public var stages: [String]
    public var outcomes: [String]
    public var timeoutReasons: [String]
    public var timeoutPhases: [String]

    public init(stages: [String], outcomes: [String], timeoutReasons: [String], timeoutPhases: [String]) {
        self.stages = stages
        self.outcomes = outcomes
        self.timeoutReasons = timeoutReasons
        self.timeoutPhases = timeoutPhases
    }
}
