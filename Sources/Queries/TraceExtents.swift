import SQLite
import SpanStore
import TelemetryModel

/// From when to when traces last, over columns: one loop over starts and ends, and no group of SQL for each trace.
struct TraceExtents {
    /// Spans that began before are not looked at.
    let from: Int64
    /// Shorter traces are left out.
    let minimumNanoseconds: Int64

    private struct Extent {
        var start = Int64.max
        /// The latest start or end.
        var end = Int64.min

        mutating func add(_ other: Extent) {
            start = min(start, other.start)
            end = max(end, other.end)
        }
    }

    /// Traces that are long enough, with their first start, in no order. One that has not ended lasts up to its latest start.
    func find(_ reader: QueryReader) throws -> [(start: Int64, id: String)] {
        var found: [(start: Int64, id: String)] = []
        var scattered: [TraceID: Extent] = [:]
        try reader.passTraces(SpanPass.Bounds(.start, from: from, until: .max)) { part throws(SQLiteError) in
            guard part.mayBeWithin else { return }
            for (number, extent) in try extents(part).enumerated() where extent.start != .max {
                if part.isScattered[number] {
                    scattered[part.traces[number], default: Extent()].add(extent)
                } else if isLong(extent) {
                    found.append((extent.start, part.traces[number].hexadecimal))
                }
            }
        }
        for (id, extent) in scattered where isLong(extent) { found.append((extent.start, id.hexadecimal)) }
        return found
    }

    private func isLong(_ extent: Extent) -> Bool { extent.end.subtractingSaturated(extent.start) >= minimumNanoseconds }

    /// Of each trace of a segment, as far as it lies in it.
    private func extents(_ part: SpanPass.TracePart) throws(SQLiteError) -> [Extent] {
        let (starts, ends) = (try part.segment.integers("start_time_unix_nano"), try part.segment.integers("end_time_unix_nano"))
        var extents = [Extent](repeating: Extent(), count: part.traces.count)
        part.segment.forEachRow { row in
            guard let start = starts[row], start >= from else { return }
            let number = part.numbers[row]
            extents[number].start = min(extents[number].start, start)
            extents[number].end = max(extents[number].end, start, ends[row] ?? start)
        }
        return extents
    }
}
