/// One opening of a breaker, as it was written when it happened: docs/metrics.md 2.5 and 2.6. Times are nanoseconds since 1970.
///
/// How long a breaker was open is told by this and by nothing else.
public struct BreakerOpening: Equatable, Sendable {
    public var serviceName: String
    /// As `BreakerTransitionRow.scope`.
    public var scope: String
    public var toolName: String
    /// Reported by the agent, else derived.
    public var isReported: Bool
    public var fromUnixNano: Int64
    /// Where it ended: at an edge, or one cooldown behind the last evidence. `nil` while it runs.
    public var toUnixNano: Int64?
    /// Where it ends at the latest if nothing more is heard; the same as `toUnixNano` once that is known.
    public var untilUnixNano: Int64
    /// What the counter of open time was given for it so far.
    public var creditedNanoseconds: Int64
    /// The span whose observation opened it.
    public var traceID: TraceID
    public var spanID: SpanID

    public init(
        serviceName: String, scope: String, toolName: String, isReported: Bool, fromUnixNano: Int64, toUnixNano: Int64?,
        untilUnixNano: Int64, creditedNanoseconds: Int64, traceID: TraceID, spanID: SpanID
    ) {
        self.serviceName = serviceName
        self.scope = scope
        self.toolName = toolName
        self.isReported = isReported
        self.fromUnixNano = fromUnixNano
        self.toUnixNano = toUnixNano
        self.untilUnixNano = untilUnixNano
        self.creditedNanoseconds = creditedNanoseconds
        self.traceID = traceID
        self.spanID = spanID
    }

    /// `reported` or `derived`.
    package var machine: String { isReported ? "reported" : "derived" }

    /// Where it ends as of a time: one that runs has not ended yet, but counts no further than `untilUnixNano`.
    package func endUnixNano(at now: Int64) -> Int64 {
        max(fromUnixNano, toUnixNano ?? min(now, untilUnixNano))
    }

    /// The time of [from, to) for which it was open, as of a time.
    package func openNanoseconds(from: Int64, to: Int64, at now: Int64) -> Int64 {
        let (start, end) = (max(fromUnixNano, from), min(endUnixNano(at: now), to))
        guard start < end else { return 0 }
        let (nanoseconds, overflow) = end.subtractingReportingOverflow(start)
        return overflow ? .max : nanoseconds
    }

    /// It began in [from, to): that is where it is counted.
    package func isCounted(from: Int64, to: Int64) -> Bool { fromUnixNano >= from && fromUnixNano < to }
}
