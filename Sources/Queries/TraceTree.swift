import TelemetryModel

/// The spans of a trace as a tree: whose child each is, and in which order they are read.
package enum TraceTree {
    /// What the tree is made from.
    package struct Node: Sendable {
        package var spanID: String
        package var parentSpanID: String?
        package var service: String
        /// Whether it is the span of the side that was called.
        package var isServerSide: Bool

        package init(spanID: String, parentSpanID: String?, service: String, kind: Int64?) {
            self.spanID = spanID
            self.parentSpanID = parentSpanID
            self.service = service
            isServerSide = kind == Int64(SpanRecord.serverKind)
        }
    }

    /// A span's place in the order of reading.
    package struct Place: Equatable, Sendable {
        /// Of the node, in the list that was given.
        package var index: Int
        /// 0 for roots.
        package var depth: Int
        /// No sibling comes behind it.
        package var isLast: Bool
        /// The position of the node that it hangs under; `nil` for roots.
        package var parent: Int?
    }

    /// The two sides of a call that share an id, by their positions.
    private struct Sides {
        var other: Int?
        var server: Int?
    }

    /// Depth first, siblings in the order of the list. Spans without a stored parent, or in a ring of parents, are roots.
    package static func places(_ nodes: [Node]) -> [Place] {
        var children: [[Int]] = Array(repeating: [], count: nodes.count)
        let parents = parents(nodes)
        for (index, parent) in parents.enumerated() {
            if let parent { children[parent].append(index) }
        }
        var places: [Place] = []
        places.reserveCapacity(nodes.count)
        var isPlaced = Array(repeating: false, count: nodes.count)
        func walk(_ root: Int) {
            var stack = [Place(index: root, depth: 0, isLast: true, parent: nil)]
            while let top = stack.popLast() {
                guard !isPlaced[top.index] else { continue }
                isPlaced[top.index] = true
                places.append(top)
                let below = children[top.index]
                for (place, child) in below.enumerated().reversed() {
                    stack.append(Place(index: child, depth: top.depth + 1, isLast: place == below.count - 1, parent: top.index))
                }
            }
        }
        for index in nodes.indices where parents[index] == nil { walk(index) }
        for index in nodes.indices where !isPlaced[index] { walk(index) }
        return places
    }

    /// Whose child each span is. Of two sides that share an id, the server's hangs under the other, and what names that id as its
    /// parent hangs under the side of its own service.
    private static func parents(_ nodes: [Node]) -> [Int?] {
        var sides: [String: Sides] = [:]
        for (index, node) in nodes.enumerated() {
            var known = sides[node.spanID] ?? Sides()
            if node.isServerSide { known.server = index } else { known.other = index }
            sides[node.spanID] = known
        }
        return nodes.map { node in
            if node.isServerSide, let caller = sides[node.spanID]?.other { return caller }
            guard let parent = node.parentSpanID, parent != node.spanID, let found = sides[parent] else { return nil }
            guard let server = found.server, let other = found.other else { return found.server ?? found.other }
            return nodes[other].service == node.service && nodes[server].service != node.service ? other : server
        }
    }
}
