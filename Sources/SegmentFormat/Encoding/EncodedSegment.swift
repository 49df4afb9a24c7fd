/// A segment ready to be inserted.
package struct EncodedSegment: Sendable {
    package var statistics: SegmentStatistics
    package var spanCount: Int
    package var directory: [UInt8]
    package var traceFilter: TraceFilter
    package var streams: [[UInt8]]
    /// Bytes of streams that are in the file already.
    package var builtBytes = 0

    package var storedBytes: Int {
        directory.count + traceFilter.byteCount + streams.reduce(builtBytes) { $0 + $1.count }
    }
}

/// What lets a query skip a segment by time.
package struct SegmentStatistics: Equatable, Sendable {
    package var startMinimum = Int64.max
    package var startMaximum = Int64.min
    package var endMinimum = Int64.max
    package var endMaximum = Int64.min
    package var receivedMinimum = Int64.max
    package var receivedMaximum = Int64.min

    /// Of no span.
    package init() {}

    /// A time that no span of the segment is known to be past: where all have ends, the latest of them; else starts count as well, and
    /// where some have no start either, receipts.
    package var latestMaximum: Int64 {
        if endMinimum > 0 { return endMaximum }
        return max(endMaximum, startMaximum, startMinimum > 0 ? .min : receivedMaximum)
    }

    @inline(__always)
    package mutating func include(start: Int64, end: Int64, received: Int64) {
        startMinimum = min(startMinimum, start)
        startMaximum = max(startMaximum, start)
        endMinimum = min(endMinimum, end)
        endMaximum = max(endMaximum, end)
        receivedMinimum = min(receivedMinimum, received)
        receivedMaximum = max(receivedMaximum, received)
    }
}
