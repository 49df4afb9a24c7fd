import TelemetryModel

/// What one span, or one transition event, says about a breaker while it waits for older ones: 56 bytes.
///
/// It can hold an observation of the reported breaker, one of the derived breaker, or both; either is taken away when applied.
struct PendingObservation: Sendable {
    /// What kind of thing reported a state.
    enum Kind: UInt8, Sendable {
        case attempt = 0
        case rejection = 1
        case transition = 2
    }

    let time: Int64
    let start: Int64
    let traceHigh: UInt64
    let traceLow: UInt64
    let span: UInt64
    /// The number of the receipt that it came with.
    let receipt: UInt32
    let epoch: UInt32
    let index: UInt16
    /// From the lowest bit: reported waits 1, derived waits 1, state 2, kind 2, stage 3, outcome 2, duration class 2.
    private var bits: UInt16

    init(order: OrderKey, receipt: UInt32, stage: Stage) {
        epoch = order.epoch
        time = order.time
        start = order.start
        traceHigh = order.traceID.high
        traceLow = order.traceID.low
        span = order.spanID.value
        self.receipt = receipt
        index = order.index
        bits = UInt16(stage.code) << 6
    }

    @inline(__always)
    mutating func setReported(_ state: BreakerState, _ kind: Kind) {
        bits |= 1 | UInt16(state.code) << 2 | UInt16(kind.rawValue) << 4
    }

    @inline(__always)
    mutating func setDerived(_ outcome: Outcome, _ duration: VectorWindow.DurationClass) {
        bits |= 2 | UInt16(outcome.code) << 9 | UInt16(duration.rawValue) << 11
    }

    @inline(__always) var isReported: Bool { bits & 1 != 0 }
    @inline(__always) var isDerived: Bool { bits & 2 != 0 }
    @inline(__always) var isEmpty: Bool { bits & 3 == 0 }
    @inline(__always) mutating func clearReported() { bits &= ~1 }
    @inline(__always) mutating func clearDerived() { bits &= ~2 }

    var state: BreakerState { BreakerState(code: UInt8(truncatingIfNeeded: bits >> 2 & 3)) }
    var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: bits >> 4 & 3)) ?? .transition }
    var stage: Stage { Stage(code: UInt8(truncatingIfNeeded: bits >> 6 & 7)) }
    var outcome: Outcome { Outcome(code: UInt8(truncatingIfNeeded: bits >> 9 & 3)) }
    var duration: VectorWindow.DurationClass {
        VectorWindow.DurationClass(rawValue: UInt8(truncatingIfNeeded: bits >> 11 & 3)) ?? .slow
    }

    var order: OrderKey {
        OrderKey(
            epoch: epoch, time: time, start: start, traceID: TraceID(high: traceHigh, low: traceLow), spanID: SpanID(span),
            index: index)
    }

    @inline(__always)
    func precedes(_ other: PendingObservation) -> Bool {
        if epoch != other.epoch { return epoch < other.epoch }
        return time != other.time ? time < other.time : order < other.order
    }
}
