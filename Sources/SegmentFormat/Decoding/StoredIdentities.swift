package import TelemetryModel

/// The identities in one segment, sorted by span id for look-ups.
package struct StoredIdentities {
    private let traces: [TraceID]
    private let spans: [SpanID]
    private let traceIndices: [UInt32]
    private let hashes: [UInt32]
    private let isServerSide: [Bool]

    /// A row's identity, with the trace as its position among the segment's.
    private struct Row {
        var span: SpanID
        var trace: UInt32
        var isServerSide: Bool
    }

    package init(_ segment: SegmentReader) throws {
        traces = try segment.traceIDs()
        guard let hash = try segment.column(.fixed, FixedColumn.contentHash) else { throw SegmentError.damaged("no identities") }
        var rows: [(row: Row, hash: UInt32)] = []
        rows.reserveCapacity(segment.spanCount)
        try Self.forEachRow(segment, traces) { position, row in
            rows.append((row, UInt32(truncatingIfNeeded: hash.integer(position) ?? 0)))
        }
        rows.sort { $0.row.span < $1.row.span }
        spans = rows.map(\.row.span)
        traceIndices = rows.map(\.row.trace)
        isServerSide = rows.map(\.row.isServerSide)
        hashes = rows.map(\.hash)
    }

    /// The content hash of the span with this identity; `nil` when the segment does not hold it.
    package func contentHash(_ identity: SpanIdentity) -> UInt32? {
        var low = 0
        var high = spans.count
        while low < high {
            let middle = (low + high) >> 1
            if spans[middle] < identity.span { low = middle + 1 } else { high = middle }
        }
        while low < spans.count, spans[low] == identity.span {
            if isServerSide[low] == identity.isServerSide, traces[Int(traceIndices[low])] == identity.trace { return hashes[low] }
            low += 1
        }
        return nil
    }

    /// Calls `body` with every identity of a segment, in no order.
    package static func forEach(_ segment: SegmentReader, _ body: (SpanIdentity) -> Void) throws {
        let traces = try segment.traceIDs()
        try forEachRow(segment, traces) { _, row in
            body(SpanIdentity(trace: traces[Int(row.trace)], span: row.span, isServerSide: row.isServerSide))
        }
    }

    private static func forEachRow(
        _ segment: SegmentReader, _ traces: [TraceID], _ body: (_ position: Int, _ row: Row) -> Void
    ) throws {
        guard let index = try segment.column(.fixed, FixedColumn.traceIndex),
            let span = try segment.column(.fixed, FixedColumn.spanID)
        else { throw SegmentError.damaged("no identities") }
        // No column, no span with a kind.
        let kind = try segment.column(.fixed, FixedColumn.kind)
        for position in 0..<segment.spanCount {
            let trace = index.integer(position) ?? -1
            guard trace >= 0, trace < traces.count else { throw SegmentError.damaged("a span of no trace") }
            body(
                position,
                Row(
                    span: SpanID(UInt64(bitPattern: span.integer(position) ?? 0)), trace: UInt32(trace),
                    isServerSide: kind?.integer(position) == Int64(SpanRecord.serverKind)))
        }
    }
}
