package import SQLite
import SegmentFormat
package import TelemetryModel

extension SpanPass {
    /// A segment in a pass over whole traces.
    package struct TracePart {
        /// Its rows that the connection shows.
        package let segment: PassedSegment
        package let traces: [TraceID]
        /// Of each row the place of its trace in `traces`.
        package let numbers: [Int]
        /// Of each trace whether other segments hold spans of it as well. Rarely it is said of one that lies here alone.
        package let isScattered: [Bool]
        /// Whether the segment may have spans within the bounds. What it says of others is for traces that such segments share with it.
        package let mayBeWithin: Bool
    }

    /// Calls `body` with whole segments: those that may have spans within the bounds, then others that share a trace with one of
    /// these. So a trace that is not scattered lies in the part at hand with all of its spans.
    package func eachTracePart(_ bounds: Bounds, _ body: (TracePart) throws(SQLiteError) -> Void) throws(SQLiteError) {
        try snapshot { () throws(SQLiteError) in
            try reader.catalog.refresh()
            let entries = reader.catalog.entries
            let within = Set(entries.filter { $0.mayHold(bounds) }.map(\.id))
            let scattered = reader.catalog.scatteredTraces()
            var shared: Set<UInt32> = []
            for id in within { shared.formUnion(scattered[id] ?? []) }
            let calls = StoredCalls(reader.catalog, loader)
            for isWithin in [true, false] {
                for entry in entries where within.contains(entry.id) == isWithin {
                    let hashes = scattered[entry.id] ?? []
                    guard isWithin || !hashes.isDisjoint(with: shared), let segment = try open(entry.id, calls) else { continue }
                    try body(PassedSegment.attempt { try part(segment, hashes, isWithin) })
                }
            }
        }
    }

    /// Calls `body` with the segments that hold some of the traces, and in them the rows of all traces whose tokens count.
    package func eachTokenCall(
        of traces: Set<TraceID>, _ body: (PassedSegment) throws(SQLiteError) -> Void
    ) throws(SQLiteError) {
        guard !traces.isEmpty else { return }
        try snapshot { () throws(SQLiteError) in
            try reader.catalog.refresh()
            let calls = StoredCalls(reader.catalog, loader, traces: traces)
            let hashes = Set(traces.map(TraceFilter.hash))
            for entry in reader.catalog.entries where entry.filter.mayContain(oneOf: hashes) {
                guard let segment = try open(entry.id, calls) else { continue }
                let rows = try PassedSegment.attempt { try shownRows(segment) }
                if let calls = try Self.tokenCalls(of: PassedSegment(segment, rows: rows)) { try body(calls) }
            }
        }
    }

    private func part(_ segment: SegmentRows, _ scattered: Set<UInt32>, _ mayBeWithin: Bool) throws -> TracePart {
        let traces = try segment.traceIDs()
        return TracePart(
            segment: PassedSegment(segment, rows: try shownRows(segment)), traces: traces, numbers: try segment.traceNumbers(),
            isScattered: scattered.isEmpty
                ? [Bool](repeating: false, count: traces.count) : traces.map { scattered.contains(TraceFilter.hash($0)) },
            mayBeWithin: mayBeWithin)
    }
}
