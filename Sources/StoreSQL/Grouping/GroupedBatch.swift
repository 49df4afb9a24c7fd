import TelemetryModel

/// Groups of some spans, with their aggregates.
final class GroupedBatch {
    private let plan: GroupingPlan
    /// For each aggregate whether somebody asks for it.
    private let isWanted: [Bool]
    private var table: GroupTable
    private var aggregates: [any GroupedAggregate]
    /// The groups in the order in which they are given.
    private(set) var order: [Int] = []

    init(_ plan: GroupingPlan, isWanted: [Bool]) {
        self.plan = plan
        self.isWanted = isWanted
        table = GroupTable(keyCount: plan.keys.count)
        var percentiles: [(aggregate: SQLAggregate, values: GatheredValues)] = []
        var made: [any GroupedAggregate] = []
        // Those that share values do so with one that is asked for.
        for (aggregate, isWanted) in zip(plan.aggregates, isWanted) {
            made.append(isWanted ? aggregate.made(sharing: &percentiles) : RowCount())
        }
        aggregates = made
    }

    /// About what it takes in memory.
    var byteCount: Int { aggregates.reduce(table.byteCount) { $0 + $1.byteCount } }

    func add(_ vectors: SegmentVectors) throws {
        guard vectors.count > 0 else { return }
        let groups = try table.groups(of: plan.keys.map { try vectors.vector($0.expression) }, vectors.count)
        for (number, aggregate) in plan.aggregates.enumerated() where isWanted[number] {
            var counted = groups
            if let filter = aggregate.filter {
                for (row, truth) in try vectors.truths(filter).enumerated() where truth != .yes { counted[row] = -1 }
            }
            let arguments = try aggregate.arguments.map { try vectors.vector($0) }
            try aggregates[number].add(arguments, counted, groupCount: table.count)
        }
    }

    /// Adds rows of which nothing is asked but how many they are.
    func addUnread(_ count: Int) {
        for case let rows as RowCount in aggregates { rows.add(count) }
    }

    /// Ends the adding.
    ///
    /// - Parameter isSorted: whether groups must come in the order of their keys.
    func end(isSorted: Bool) {
        order = Array(0..<table.count)
        guard isSorted else { return }
        order.sort { left, right in
            for key in plan.keys.indices {
                let order = SQLScalar.order(table.key(key, of: left), table.key(key, of: right))
                if order != 0 { return order < 0 }
            }
            return false
        }
    }

    func key(_ number: Int, at position: Int) -> SQLScalar { table.key(number, of: order[position]) }

    func aggregate(_ number: Int, at position: Int) -> SQLScalar { aggregates[number].value(order[position]) }
}
