import TelemetryModel

/// How many spans began when, as far as segments tell: those of each as if they lay evenly between its first and its last start.
///
/// Segments overlap, wholly where very many spans come at once or late, so no segment is a stretch of time by itself.
struct SegmentDensity {
    struct Segment {
        /// Start times of its spans, nanoseconds since 1970.
        var first: Int64
        var last: Int64
        var spanCount: Int64
    }

    /// Where a segment ends or begins, on the way back through time.
    private struct Edge {
        /// The latest time behind it.
        var time: Int64
        var segment: Int
        /// Spans a nanosecond of the segment behind the edge: none where it begins.
        var density: Double
    }

    /// Latest first.
    private let edges: [Edge]
    private let segmentCount: Int

    init(_ segments: [Segment]) {
        var edges: [Edge] = []
        for (number, segment) in segments.enumerated() where segment.last >= segment.first {
            let nanoseconds = Self.nanoseconds(from: segment.first, to: segment.last) + 1
            edges.append(Edge(time: segment.last, segment: number, density: Double(max(0, segment.spanCount)) / nanoseconds))
            edges.append(Edge(time: segment.first.subtractingSaturated(1), segment: number, density: 0))
        }
        self.edges = edges.sorted { $0.time > $1.time }
        segmentCount = segments.count
    }

    /// The start of a window that ends with `last` and holds so many spans, about, and how many those are; `nil` when nothing is older.
    func window(upTo last: Int64, spans: Int) -> (start: Int64, spans: Int)? {
        var density = Sum(count: segmentCount)
        var found = 0.0
        // What lies above is counted.
        var top = last
        for edge in edges {
            if edge.time < top {
                let nanoseconds = Self.nanoseconds(from: edge.time, to: top)
                let wanted = Double(spans) - found
                if density.value > 0, density.value * nanoseconds >= wanted {
                    let start = top.subtractingSaturated(Int64(min(wanted / density.value, 0x1p62)))
                    return (min(last, max(start, edge.time.addingSaturated(1))), spans)
                }
                found += density.value * nanoseconds
                top = edge.time
            }
            density.set(edge.segment, edge.density)
        }
        guard let first = edges.last?.time.addingSaturated(1), first <= last else { return nil }
        return (first, Int(min(max(1, found), 0x1p62)))
    }

    private static func nanoseconds(from: Int64, to: Int64) -> Double {
        let (difference, isTooLarge) = to.subtractingReportingOverflow(from)
        return isTooLarge ? Double(to) - Double(from) : Double(difference)
    }

    /// A sum of terms that change, as a tree of sums: one that was taken away leaves no error behind, however large it was beside the others.
    private struct Sum {
        private var nodes: [Double]

        init(count: Int) { nodes = Array(repeating: 0, count: 2 * max(1, count)) }

        var value: Double { nodes[1] }

        mutating func set(_ term: Int, _ value: Double) {
            var node = nodes.count / 2 + term
            nodes[node] = value
            while node > 1 {
                node /= 2
                nodes[node] = nodes[2 * node] + nodes[2 * node + 1]
            }
        }
    }
}
