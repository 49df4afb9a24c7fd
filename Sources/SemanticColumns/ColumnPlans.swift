import TelemetryModel

/// What the alias table says of spans with the same attributes, worked out once: agents send spans of a few shapes all day.
///
/// A shape is the sequence of a span's attributes, each by its table key and its kind; keys that no rule reads are all alike. A plan
/// names the attributes that may fill columns, best first, and for each of `RuleCircumstances` that was met the rules that might hold.
/// Bounded: when it is full it starts anew.
struct ColumnPlans: Sendable {
    private static let plansMax = 1024
    /// Nodes of the tree, and elements of all shapes together: spans may have a thousand attributes.
    private static let elementsMax = 1 << 16
    private let seed = HashSeed.process

    /// A direct rule and the attribute that it reads.
    struct Step: Sendable {
        var column: UInt8
        var type: ColumnType
        var rank: UInt16
        /// The attribute's position among the span's.
        var ordinal: UInt32
    }

    /// A sequence of elements that some shape begins with.
    private struct Node: Sendable {
        /// The element that followed last, and the node that it led to: most often it is the next one again. 0: none.
        var lastElement: UInt32 = 0
        var lastChild: UInt32 = 0
        /// The plan of the shape that ends here; negative before there is one.
        var plan: Int32 = -1
    }

    private struct Plan: Sendable {
        var shape: Range<Int32>
        var steps: Range<Int32>
    }

    private var plans: [Plan] = []
    /// Shapes as a tree; the first node is where all begin.
    private var nodes = [Node()]
    /// The nodes by the edges that lead to them; 0 for an empty slot. A power of two of slots, at most half of them taken.
    private var slots = [UInt32](repeating: 0, count: 512)
    /// For each node, the node before it (upper half) and the element that leads from there.
    private var edges: [UInt64] = [0]
    private var shapes: [UInt32] = []
    private var steps: [Step] = []
    /// Positions in `table.others` of rules that might hold, ascending, a list for each circumstances of a plan that were met.
    private var rules: [UInt16] = []
    /// `RuleCircumstances.count` a plan: where the list starts in `rules`, and how long it is; a negative start before it is made.
    private var lists: [RuleList] = []

    struct RuleList: Sendable {
        var start: Int32
        var count: Int32

        @inline(__always)
        var indices: Range<Int> { Int(start)..<Int(start &+ count) }
    }

    init() {}

    /// The number of the plan for a span's attributes, valid until the next call.
    ///
    /// - Parameter tableKeys: by the batch's key index, the table's key number; -1 for keys that no rule reads.
    mutating func plan(
        for attributes: Span<AttributeRecord>, _ tableKeys: borrowing [Int32], _ table: borrowing ColumnTable
    ) -> Int {
        var node = 0
        for position in attributes.indices {
            let element = Self.element(attributes[position], tableKeys)
            let known = nodes[node]
            node =
                known.lastElement == element && known.lastChild != 0
                ? Int(known.lastChild) : child(of: node, element)
        }
        let plan = Int(nodes[node].plan)
        return plan >= 0 ? plan : add(attributes, tableKeys, table)
    }

    /// The node behind another one, which is made when it is new.
    private mutating func child(of node: Int, _ element: UInt32) -> Int {
        let edge = UInt64(truncatingIfNeeded: node) << 32 | UInt64(element)
        var slot = self.slot(of: edge)
        while slots[slot] != 0 && edges[Int(slots[slot])] != edge { slot = (slot &+ 1) & (slots.count - 1) }
        var child = Int(slots[slot])
        if child == 0 {
            child = nodes.count
            nodes.append(Node())
            edges.append(edge)
            slots[slot] = UInt32(truncatingIfNeeded: child)
            if nodes.count * 2 > slots.count { placeAll() }
        }
        nodes[node].lastElement = element
        nodes[node].lastChild = UInt32(truncatingIfNeeded: child)
        return child
    }

    @inline(__always)
    private func slot(of edge: UInt64) -> Int {
        Int(truncatingIfNeeded: ByteHash.hash(edge, 0, seed) &>> 32) & (slots.count - 1)
    }

    private mutating func placeAll() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for node in 1..<nodes.count {
            var slot = self.slot(of: edges[node])
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(truncatingIfNeeded: node)
        }
    }

    @inline(__always)
    private static func element(_ attribute: AttributeRecord, _ tableKeys: borrowing [Int32]) -> UInt32 {
        let key = tableKeys[Int(attribute.key)]
        return key < 0 ? 0 : UInt32(truncatingIfNeeded: key &+ 1) << 3 | UInt32(attribute.kind.rawValue)
    }

    /// The steps of a plan: a column's follow each other, best first.
    @inline(__always)
    func stepIndices(_ plan: Int) -> Range<Int> { Int(plans[plan].steps.lowerBound)..<Int(plans[plan].steps.upperBound) }

    @inline(__always)
    func step(_ index: Int) -> Step { steps[index] }

    /// Where in `rule` the rules are that might hold for a span of a plan.
    @inline(__always)
    mutating func ruleIndices(_ plan: Int, _ circumstances: RuleCircumstances, _ table: borrowing ColumnTable) -> Range<Int> {
        let list = lists[plan &* RuleCircumstances.count &+ circumstances.number]
        return list.start >= 0 ? list.indices : makeRules(plan, circumstances, table).indices
    }

    /// The position in `table.others` of a rule that might hold.
    @inline(__always)
    func rule(_ index: Int) -> Int { Int(rules[index]) }

    /// The position among a span's attributes of its last one with that table key.
    func ordinal(of key: Int, _ plan: Int) -> Int? {
        let range = plans[plan].shape
        let wanted = UInt32(truncatingIfNeeded: key + 1)
        for index in range.reversed() where shapes[Int(index)] >> 3 == wanted { return Int(index - range.lowerBound) }
        return nil
    }

    // MARK: Making a plan

    private mutating func add(
        _ attributes: Span<AttributeRecord>, _ tableKeys: borrowing [Int32], _ table: borrowing ColumnTable
    ) -> Int {
        var shape: [UInt32] = []
        for position in attributes.indices { shape.append(Self.element(attributes[position], tableKeys)) }
        if plans.count == Self.plansMax || nodes.count > Self.elementsMax || shapes.count + shape.count > Self.elementsMax { forget() }
        let number = plans.count
        let shapeStart = Int32(truncatingIfNeeded: shapes.count)
        let stepsStart = Int32(truncatingIfNeeded: steps.count)
        var planSteps: [Step] = []
        // Backwards, since of two attributes with one key the later wins.
        for (ordinal, element) in shape.enumerated().reversed() where element > 0 {
            let key = Int(element >> 3) - 1
            for rule in table.direct.elements[table.direct.indices(key)] {
                planSteps.append(
                    Step(
                        column: UInt8(truncatingIfNeeded: rule.column), type: rule.type, rank: rule.rank,
                        ordinal: UInt32(truncatingIfNeeded: ordinal)))
            }
        }
        planSteps.sort { ($0.column, $0.rank, $1.ordinal) < ($1.column, $1.rank, $0.ordinal) }
        shapes += shape
        steps += planSteps
        lists += repeatElement(RuleList(start: -1, count: 0), count: RuleCircumstances.count)
        plans.append(
            Plan(
                shape: shapeStart..<Int32(truncatingIfNeeded: shapes.count),
                steps: stepsStart..<Int32(truncatingIfNeeded: steps.count)))
        var node = 0
        for element in shape { node = child(of: node, element) }
        nodes[node].plan = Int32(truncatingIfNeeded: number)
        return number
    }

    /// Works out which rules a span of a plan can meet in these circumstances.
    private mutating func makeRules(
        _ plan: Int, _ circumstances: RuleCircumstances, _ table: borrowing ColumnTable
    ) -> RuleList {
        var isHopeful = [Bool](repeating: false, count: table.others.count)
        for index in table.others.indices { isHopeful[index] = table.others[index].neededKey == nil }
        let elements = shapes[Int(plans[plan].shape.lowerBound)..<Int(plans[plan].shape.upperBound)]
        for element in elements where element > 0 {
            for rule in table.othersOfKey.elements[table.othersOfKey.indices(Int(element >> 3) - 1)] { isHopeful[rule] = true }
        }
        var best = [UInt16](repeating: .max, count: Column.allCases.count)
        // A column's steps follow each other, best first.
        for index in stepIndices(plan).reversed() { best[Int(steps[index].column)] = steps[index].rank }
        for index in table.others.indices where isHopeful[index] {
            isHopeful[index] =
                circumstances.allow(table.others[index], table.needs[index], best: best, table)
                && mayHold(table.others[index].conditions, elements)
        }
        removeHopeless(from: &isHopeful, stepIndices(plan), table)
        let list = RuleList(
            start: Int32(truncatingIfNeeded: rules.count), count: Int32(truncatingIfNeeded: isHopeful.count { $0 }))
        for index in isHopeful.indices where isHopeful[index] { rules.append(UInt16(truncatingIfNeeded: index)) }
        lists[plan * RuleCircumstances.count + circumstances.number] = list
        return list
    }

    /// Takes out the rules that want a column which nothing fills.
    private func removeHopeless(from isHopeful: inout [Bool], _ planSteps: Range<Int>, _ table: borrowing ColumnTable) {
        var sources = [Int](repeating: 0, count: Column.allCases.count)
        for index in planSteps { sources[Int(steps[index].column)] += 1 }
        for index in table.others.indices where isHopeful[index] { sources[Int(table.needs[index].column)] += 1 }
        for index in table.others.indices
        where isHopeful[index] && !table.others[index].mayHold(withSourcesOfColumns: sources) {
            isHopeful[index] = false
            sources[Int(table.needs[index].column)] -= 1
        }
    }

    /// Whether a span of the shape has the attributes that the conditions ask for.
    private func mayHold(_ conditions: [ColumnRule.Condition], _ shape: ArraySlice<UInt32>) -> Bool {
        for condition in conditions {
            switch condition {
            case .attribute(let key, _, false), .attributeSuffix(let key, _, false):
                let wanted = UInt32(truncatingIfNeeded: key + 1)
                if !shape.contains(where: { $0 >> 3 == wanted }) { return false }
            case .root, .child, .scope, .column, .filled, .attribute, .attributeSuffix: continue
            }
        }
        return true
    }

    private mutating func forget() {
        plans.removeAll(keepingCapacity: true)
        shapes.removeAll(keepingCapacity: true)
        steps.removeAll(keepingCapacity: true)
        rules.removeAll(keepingCapacity: true)
        lists.removeAll(keepingCapacity: true)
        nodes = [Node()]
        edges = [0]
        slots = [UInt32](repeating: 0, count: 512)
    }
}
