import TelemetryModel

/// The opening that a breaker is in, as far as its machine knows it. It becomes a row of `breaker_opening`.
struct Opening: Equatable, Sendable {
    var traceID: TraceID
    var spanID: SpanID
    /// By the wall clock of when it was applied.
    var fromUnixNano: Int64
    /// What the counter of open time was given for it.
    var credited: Int64 = 0

    init(_ observation: PendingObservation, at time: Int64, offset: Int64) {
        traceID = observation.order.traceID
        spanID = observation.order.spanID
        fromUnixNano = time.addingSaturated(offset)
    }

    mutating func credit(_ nanoseconds: Int64) { credited = credited.addingSaturated(nanoseconds) }

    /// - Parameter rest: how much longer it counts at most while it runs; `nil` when it is over.
    func row(_ key: BreakerKey, isReported: Bool, rest: Int64?) -> BreakerOpening {
        let end = fromUnixNano.addingSaturated(credited)
        return BreakerOpening(
            serviceName: key.service, scope: key.scope, toolName: key.tool, isReported: isReported, fromUnixNano: fromUnixNano,
            toUnixNano: rest == nil ? end : nil, untilUnixNano: end.addingSaturated(rest ?? 0), creditedNanoseconds: credited,
            traceID: traceID, spanID: spanID)
    }

    /// `trace:span:from:credited`, ids in hexadecimal.
    var text: String { "\(traceID.hexadecimal):\(spanID.hexadecimal):\(fromUnixNano):\(credited)" }

    init?(text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4, let traceID = TraceID(hexadecimal: parts[0]), let spanID = SpanID(hexadecimal: parts[1]),
            let from = Int64(parts[2]), let credited = Int64(parts[3])
        else { return nil }
        self.traceID = traceID
        self.spanID = spanID
        fromUnixNano = from
        self.credited = credited
    }
}

/// The openings of one machine: the one that it is in, and what must be written of them.
struct Openings: Equatable, Sendable {
    private(set) var current: Opening?
    /// Ended, or changed, and not written since. No observation ends more than one.
    private var ended: Opening?
    private var isChanged = false

    init(current: Opening? = nil) {
        self.current = current
    }

    mutating func begin(_ observation: PendingObservation, at time: Int64, offset: Int64) {
        current = Opening(observation, at: time, offset: offset)
        isChanged = true
    }

    mutating func credit(_ nanoseconds: Int64) {
        current?.credit(nanoseconds)
        isChanged = true
    }

    mutating func end() {
        ended = current
        current = nil
        isChanged = false
    }

    /// The one that ended with the observation that was applied last.
    mutating func takeEnded() -> Opening? { ended.take() }

    /// The one that goes on, when it has changed.
    mutating func takeChanged() -> Opening? {
        guard isChanged else { return nil }
        isChanged = false
        return current
    }
}
