import TelemetryModel

/// What the alias table says of spans with the same attributes, worked out once: agents send spans of a few shapes all day.
///
/// A shape is the sequence of a span's attributes, each by its table key and its kind; keys that no rule reads are all alike. A plan
/// names the attributes that may fill columns, best first, and the rules that might hold. Bounded: when it is full it starts anew.
struct ColumnPlans: Sendable {
    private static let plansMax = 1024
    /// Elements of all shapes together: spans may have a thousand attributes.
    private static let elementsMax = 1 << 16
    private static let seed = UInt64.random(in: .min ... .max)

    /// A direct rule and the attribute that it reads.
    struct Step: Sendable {
        var column: UInt8
        var type: ColumnType
        var rank: UInt16
        /// The attribute's position among the span's.
        var ordinal: UInt32
    }

    private struct Plan: Sendable {
        var hash: UInt64
        var shape: Range<Int32>
        var steps: Range<Int32>
    }

    private let ruleWords: Int
    private var plans: [Plan] = []
    /// Number plus one of the plan in each slot, found by its hash; 0 for an empty slot.
    private var slots = [UInt16](repeating: 0, count: 2 * plansMax)
    private var shapes: [UInt32] = []
    private var steps: [Step] = []
    /// `ruleWords` a plan: bits of rules in `table.others` that might hold.
    private var rules: [UInt64] = []
    /// The shape that a plan is being made for.
    private var shape: [UInt32] = []

    init(ruleWords: Int) {
        self.ruleWords = ruleWords
    }

    /// The number of the plan for a span's attributes, valid until the next call.
    ///
    /// - Parameter tableKeys: by the batch's key index, the table's key number; -1 for keys that no rule reads.
    mutating func plan(
        for attributes: Span<AttributeRecord>, _ tableKeys: borrowing [Int32], _ table: borrowing ColumnTable
    ) -> Int {
        var hash = Self.seed
        for position in attributes.indices {
            hash = ByteHash.mix(hash ^ UInt64(Self.element(attributes[position], tableKeys)), 0x9E37_79B9_7F4A_7C15)
        }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != 0 {
            let number = Int(slots[slot]) - 1
            if plans[number].hash == hash && isShape(of: number, attributes, tableKeys) { return number }
            slot = (slot + 1) & (slots.count - 1)
        }
        shape.removeAll(keepingCapacity: true)
        for position in attributes.indices { shape.append(Self.element(attributes[position], tableKeys)) }
        return add(hash, table)
    }

    @inline(__always)
    private static func element(_ attribute: AttributeRecord, _ tableKeys: borrowing [Int32]) -> UInt32 {
        let key = tableKeys[Int(attribute.key)]
        return key < 0 ? 0 : UInt32(truncatingIfNeeded: key &+ 1) << 3 | UInt32(attribute.kind.rawValue)
    }

    @inline(__always)
    private func isShape(of number: Int, _ attributes: Span<AttributeRecord>, _ tableKeys: borrowing [Int32]) -> Bool {
        let range = plans[number].shape
        guard range.count == attributes.count else { return false }
        let start = Int(range.lowerBound)
        for position in attributes.indices
        where shapes[start &+ position] != Self.element(attributes[position], tableKeys) { return false }
        return true
    }

    /// The steps of a plan: a column's follow each other, best first.
    @inline(__always)
    func stepIndices(_ plan: Int) -> Range<Int> { Int(plans[plan].steps.lowerBound)..<Int(plans[plan].steps.upperBound) }

    @inline(__always)
    func step(_ index: Int) -> Step { steps[index] }

    /// 64 of a plan's bits for rules.
    @inline(__always)
    func ruleBits(_ plan: Int, word: Int) -> UInt64 { rules[plan &* ruleWords &+ word] }

    /// The position among a span's attributes of its last one with that table key.
    func ordinal(of key: Int, _ plan: Int) -> Int? {
        let range = plans[plan].shape
        let wanted = UInt32(truncatingIfNeeded: key + 1)
        for index in range.reversed() where shapes[Int(index)] >> 3 == wanted { return Int(index - range.lowerBound) }
        return nil
    }

    // MARK: Making a plan

    private mutating func add(_ hash: UInt64, _ table: borrowing ColumnTable) -> Int {
        if plans.count == Self.plansMax || shapes.count + shape.count > Self.elementsMax && !plans.isEmpty { forget() }
        let number = plans.count
        let shapeStart = Int32(truncatingIfNeeded: shapes.count)
        let stepsStart = Int32(truncatingIfNeeded: steps.count)
        var planSteps: [Step] = []
        var bits = table.keylessRules
        // Backwards, since of two attributes with one key the later wins.
        for (ordinal, element) in shape.enumerated().reversed() where element > 0 {
            let key = Int(element >> 3) - 1
            for rule in table.direct.elements[table.direct.indices(key)] {
                planSteps.append(
                    Step(
                        column: UInt8(truncatingIfNeeded: rule.column), type: rule.type, rank: rule.rank,
                        ordinal: UInt32(truncatingIfNeeded: ordinal)))
            }
            for rule in table.othersOfKey.elements[table.othersOfKey.indices(key)] { bits[rule >> 6] |= 1 << (rule & 63) }
        }
        planSteps.sort { ($0.column, $0.rank, $1.ordinal) < ($1.column, $1.rank, $0.ordinal) }
        for index in table.others.indices where !mayHold(table.others[index].conditions) {
            bits[index >> 6] &= ~(1 << (index & 63))
        }
        shapes += shape
        steps += planSteps
        rules += bits
        plans.append(
            Plan(
                hash: hash, shape: shapeStart..<Int32(truncatingIfNeeded: shapes.count),
                steps: stepsStart..<Int32(truncatingIfNeeded: steps.count)))
        place(number)
        return number
    }

    /// Whether a span of the shape at hand has the attributes that the conditions ask for.
    private func mayHold(_ conditions: [ColumnRule.Condition]) -> Bool {
        for condition in conditions {
            switch condition {
            case .root, .child, .scope, .column: continue
            case .attribute(let key, _), .attributeSuffix(let key, _):
                let wanted = UInt32(truncatingIfNeeded: key + 1)
                if !shape.contains(where: { $0 >> 3 == wanted }) { return false }
            }
        }
        return true
    }

    private mutating func place(_ number: Int) {
        var slot = Int(truncatingIfNeeded: plans[number].hash) & (slots.count - 1)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = UInt16(truncatingIfNeeded: number + 1)
    }

    private mutating func forget() {
        plans.removeAll(keepingCapacity: true)
        shapes.removeAll(keepingCapacity: true)
        steps.removeAll(keepingCapacity: true)
        rules.removeAll(keepingCapacity: true)
        for index in slots.indices { slots[index] = 0 }
    }
}
