import TelemetryModel

/// The place of an observation in the order of events: metrics.md 2.3. Times are steady (`SettleClock`).
struct OrderKey: Comparable, Sendable {
    /// How often the wall clock had jumped: what came after a jump stands behind what came before, whatever the times say.
    var epoch: UInt32 = 0
    /// When it was observed, at most the time of receipt.
    var time: Int64
    /// When its span began, at most `time` of the span's end.
    var start: Int64
    var traceID: TraceID
    var spanID: SpanID
    /// Among the observations of one span.
    var index: UInt16

    @inline(__always)
    static func < (left: OrderKey, right: OrderKey) -> Bool {
        if left.epoch != right.epoch { return left.epoch < right.epoch }
        if left.time != right.time { return left.time < right.time }
        if left.start != right.start { return left.start < right.start }
        if left.traceID != right.traceID { return left.traceID < right.traceID }
        if left.spanID != right.spanID { return left.spanID < right.spanID }
        return left.index < right.index
    }

    init(epoch: UInt32 = 0, time: Int64, start: Int64, traceID: TraceID, spanID: SpanID, index: UInt16) {
        self.epoch = epoch
        self.time = time
        self.start = start
        self.traceID = traceID
        self.spanID = spanID
        self.index = index
    }

    /// Reads `time:start:trace:span:index`, ids in hexadecimal, and `:epoch` unless that is 0: what `StateWriter` writes.
    init?(text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 5 || parts.count == 6, let time = Int64(parts[0]), let start = Int64(parts[1]),
            let traceID = TraceID(hexadecimal: parts[2]), let spanID = SpanID(hexadecimal: parts[3]),
            let index = UInt16(parts[4]), let epoch = parts.count == 6 ? UInt32(parts[5]) : 0
        else { return nil }
        self.init(epoch: epoch, time: time, start: start, traceID: traceID, spanID: spanID, index: index)
    }
}
