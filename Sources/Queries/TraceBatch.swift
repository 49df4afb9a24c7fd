import SpanStore
package import TelemetryModel

extension TraceReading {
    /// Segments that one trace is gathered from.
    private static let segmentsMax = 2000

    /// The spans of a trace as they came, resources and scopes included: a batch for each segment that holds some.
    package static func batches(_ id: TraceID, _ reader: QueryReader) throws -> [SpanBatch] {
        // A row's id is its segment's, shifted by 24 bits, and the span's number in it (`SpansScan.rowID`).
        let segments = try reader.rows(
            "SELECT DISTINCT rowid >> 24 FROM spans WHERE trace_id = ?1 LIMIT \(segmentsMax)", [.text(id.hexadecimal)])
        guard !segments.isEmpty else { throw notFound(id) }
        var batches: [SpanBatch] = []
        for row in segments {
            guard let segment = row.first?.integer else { continue }
            var batch = try reader.reader.history.batch(ofSegment: segment).batch
            batch.spans.removeAll { $0.traceID != id }
            if !batch.spans.isEmpty { batches.append(batch) }
        }
        return batches
    }
}
