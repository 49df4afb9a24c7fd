import TelemetryModel

/// The evals of two runs, case by case. A case of one run is the same as one of the other when both have its eval id, else its example id, and the same name.
/// Of several judgements of a case in a run the mean of the scores counts, and that one of them failed.
struct EvalPairing {
    /// A row of `evaluation`.
    struct Row: Sendable {
        var evalID: String?
        var exampleID: String?
        var name: String
        var score: Double?
        var label: String?
        var explanation: String?
        var hasFailed: Bool
        var error: String?
        var traceID: String?
        var spanID: String?
        var durationNanoseconds: Int64?
    }

    enum Change: String, Sendable {
        /// Passed in A and failed in B, or without a judgement there for an error.
        case broke
        case worse
        case same
        case better
        /// Failed in A and not in B.
        case mended

        var isWorse: Bool { self == .broke || self == .worse }
        var isBetter: Bool { self == .mended || self == .better }
        /// What got worse comes first.
        fileprivate var rank: Int {
            switch self {
            case .broke: 0
            case .worse: 1
            case .mended: 2
            case .better: 3
            case .same: 4
            }
        }
    }

    /// A case that both runs have.
    struct Case: Sendable {
        /// Its eval id or example id.
        var item: String
        var name: String
        var first: Row
        var second: Row
        var change: Change
        /// By how much the score changed, in whichever direction.
        var size: Double
    }

    struct Summary: Sendable {
        var name: String
        var cases = 0
        var worse = 0
        var better = 0
        var same = 0
        var onlyFirst = 0
        var onlySecond = 0
        var failedFirst = 0
        var failedSecond = 0
        fileprivate var scored = 0
        fileprivate var sumFirst = 0.0
        fileprivate var sumSecond = 0.0

        var meanFirst: Double? { scored > 0 ? sumFirst / Double(scored) : nil }
        var meanSecond: Double? { scored > 0 ? sumSecond / Double(scored) : nil }
        var meanDifference: Double? { scored > 0 ? (sumSecond - sumFirst) / Double(scored) : nil }
    }

    /// Scores that differ by less are the same: the last digits of a mean are noise.
    private static let tolerance = 1e-9

    /// What got worse first, the largest change of a kind first, then by name and item.
    private(set) var cases: [Case] = []
    /// By name.
    private(set) var summaries: [Summary] = []

    init(_ first: [Row], _ second: [Row], lowerIsBetter: Set<String>) {
        var found: [ExactText: Summary] = [:]
        let (before, after) = (Self.merged(first), Self.merged(second))
        let partners = Self.partners(before, after)
        let taken = Set(partners.compactMap { $0 })
        for (row, partner) in zip(before, partners) {
            guard let partner else {
                found[ExactText(row.name), default: Summary(name: row.name)].onlyFirst += 1
                continue
            }
            let other = after[partner]
            let (change, size) = Self.change(row, other, isLowerBetter: lowerIsBetter.contains(row.name))
            let item = row.evalID ?? row.exampleID ?? ""
            cases.append(Case(item: item, name: row.name, first: row, second: other, change: change, size: size))
            found[ExactText(row.name), default: Summary(name: row.name)].add(row, other, change)
        }
        for (index, row) in after.enumerated() where !taken.contains(index) {
            found[ExactText(row.name), default: Summary(name: row.name)].onlySecond += 1
        }
        cases.sort { ($0.change.rank, -$0.size, $0.name, $0.item) < ($1.change.rank, -$1.size, $1.name, $1.item) }
        summaries = found.values.sorted { $0.name < $1.name }
    }

    private struct Key: Hashable {
        @ByBytes var id: String
        @ByBytes var name: String
    }

    /// The place of each row's partner in the other run: by eval id, and of those left over by example id.
    private static func partners(_ before: [Row], _ after: [Row]) -> [Int?] {
        var partners: [Int?] = Array(repeating: nil, count: before.count)
        var free = Set(after.indices)
        for id in [\Row.evalID, \Row.exampleID] {
            var places: [Key: Int] = [:]
            for (index, row) in after.enumerated() where free.contains(index) {
                if let id = row[keyPath: id] { places[Key(id: id, name: row.name)] = index }
            }
            for (index, row) in before.enumerated() where partners[index] == nil {
                guard let id = row[keyPath: id], let place = places[Key(id: id, name: row.name)], free.remove(place) != nil else {
                    continue
                }
                partners[index] = place
            }
        }
        return partners
    }

    /// One row for a case and name, in the order of the first ones. Rows of no case are left out.
    private static func merged(_ rows: [Row]) -> [Row] {
        var groups: [Key: [Row]] = [:]
        var order: [Key] = []
        for row in rows {
            guard let id = row.evalID ?? row.exampleID else { continue }
            let key = Key(id: id, name: row.name)
            if groups[key] == nil { order.append(key) }
            groups[key, default: []].append(row)
        }
        return order.compactMap { key in
            guard let group = groups[key], var row = group.last else { return nil }
            let scores = group.compactMap(\.score)
            row.score = scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
            if let failed = group.last(where: \.hasFailed) {
                (row.hasFailed, row.label, row.explanation) = (true, failed.label, failed.explanation)
            }
            row.exampleID = row.exampleID ?? group.compactMap(\.exampleID).first
            return row
        }
    }

    private static func change(_ first: Row, _ second: Row, isLowerBetter: Bool) -> (Change, Double) {
        let raw = first.score.flatMap { before in second.score.map { $0 - before } } ?? 0
        let gain = isLowerBetter ? -raw : raw
        let isLost = { (one: Row) in one.score == nil && one.label == nil && one.error != nil }
        let bad = [first, second].map { $0.hasFailed || isLost($0) }
        if bad[0] != bad[1] { return (bad[1] ? .broke : .mended, abs(raw)) }
        if abs(gain) <= tolerance { return (.same, 0) }
        return (gain < 0 ? .worse : .better, abs(raw))
    }
}

extension EvalPairing.Summary {
    fileprivate mutating func add(_ first: EvalPairing.Row, _ second: EvalPairing.Row, _ change: EvalPairing.Change) {
        cases += 1
        if change.isWorse { worse += 1 } else if change.isBetter { better += 1 } else { same += 1 }
        if first.hasFailed { failedFirst += 1 }
        if second.hasFailed { failedSecond += 1 }
        guard let before = first.score, let after = second.score else { return }
        scored += 1
        sumFirst += before
        sumSecond += after
    }
}
