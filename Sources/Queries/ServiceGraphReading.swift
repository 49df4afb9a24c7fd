import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// Who calls whom, of the spans of some time: by the rule of the counters (docs/metrics.md 2.15), over what is stored.
package enum ServiceGraphReading {
    /// Spans that are looked at.
    private static let spansMax = 300_000
    /// Edges that are given.
    package static let edgesMax = 1000

    /// Edges with how many requests they have, by their names. Spans count that began in the window, its end included.
    package static func edges(from: Int64, to: Int64, _ reader: QueryReader) throws -> [(edge: GraphRequest.Edge, count: Int64)] {
        var names = GraphNames()
        var traces: [TraceID: GraphTrace] = [:]
        var count = 0
        try reader.pass(SpanPass.Bounds(.start, from: from, until: to.addingSaturated(1))) { segment throws(SQLiteError) in
            guard count <= spansMax else { return }
            let spans = try GraphSpanReader(segment, &names)
            for row in segment.rows?.map(Int.init) ?? Array(0..<segment.spanCount) where count <= spansMax {
                // All of them are stored: in which order they came makes no difference.
                guard let (trace, span, call) = try spans.span(row, ordinal: 0, &names) else { continue }
                traces[trace, default: GraphTrace(trace)].append(span, call)
                count += 1
            }
        }
        if count > spansMax { reader.noteTruncated("spans looked at", after: spansMax) }
        var counts: [GraphRequest.Edge: Int64] = [:]
        for id in traces.keys { traces[id]?.settle(before: .max, names) { counts[$0.edge, default: 0] += 1 } }
        let ordered = counts.sorted {
            ($0.key.client, $0.key.server, $0.key.connection.rawValue) < (
                $1.key.client, $1.key.server, $1.key.connection.rawValue
            )
        }
        if ordered.count > edgesMax { reader.noteTruncated("dependencies", after: edgesMax) }
        return ordered.prefix(edgesMax).map { ($0.key, $0.value) }
    }
}
