/// The groups that were met so far, and which group each row of a segment is of.
struct GroupTable {
    /// By key the values that were met.
    private var pools: [ScalarPool]
    /// By key but the first, what number a combination of the keys before it and a value of it has.
    private var combinations: [[UInt64: Int32]]
    /// By key, for each group the number of its value.
    private var values: [[Int32]]
    /// With one key, by number of its value the group; -1 for none yet.
    private var groupOfValue: [Int32] = []
    private(set) var count = 0

    init(keyCount: Int) {
        pools = [ScalarPool](repeating: ScalarPool(), count: keyCount)
        values = [[Int32]](repeating: [], count: keyCount)
        combinations = [[UInt64: Int32]](repeating: [:], count: max(0, keyCount - 1))
        // Without keys there is one group, even of no rows.
        if keyCount == 0 { count = 1 }
    }

    /// About what the groups take in memory.
    var byteCount: Int { pools.reduce(0) { $0 + $1.byteCount } + count * pools.count * 40 }

    func key(_ key: Int, of group: Int) -> SQLScalar { pools[key].values[Int(values[key][group])] }

    /// For each row the number of its group, in the order in which groups were met.
    mutating func groups(of vectors: [Vector], _ count: Int) throws -> [Int32] {
        guard !vectors.isEmpty else { return [Int32](repeating: 0, count: count) }
        var local = LocalGroups(count: count)
        for vector in vectors { local.split(by: try LocalNumbers(vector, count)) }
        let ofGroups = local.examples.map { row in number(vectors, row) }
        return local.groups.map { ofGroups[Int($0)] }
    }

    /// The group of a row.
    private mutating func number(_ vectors: [Vector], _ row: Int) -> Int32 {
        var numbers: [Int32] = []
        for key in vectors.indices { numbers.append(pools[key].number(of: vectors[key].scalar(row))) }
        let group = vectors.count == 1 ? ofOne(numbers[0]) : combined(numbers)
        guard group == count else { return Int32(truncatingIfNeeded: group) }
        for key in vectors.indices { values[key].append(numbers[key]) }
        count += 1
        return Int32(truncatingIfNeeded: group)
    }

    /// The group, or `count` for a new one.
    private mutating func ofOne(_ value: Int32) -> Int {
        while groupOfValue.count <= Int(value) { groupOfValue.append(-1) }
        if groupOfValue[Int(value)] < 0 { groupOfValue[Int(value)] = Int32(truncatingIfNeeded: count) }
        return Int(groupOfValue[Int(value)])
    }

    private mutating func combined(_ numbers: [Int32]) -> Int {
        var number = numbers[0]
        for key in 1..<numbers.count {
            let combination = UInt64(UInt32(bitPattern: number)) << 32 | UInt64(UInt32(bitPattern: numbers[key]))
            let new = Int32(truncatingIfNeeded: combinations[key - 1].count)
            number = combinations[key - 1][combination] ?? new
            if number == new { combinations[key - 1][combination] = new }
        }
        return Int(number)
    }
}

/// Values, each once, by numbers.
struct ScalarPool {
    private(set) var values: [SQLScalar] = []
    private var numbers: [SQLScalar: Int32] = [:]
    /// About what they take in memory.
    private(set) var byteCount = 0

    mutating func number(of value: SQLScalar) -> Int32 {
        if let known = numbers[value] { return known }
        let number = Int32(truncatingIfNeeded: values.count)
        numbers[value] = number
        values.append(value)
        byteCount += 64
        if case .text(let text) = value { byteCount += 32 + text.count }
        return number
    }
}

/// Rows of a segment by what they have in some columns, as small numbers.
private struct LocalGroups {
    /// For each row the number of its group.
    private(set) var groups: [Int32]
    /// For each group a row of it.
    private(set) var examples: [Int]

    init(count: Int) {
        groups = [Int32](repeating: 0, count: count)
        examples = count > 0 ? [0] : []
    }

    /// Splits groups by one more column.
    mutating func split(by column: LocalNumbers) {
        guard column.width > 1 else { return }
        let combinations = examples.count * column.width
        // A place for each combination where these are few, as they are of what people group by.
        var places = [Int32](repeating: -1, count: combinations <= max(1 << 12, groups.count * 4) ? combinations : 0)
        var rarePlaces: [Int: Int32] = [:]
        var finer: [Int] = []
        for row in groups.indices {
            let combination = Int(groups[row]) * column.width + Int(column.numbers[row])
            let known = places.isEmpty ? rarePlaces[combination] ?? -1 : places[combination]
            if known >= 0 {
                groups[row] = known
                continue
            }
            let new = Int32(truncatingIfNeeded: finer.count)
            finer.append(row)
            if places.isEmpty { rarePlaces[combination] = new } else { places[combination] = new }
            groups[row] = new
        }
        examples = finer
    }
}

/// Values of a vector as numbers from 0, the same for the same value, so that a few may have more than one.
private struct LocalNumbers {
    private(set) var numbers: [Int32]
    /// One more than the largest.
    private(set) var width: Int

    /// Integers that lie no further apart are numbered by their distance.
    private static let rangeMax: Int64 = 1 << 12

    init(_ vector: Vector, _ count: Int) throws {
        numbers = []
        width = 1
        switch vector.values {
        case .constant: break
        case .texts(let texts, let entries):
            numbers = texts.map { $0 + 1 }
            width = entries.count + 1
        case .integers(let integers): number(integers, vector.isNull)
        case .identifiers(let words): number(words.map { Int64(bitPattern: $0) }, vector.isNull)
        case .doubles, .scalars:
            var known: [SQLScalar: Int32] = [:]
            numbers.reserveCapacity(count)
            for row in 0..<count {
                let scalar = vector.scalar(row)
                // SQL takes 1 and 1.0 for one group, and says which it shows.
                if case .double(let double) = scalar, Int64(exactly: double) != nil { throw NotByColumn() }
                numbers.append(Self.number(scalar, &known))
            }
            width = known.count
        }
    }

    private mutating func number(_ integers: [Int64], _ isNull: [Bool]?) {
        let (minimum, maximum) = (integers.min() ?? 0, integers.max() ?? 0)
        let (distance, runsOver) = maximum.subtractingReportingOverflow(minimum)
        if !runsOver, distance < Self.rangeMax {
            numbers = integers.map { Int32(truncatingIfNeeded: $0 &- minimum &+ 1) }
            width = Int(distance) + 2
        } else {
            var known: [Int64: Int32] = [:]
            numbers = integers.map { Self.number($0, &known) + 1 }
            width = known.count + 1
        }
        guard let isNull else { return }
        for row in isNull.indices where isNull[row] { numbers[row] = 0 }
    }

    private static func number<Value: Hashable>(_ value: Value, _ known: inout [Value: Int32]) -> Int32 {
        if let number = known[value] { return number }
        let number = Int32(truncatingIfNeeded: known.count)
        known[value] = number
        return number
    }
}
