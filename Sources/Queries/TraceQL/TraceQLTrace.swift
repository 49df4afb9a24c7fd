import TelemetryModel

/// A trace in memory, as far as a query asks about it: which spans meet which conditions, what is measured, and how they hang together.
struct TraceQLTrace {
    struct Span {
        var node: TraceTree.Node
        var start: Int64
        var end: Int64
        var name: String
        var duration: Int64
        var isRoot: Bool
        /// Of the query's conditions, in their order.
        var meets: [Bool]
        /// Of the query's fields, in their order; NULL where they are computed.
        var values: [QueryValue]
    }

    let spans: [Span]
    private let parents: [Int?]
    private let order: [Int]
    private let children: [Int]
    private let left: [Int64]
    private let right: [Int64]
    private let isConnected: [Bool]
    private let rootName: QueryValue
    private let rootService: QueryValue
    private let duration: Int64

    /// - Parameter spans: by start and id.
    init(_ spans: [Span]) {
        self.spans = spans
        let places = TraceTree.places(spans.map(\.node))
        var parents = [Int?](repeating: nil, count: spans.count)
        var children = [Int](repeating: 0, count: spans.count)
        var left = [Int64](repeating: 0, count: spans.count)
        var right = left
        var isConnected = [Bool](repeating: false, count: spans.count)
        for place in places {
            parents[place.index] = place.parent
            if let parent = place.parent { children[parent] += 1 }
            isConnected[place.index] = place.parent.map { isConnected[$0] } ?? spans[place.index].isRoot
        }
        // Numbers as a walk through the tree meets each span, on the way down and on the way up; none for what hangs under no root.
        var open: [(index: Int, depth: Int)] = []
        var number: Int64 = 0
        func close(to depth: Int) {
            while let last = open.last, last.depth >= depth {
                number += 1
                right[last.index] = number
                open.removeLast()
            }
        }
        for place in places where isConnected[place.index] {
            close(to: place.depth)
            number += 1
            left[place.index] = number
            open.append((place.index, place.depth))
        }
        close(to: 0)
        (self.parents, self.children, self.left, self.right, self.isConnected) = (parents, children, left, right, isConnected)
        order = places.map(\.index)
        // As the view `traces` has them: of several roots the largest name, and the service of the one that began first.
        let roots = spans.filter(\.isRoot)
        rootName = roots.map(\.name).max { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map(QueryValue.text) ?? .null
        rootService = roots.min { ($0.start, $0.end, $0.node.spanID) < ($1.start, $1.end, $1.node.spanID) }.map { .text($0.node.service) } ?? .null
        duration = (spans.map(\.end).max() ?? 0).subtractingSaturated(spans.map(\.start).min() ?? 0)
    }

    func parent(of index: Int) -> Int? { parents[index] }

    /// What only the whole trace tells of a span.
    func value(_ field: TraceQLField.Computed, of index: Int) -> QueryValue {
        switch field {
        case .traceDuration: .integer(max(0, duration))
        case .rootName: rootName
        case .rootServiceName: rootService
        case .childCount: .integer(Int64(children[index]))
        case .nestedSetLeft: .integer(left[index])
        case .nestedSetRight: .integer(right[index])
        case .nestedSetParent: .integer(!isConnected[index] ? 0 : parents[index].map { left[$0] } ?? -1)
        }
    }

    // MARK: Relations

    /// The spans of `right` that stand so to spans of `left`, or do not, or both sides.
    func related(_ relation: TraceQLSpanset.Relation, _ mode: TraceQLSpanset.Mode, _ left: [Int], _ right: [Int]) -> [Int] {
        let found = matched(relation, left, right)
        switch mode {
        case .plain: return found
        case .negated:
            let excluded = Set(found)
            return right.filter { !excluded.contains($0) }
        case .union:
            guard !found.isEmpty else { return [] }
            return Set(found).union(matched(Self.inverse(relation), right, left)).sorted()
        }
    }

    private static func inverse(_ relation: TraceQLSpanset.Relation) -> TraceQLSpanset.Relation {
        switch relation {
        case .child: .parent
        case .parent: .child
        case .descendant: .ancestor
        case .ancestor: .descendant
        case .sibling: .sibling
        }
    }

    private func matched(_ relation: TraceQLSpanset.Relation, _ left: [Int], _ right: [Int]) -> [Int] {
        var isLeft = [Bool](repeating: false, count: spans.count)
        for index in left { isLeft[index] = true }
        switch relation {
        case .child: return right.filter { parents[$0].map { isLeft[$0] } ?? false }
        case .parent:
            let wanted = Set(left.compactMap { parents[$0] })
            return right.filter(wanted.contains)
        case .descendant:
            var isBelow = [Bool](repeating: false, count: spans.count)
            for index in order { if let parent = parents[index] { isBelow[index] = isLeft[parent] || isBelow[parent] } }
            return right.filter { isBelow[$0] }
        case .ancestor:
            var isAbove = [Bool](repeating: false, count: spans.count)
            for index in order.reversed() where isLeft[index] || isAbove[index] { if let parent = parents[index] { isAbove[parent] = true } }
            return right.filter { isAbove[$0] }
        case .sibling:
            var counts: [Int: Int] = [:]
            for index in left { if let parent = parents[index] { counts[parent, default: 0] += 1 } }
            return right.filter { index in
                guard let parent = parents[index] else { return false }
                return counts[parent, default: 0] - (isLeft[index] ? 1 : 0) > 0
            }
        }
    }
}
