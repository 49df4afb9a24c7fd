import TelemetryModel

/// What a trace's duration is made of: for every moment, the span that the trace was waiting for.
///
/// The path is found from the end back. Of the spans under one parent it is in the one that ends last; where that one began, it goes on in
/// the one that ends last of those that had begun by then, cut off at that moment. What none of them covers is the parent's own time. A
/// span counts with everything below it, so that work which outlives its parent is on the path too; time in which neither a span nor one
/// above it ran belongs to nobody.
package struct CriticalPath: Equatable, Sendable {
    /// A span's times, nanoseconds since 1970; the end is outside.
    package struct Interval: Equatable, Sendable {
        package var start: Int64
        package var end: Int64

        package init(start: Int64, end: Int64) {
            self.start = start
            self.end = end
        }

        package var nanoseconds: Int64 { max(0, end.subtractingSaturated(start)) }
    }

    /// A part of the path.
    package struct Segment: Equatable, Sendable {
        /// Of the span, in the list that was given; `nil` where no span ran.
        package var index: Int?
        package var interval: Interval
    }

    /// Spans above one that are asked whether they ran while it did not.
    package static let ancestorsMax = 64

    /// From the trace's first start to its last end.
    package private(set) var whole = Interval(start: 0, end: 0)
    /// In the order of time, without gaps or overlaps, together as long as the trace.
    package private(set) var segments: [Segment] = []

    /// - Parameter spans: each with its times; `nil` for the end of one that still runs, which ends with the trace.
    package init(_ spans: [(node: TraceTree.Node, start: Int64, end: Int64?)]) {
        guard let first = spans.map(\.start).min() else { return }
        let last = spans.map { max($0.start, $0.end ?? $0.start) }.max() ?? first
        whole = Interval(start: first, end: last)
        var walk = Walk(spans.map(\.node), spans.map { Interval(start: $0.start, end: max($0.start, $0.end ?? last)) })
        segments = walk.segments(whole)
    }

    /// Nanoseconds of the path that are each span's own, by its position; spans that are not on it are left out.
    package var shares: [Int: Int64] {
        var shares: [Int: Int64] = [:]
        for segment in segments {
            guard let index = segment.index else { continue }
            shares[index, default: 0] = (shares[index] ?? 0).addingSaturated(segment.interval.nanoseconds)
        }
        return shares
    }
}

extension CriticalPath {
    /// The way back through a tree, without recursion over its depth.
    private struct Walk {
        /// A span that the way is in, and how far back it has come; without an index, what is above the roots.
        private struct Frame {
            var index: Int?
            var from: Int64
            var cursor: Int64
            /// The next child that is looked at.
            var next = 0
        }

        private let spans: [Interval]
        /// From the first start to the last end of a span and all below it.
        private var extents: [Interval]
        /// By what ends last; those of the place behind the last span are the roots.
        private var children: [[Int]]
        private var frames: [Frame] = []
        private var found: [Segment] = []

        init(_ nodes: [TraceTree.Node], _ spans: [Interval]) {
            self.spans = spans
            extents = spans
            children = Array(repeating: [], count: spans.count + 1)
            let places = TraceTree.places(nodes)
            for place in places.reversed() {
                guard let parent = place.parent else { continue }
                extents[parent].start = min(extents[parent].start, extents[place.index].start)
                extents[parent].end = max(extents[parent].end, extents[place.index].end)
            }
            for place in places { children[place.parent ?? spans.count].append(place.index) }
            let known = extents
            for parent in children.indices where children[parent].count > 1 {
                children[parent].sort { (known[$1].end, known[$0].start, $0) < (known[$0].end, known[$1].start, $1) }
            }
        }

        mutating func segments(_ whole: Interval) -> [Segment] {
            frames = [Frame(index: nil, from: whole.start, cursor: whole.end)]
            while let top = frames.popLast() { advance(top) }
            return found.reversed()
        }

        /// One step back: into the next child, or to the start of the span.
        private mutating func advance(_ top: Frame) {
            var frame = top
            let below = children[frame.index ?? spans.count]
            while frame.next < below.count {
                let child = below[frame.next]
                frame.next += 1
                let extent = extents[child]
                guard extent.end > frame.from else { break }
                guard extent.start < frame.cursor else { continue }
                let end = min(extent.end, frame.cursor)
                let start = max(extent.start, frame.from)
                frames.append(frame)
                own(Interval(start: end, end: frame.cursor), frames.count - 1)
                frames[frames.count - 1].cursor = start
                frames.append(Frame(index: child, from: start, cursor: end))
                return
            }
            frames.append(frame)
            own(Interval(start: frame.from, end: frame.cursor), frames.count - 1)
            frames.removeLast()
        }

        /// Gives a time to the span of a frame; what it did not run in, to those above it, the nearest first.
        private mutating func own(_ time: Interval, _ level: Int, asked: Int = 0) {
            guard time.start < time.end else { return }
            guard level > 0, asked <= CriticalPath.ancestorsMax, let index = frames[level].index else { return append(time, nil) }
            let span = spans[index]
            let start = min(time.end, max(time.start, span.start))
            let end = min(time.end, max(start, span.end))
            own(Interval(start: end, end: time.end), level - 1, asked: asked + 1)
            append(Interval(start: start, end: end), index)
            own(Interval(start: time.start, end: start), level - 1, asked: asked + 1)
        }

        /// The parts come from the last to the first.
        private mutating func append(_ time: Interval, _ index: Int?) {
            guard time.start < time.end else { return }
            if let last = found.last, last.index == index, last.interval.start == time.end {
                found[found.count - 1].interval.start = time.start
            } else {
                found.append(Segment(index: index, interval: time))
            }
        }
    }
}
