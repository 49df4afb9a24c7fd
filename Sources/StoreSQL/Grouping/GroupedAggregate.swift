import TelemetryModel

/// An aggregate function over the rows of groups.
protocol GroupedAggregate: AnyObject {
    /// About what it keeps, in bytes.
    var byteCount: Int { get }

    /// Adds rows of a segment.
    ///
    /// - Parameters:
    ///   - groups: for each row the number of its group, below `groupCount`; -1 for a row that does not count.
    /// - Throws: `NotByColumn` where the values are not of the kind that it adds up.
    func add(_ arguments: [Vector], _ groups: [Int32], groupCount: Int) throws

    func value(_ group: Int) -> SQLScalar
}

extension SQLAggregate {
    /// A new one of the function, and the arguments that it reads.
    func made(sharing percentiles: inout [(aggregate: SQLAggregate, values: GatheredValues)]) -> any GroupedAggregate {
        switch function {
        case .count: return isDistinct ? DistinctCount() : RowCount()
        case .sum, .total, .avg, .saturatedSum: return NumberSum(function)
        case .min: return Extreme(isLargest: false)
        case .max: return Extreme(isLargest: true)
        case .firstOf: return FirstValue()
        case .percentile:
            var percent = 0.0
            switch arguments[1].form {
            case .constant(.integer(let integer)): percent = Double(integer)
            case .constant(.double(let double)): percent = double
            default: break
            }
            var gathered = self
            gathered.arguments = [arguments[0]]
            if let known = percentiles.first(where: { $0.aggregate == gathered }) {
                return Percentile(known.values, percent: percent, gathers: false)
            }
            let values = GatheredValues()
            percentiles.append((gathered, values))
            return Percentile(values, percent: percent, gathers: true)
        }
    }
}

extension Array {
    /// Makes room up to a count, each new place with `value`.
    fileprivate mutating func grow(to count: Int, with value: Element) {
        if self.count < count { append(contentsOf: repeatElement(value, count: count - self.count)) }
    }
}

/// `count(*)` and `count(value)`.
final class RowCount: GroupedAggregate {
    private var counts: [Int64] = []

    var byteCount: Int { counts.count * MemoryLayout<Int64>.stride }

    /// Adds rows to the first group.
    func add(_ count: Int) {
        counts.grow(to: 1, with: 0)
        counts[0] += Int64(count)
    }

    func add(_ arguments: [Vector], _ groups: [Int32], groupCount: Int) {
        counts.grow(to: groupCount, with: 0)
        let nulls = arguments.first?.nulls(groups.count)
        counts.withUnsafeMutableBufferPointer { counts in
            if let nulls {
                for (row, group) in groups.enumerated() where group >= 0 && !nulls[row] { counts[Int(group)] += 1 }
            } else {
                for group in groups where group >= 0 { counts[Int(group)] += 1 }
            }
        }
    }

    func value(_ group: Int) -> SQLScalar { .integer(group < counts.count ? counts[group] : 0) }
}

/// `sum`, `total`, `avg` and `saturated_sum`.
private final class NumberSum: GroupedAggregate {
    private struct Sum {
        var integer: Int64 = 0
        var double = 0.0
        var count: Int64 = 0
        var hasDouble = false
    }

    private let function: SQLAggregate.Function
    private var sums: [Sum] = []

    var byteCount: Int { sums.count * MemoryLayout<Sum>.stride }

    init(_ function: SQLAggregate.Function) { self.function = function }

    func add(_ arguments: [Vector], _ groups: [Int32], groupCount: Int) throws {
        sums.grow(to: groupCount, with: Sum())
        let values = arguments[0]
        if case .integers(let integers) = values.values {
            let isNull = values.isNull
            try sums.withUnsafeMutableBufferPointer { sums in
                for (row, group) in groups.enumerated() where group >= 0 && isNull?[row] != true {
                    try add(integers[row], to: &sums[Int(group)])
                }
            }
            return
        }
        for (row, group) in groups.enumerated() where group >= 0 {
            switch values.scalar(row) {
            case .null: break
            case .integer(let integer): try add(integer, to: &sums[Int(group)])
            case .double(let double):
                sums[Int(group)].double += double
                sums[Int(group)].count += 1
                sums[Int(group)].hasDouble = true
            case .text: throw NotByColumn()
            }
        }
    }

    @inline(__always)
    private func add(_ integer: Int64, to sum: inout Sum) throws {
        sum.count += 1
        sum.double += Double(integer)
        let (value, runsOver) = sum.integer.addingReportingOverflow(integer)
        if runsOver {
            switch function {
            // SQLite has an error for this.
            case .sum: throw NotByColumn()
            case .saturatedSum: sum.integer = integer > 0 ? .max : .min
            default: break
            }
        } else {
            sum.integer = value
        }
    }

    func value(_ group: Int) -> SQLScalar {
        let sum = group < sums.count ? sums[group] : Sum()
        switch function {
        case .total: return .double(sum.double)
        case .avg: return sum.count == 0 ? .null : Self.shown(sum.double / Double(sum.count))
        default: return sum.count == 0 ? .null : sum.hasDouble ? Self.shown(sum.double) : .integer(sum.integer)
        }
    }

    /// SQL has no value for what is not a number.
    private static func shown(_ double: Double) -> SQLScalar { double.isNaN ? .null : .double(double) }
}

/// `min` and `max`.
private final class Extreme: GroupedAggregate {
    private let isLargest: Bool
    /// While all values are integers: those, and whether there is one.
    private var integers: [(value: Int64, isThere: Bool)] = []
    /// From the first other value on, by numbers in `pool`.
    private var scalars: [Int32]?
    private var pool = ScalarPool()
    /// For each group the best place of its texts in the order of a segment's, -1 between segments.
    private var places: [Int32] = []

    var byteCount: Int { integers.count * 16 + (scalars?.count ?? 0) * 4 + places.count * 4 + pool.byteCount }

    init(isLargest: Bool) { self.isLargest = isLargest }

    func add(_ arguments: [Vector], _ groups: [Int32], groupCount: Int) {
        let values = arguments[0]
        switch values.values {
        case .constant(.null): break
        case .integers(let numbers) where scalars == nil:
            integers.grow(to: groupCount, with: (0, false))
            let (isNull, isLargest) = (values.isNull, isLargest)
            integers.withUnsafeMutableBufferPointer { integers in
                for (row, group) in groups.enumerated() where group >= 0 && isNull?[row] != true {
                    let (known, isThere) = integers[Int(group)]
                    let number = numbers[row]
                    if !isThere || (isLargest ? number > known : number < known) { integers[Int(group)] = (number, true) }
                }
            }
        case .texts(let numbers, let entries): addTexts(numbers, entries, groups, groupCount)
        default:
            for (row, group) in groups.enumerated() where group >= 0 { take(values.scalar(row), for: Int(group), groupCount) }
        }
    }

    /// The groups that a segment has are few beside its rows: only their best texts are compared with what is known.
    private func addTexts(_ numbers: [Int32], _ entries: [[UInt8]], _ groups: [Int32], _ groupCount: Int) {
        places.grow(to: groupCount, with: -1)
        let order = entries.indices.sorted { entries[$0].lexicographicallyPrecedes(entries[$1]) }
        var placeOfEntry = [Int32](repeating: 0, count: entries.count)
        for (place, entry) in order.enumerated() { placeOfEntry[entry] = Int32(truncatingIfNeeded: place) }
        var touched: [Int] = []
        for (row, group) in groups.enumerated() where group >= 0 && numbers[row] >= 0 {
            let place = placeOfEntry[Int(numbers[row])]
            let known = places[Int(group)]
            if known < 0 { touched.append(Int(group)) }
            if known < 0 || (isLargest ? place > known : place < known) { places[Int(group)] = place }
        }
        for group in touched {
            take(.text(entries[order[Int(places[group])]]), for: group, groupCount)
            places[group] = -1
        }
    }

    private func take(_ scalar: SQLScalar, for group: Int, _ groupCount: Int) {
        guard !scalar.isNull else { return }
        if scalars == nil { scalars = integers.map { $0.isThere ? pool.number(of: .integer($0.value)) : -1 } }
        scalars?.grow(to: groupCount, with: -1)
        let known = scalars?[group] ?? -1
        guard known >= 0 else {
            scalars?[group] = pool.number(of: scalar)
            return
        }
        let order = SQLScalar.order(scalar, pool.values[Int(known)])
        if isLargest ? order > 0 : order < 0 { scalars?[group] = pool.number(of: scalar) }
    }

    func value(_ group: Int) -> SQLScalar {
        if let scalars { return group < scalars.count && scalars[group] >= 0 ? pool.values[Int(scalars[group])] : .null }
        return group < integers.count && integers[group].isThere ? .integer(integers[group].value) : .null
    }
}

/// `count(DISTINCT value)`.
private final class DistinctCount: GroupedAggregate {
    private var known: [Set<SQLScalar>] = []
    private(set) var byteCount = 0

    func add(_ arguments: [Vector], _ groups: [Int32], groupCount: Int) throws {
        byteCount += max(0, groupCount - known.count) * 8
        known.grow(to: groupCount, with: [])
        let values = arguments[0]
        if case .identifiers(let words) = values.values {
            for (row, group) in groups.enumerated() where group >= 0 && values.isNull?[row] != true {
                insert(.integer(Int64(bitPattern: words[row])), Int(group))
            }
            return
        }
        if case .texts(let numbers, let entries) = values.values {
            var pairs: Set<Int64> = []
            for (row, group) in groups.enumerated() where group >= 0 && numbers[row] >= 0 {
                guard pairs.insert(Int64(group) << 32 | Int64(numbers[row])).inserted else { continue }
                insert(.text(entries[Int(numbers[row])]), Int(group))
            }
            return
        }
        for (row, group) in groups.enumerated() where group >= 0 {
            let scalar = values.scalar(row)
            if case .double(let double) = scalar, Int64(exactly: double) != nil { throw NotByColumn() }
            if !scalar.isNull { insert(scalar, Int(group)) }
        }
    }

    private func insert(_ scalar: SQLScalar, _ group: Int) {
        guard known[group].insert(scalar).inserted else { return }
        byteCount += 32
        if case .text(let text) = scalar { byteCount += 32 + text.count }
    }

    func value(_ group: Int) -> SQLScalar { .integer(group < known.count ? Int64(known[group].count) : 0) }
}

/// Numbers of groups for their percentiles.
final class GatheredValues {
    /// As `percentile` of SQL has it.
    private static let valuesMax = PercentileFunction.valuesMax
    fileprivate var integers: [[Int64]] = []
    fileprivate private(set) var count = 0

    fileprivate func add(_ values: Vector, _ groups: [Int32], _ groupCount: Int) throws {
        integers.grow(to: groupCount, with: [])
        guard let numbers = values.integers(groups.count) else { throw NotByColumn() }
        for (row, group) in groups.enumerated() where group >= 0 && numbers.isNull?[row] != true {
            integers[Int(group)].append(numbers.values[row])
            count += 1
        }
        guard count <= Self.valuesMax else { throw NotByColumn() }
    }
}

/// `percentile(value, p)` of integers.
private final class Percentile: GroupedAggregate {
    private let values: GatheredValues
    private let percent: Double
    private let gathers: Bool

    var byteCount: Int { gathers ? values.integers.count * 40 + values.count * 8 : 0 }

    /// - Parameter gathers: whether this one, of all that share the values, adds them.
    init(_ values: GatheredValues, percent: Double, gathers: Bool) {
        (self.values, self.percent, self.gathers) = (values, percent, gathers)
    }

    func add(_ arguments: [Vector], _ groups: [Int32], groupCount: Int) throws {
        if gathers { try values.add(arguments[0], groups, groupCount) }
    }

    func value(_ group: Int) -> SQLScalar {
        guard group < values.integers.count, !values.integers[group].isEmpty,
            let rank = PercentileFunction.rank(percent, of: values.integers[group].count)
        else { return .null }
        return .integer(values.integers[group].withUnsafeMutableBufferPointer { Selection.value(atRank: rank, of: $0) })
    }
}

/// `first_of(value, is_child, start, end, span_id)`.
private final class FirstValue: GroupedAggregate {
    private struct First {
        var rank: NamingRank
        /// The number of a text; -1 without one.
        var text: Int32
    }

    private var firsts: [First] = []
    private var texts = ScalarPool()

    var byteCount: Int { firsts.count * MemoryLayout<First>.stride + texts.byteCount }

    func add(_ arguments: [Vector], _ groups: [Int32], groupCount: Int) throws {
        firsts.grow(to: groupCount, with: First(rank: NamingRank(isChild: true, start: 0, end: 0, span: 0), text: -1))
        if case .constant(.null) = arguments[0].values { return }
        guard case .texts(let values, let entries) = arguments[0].values, let children = arguments[1].integers(groups.count),
            let starts = arguments[2].integers(groups.count), let ends = arguments[3].integers(groups.count),
            case .identifiers(let spans) = arguments[4].values
        else { throw NotByColumn() }
        let known = entries.map { texts.number(of: .text($0)) }
        firsts.withUnsafeMutableBufferPointer { firsts in
            for (row, group) in groups.enumerated() where group >= 0 && values[row] >= 0 {
                let isChild = children.isNull?[row] != true && children.values[row] != 0
                let best = firsts[Int(group)]
                if best.text >= 0, isChild, !best.rank.isChild { continue }
                let start = starts.isNull?[row] == true ? 0 : starts.values[row]
                let end = ends.isNull?[row] == true ? 0 : ends.values[row]
                let rank = NamingRank(isChild: isChild, start: start, end: end, span: spans[row])
                if best.text < 0 || rank.precedes(best.rank) { firsts[Int(group)] = First(rank: rank, text: known[Int(values[row])]) }
            }
        }
    }

    func value(_ group: Int) -> SQLScalar {
        guard group < firsts.count, firsts[group].text >= 0 else { return .null }
        return texts.values[Int(firsts[group].text)]
    }
}
