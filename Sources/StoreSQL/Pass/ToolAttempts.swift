package import SQLite
package import TelemetryModel

/// Attempts of tools and models, added up over columns: what the view `tools` groups, for the page, the terminal and reports.
package struct ToolAttempts {
    /// Whose attempts: a tool, or a stage where calls have no tool's name. NULL comes first in the order, then texts by their bytes, as in SQL.
    package struct Tool: Hashable, Comparable, Sendable {
        package var service: ExactText?
        package var name: ExactText?
        package var stage: ExactText?

        package init(service: String?, name: String?, stage: String? = nil) {
            self.service = service.map(ExactText.init)
            self.name = name.map(ExactText.init)
            self.stage = stage.map(ExactText.init)
        }

        package static func < (left: Tool, right: Tool) -> Bool {
            for (one, other) in [(left.service, right.service), (left.name, right.name), (left.stage, right.stage)] where one != other {
                guard let one else { return true }
                guard let other else { return false }
                return one < other
            }
            return false
        }
    }

    package struct Figures: Sendable {
        /// By outcome.
        package var counts: [String: Int64] = [:]
        /// Of those that were not rejected, nanoseconds.
        package var durations: [Int64] = []
        /// When the last one ended.
        package var lastUnixNano = Int64.min

        package var calls: Int64 { counts.values.reduce(0, +) }

        /// The duration at rank ⌈p/100 · n⌉, as `percentile` in SQL; `nil` without any. The order of `durations` changes.
        ///
        /// - Parameter percent: 0...100.
        package mutating func percentile(_ percent: Double) -> Int64? {
            guard let rank = PercentileFunction.rank(percent, of: durations.count) else { return nil }
            return durations.withUnsafeMutableBufferPointer { Selection.value(atRank: rank, of: $0) }
        }
    }

    package private(set) var figures: [Tool: Figures] = [:]

    package init() {}

    /// What attempts of a segment are told apart by: numbers of texts.
    private struct Kind: Hashable {
        var service: Int
        var name: Int
        var stage: Int
        var outcome: Int
    }

    private struct Counted {
        var count: Int64 = 0
        var durations: [Int64] = []
        var lastUnixNano = Int64.min
    }

    /// Adds the attempts among the rows that are meant.
    package mutating func add(_ segment: PassedSegment) throws(SQLiteError) {
        let outcome = try segment.texts("outcome")
        if outcome.texts.isEmpty { return }
        let service = try segment.texts("service_name")
        let name = try segment.texts("call_name")
        let stage = try segment.texts("stage")
        let duration = try segment.integers("duration_ns")
        let end = try segment.integers("end_time_unix_nano")
        var places: [Kind: Int] = [:]
        var counted: [(kind: Kind, figures: Counted)] = []
        segment.forEachRow { row in
            let number = outcome.number(row)
            if number < 0 { return }
            let kind = Kind(service: service.number(row), name: name.number(row), stage: stage.number(row), outcome: number)
            let place = places[kind] ?? counted.count
            if place == counted.count {
                places[kind] = place
                counted.append((kind, Counted()))
            }
            counted[place].figures.count += 1
            counted[place].figures.lastUnixNano = max(counted[place].figures.lastUnixNano, end[row] ?? .min)
            if let nanoseconds = duration[row] { counted[place].figures.durations.append(nanoseconds) }
        }
        for (kind, own) in counted {
            let tool = Tool(service: service.text(kind.service), name: name.text(kind.name), stage: stage.text(kind.stage))
            let ending = outcome.text(kind.outcome) ?? ""
            var sum = figures.removeValue(forKey: tool) ?? Figures()
            sum.counts[ending, default: 0] += own.count
            sum.lastUnixNano = max(sum.lastUnixNano, own.lastUnixNano)
            if ending != "rejected" { sum.durations += own.durations }
            figures[tool] = sum
        }
    }
}
