import SegmentFormat
import SpanStore
import StoreSQL
package import TelemetryModel

extension TraceReading {
    /// Segments that one trace is gathered from.
    private static let segmentsMax = 2000

    /// The spans of a trace as they came, resources and scopes included: a batch for each segment that holds some.
    package static func batches(_ id: TraceID, _ reader: QueryReader) throws -> [SpanBatch] {
        if reader.reader.scope != nil { return try scopedBatches(id, reader) }
        // A row's id is its segment's, shifted by 24 bits, and the span's number in it (`SpansScan.rowID`).
        let segments = try reader.rows(
            "SELECT DISTINCT rowid >> 24 FROM spans WHERE trace_id = ?1 LIMIT \(segmentsMax + 1)", [.text(id.hexadecimal)])
        guard !segments.isEmpty else { throw notFound(id) }
        if segments.count > segmentsMax { reader.noteTruncated("segments with spans of trace \(id.hexadecimal)", after: segmentsMax) }
        var batches: [SpanBatch] = []
        for row in segments.prefix(segmentsMax) {
            guard let segment = row.first?.integer else { continue }
            var batch = try reader.reader.history.batch(ofSegment: segment).batch
            batch.spans.removeAll { $0.traceID != id }
            if !batch.spans.isEmpty { batches.append(batch) }
        }
        return batches
    }

    /// The same, of the spans that may be shown.
    private static func scopedBatches(_ id: TraceID, _ reader: QueryReader) throws -> [SpanBatch] {
        let rows = try reader.rows("SELECT rowid FROM spans WHERE trace_id = ?1 LIMIT \(spansMax + 1)", [.text(id.hexadecimal)])
        guard !rows.isEmpty else { throw notFound(id) }
        if rows.count > spansMax { reader.noteTruncated("spans of trace \(id.hexadecimal)", after: spansMax) }
        var numbers: [Int64: Set<Int>] = [:]
        for row in rows.prefix(spansMax) {
            guard let rowID = row.first?.integer else { continue }
            numbers[rowID >> 24, default: []].insert(Int(rowID & 0xFF_FFFF))
        }
        var batches: [SpanBatch] = []
        for (segment, shown) in numbers.sorted(by: { $0.key < $1.key }) {
            var batch = try reader.reader.history.batch(ofSegment: segment).batch
            batch.spans = batch.spans.enumerated().filter { shown.contains($0.offset) && $0.element.traceID == id }.map(\.element)
            if !batch.spans.isEmpty { batches.append(batch) }
        }
        return batches
    }
}
