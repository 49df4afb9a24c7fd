import SQLite
import TelemetryModel

/// The identities in one segment, sorted by span id for look-ups.
struct StoredIdentities {
    private let traces: [TraceID]
    private let spans: [SpanID]
    private let traceIndices: [UInt32]
    private let hashes: [UInt32]

    init(_ segment: SegmentReader) throws {
        traces = try segment.traceIDs()
        guard let index = try segment.column(.fixed, FixedColumn.traceIndex),
            let span = try segment.column(.fixed, FixedColumn.spanID),
            let hash = try segment.column(.fixed, FixedColumn.contentHash)
        else { throw SegmentError.damaged("no identities") }
        var rows: [(span: SpanID, trace: UInt32, hash: UInt32)] = []
        rows.reserveCapacity(segment.spanCount)
        for row in 0..<segment.spanCount {
            let trace = index.integer(row) ?? -1
            guard trace >= 0, trace < traces.count else { throw SegmentError.damaged("a span of no trace") }
            rows.append(
                (
                    SpanID(UInt64(bitPattern: span.integer(row) ?? 0)), UInt32(trace),
                    UInt32(truncatingIfNeeded: hash.integer(row) ?? 0)
                ))
        }
        rows.sort { $0.span < $1.span }
        spans = rows.map(\.span)
        traceIndices = rows.map(\.trace)
        hashes = rows.map(\.hash)
    }

    /// The content hash of the span with this identity; `nil` when the segment does not hold it.
    func contentHash(_ trace: TraceID, _ span: SpanID) -> UInt32? {
        var low = 0
        var high = spans.count
        while low < high {
            let middle = (low + high) >> 1
            if spans[middle] < span { low = middle + 1 } else { high = middle }
        }
        while low < spans.count, spans[low] == span {
            if traces[Int(traceIndices[low])] == trace { return hashes[low] }
            low += 1
        }
        return nil
    }

    /// Calls `body` with every identity of a segment, in no order.
    static func forEach(_ segment: SegmentReader, _ body: (TraceID, SpanID) -> Void) throws {
        let traces = try segment.traceIDs()
        guard let index = try segment.column(.fixed, FixedColumn.traceIndex),
            let span = try segment.column(.fixed, FixedColumn.spanID)
        else { throw SegmentError.damaged("no identities") }
        for row in 0..<segment.spanCount {
            let trace = Int(index.integer(row) ?? -1)
            guard traces.indices.contains(trace) else { throw SegmentError.damaged("a span of no trace") }
            body(traces[trace], SpanID(UInt64(bitPattern: span.integer(row) ?? 0)))
        }
    }
}
