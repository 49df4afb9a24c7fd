/// What the times of a span say where its client left some out: 0 is no time (docs/metrics.md 2.8).
public enum SpanTimes {
    /// Whether a span has a start and an end: no other span is an attempt or a run.
    @inlinable
    @inline(__always)
    public static func isTimed(start: Int64, end: Int64) -> Bool { start != 0 && end != 0 }

    /// The latest time that is known of a span: its end, else its start, else when it was received. Retention, `forget`, prices and reports go by it.
    @inlinable
    @inline(__always)
    public static func latestKnown(start: Int64, end: Int64, received: Int64) -> Int64 {
        end != 0 ? end : start != 0 ? start : received
    }
}
