import PrometheusText
import TelemetryModel

/// All persistent counters as one dense array, addressed by number: a counter's number is its row's id in the store.
///
/// A histogram series is a run of counters, one a bucket (not cumulative) and the sum last.
struct CounterTable: Sendable {
    /// A counter's number.
    typealias ID = Int32

    struct Series: Sendable {
        var family: Family
        var labels: String
        /// The counter's number; a histogram's first bucket's.
        var first: ID
    }

    struct Exemplar: Sendable {
        var traceID: TraceID
        var spanID: SpanID
        /// In the family's exposed unit.
        var value: Double
        var timeUnixNano: Int64
    }

    private struct Cell {
        var value: Int64
        var isDirty: Bool
    }

    private struct Meta {
        var family: String
        var labels: String
        var createdUnixNano: Int64
    }

    private struct Key: Hashable {
        var family: Family
        @ByBytes var labels: String
    }

    private var cells: [Cell] = []
    private var metas: [Meta] = []
    private var ids: [Key: ID] = [:]
    private var dirty: [ID] = []
    /// Counters with a lower number are in the store.
    private var savedCount = 0
    private(set) var series: [Series] = []
    /// Series of families with a workflow.
    private(set) var workflowSeriesCount = 0
    /// The span that last moved a counter. Not persisted: shown in OpenMetrics only, gone after a restart.
    private(set) var exemplars: [ID: Exemplar] = [:]

    init(rows: [CounterRow]) {
        let families = Dictionary(uniqueKeysWithValues: Family.allCases.map { ($0.rawValue, $0) })
        for row in rows.sorted(by: { $0.id < $1.id }) {
            // A hole in the ids cannot be told from a damaged store; it is kept as a counter that nothing moves.
            guard row.id >= cells.count, row.id < SpanDerivations.Limits.counterIDsMax else { continue }
            while cells.count < row.id { append(family: "", labels: "", value: 0, created: 0, isDirty: false) }
            let id = append(
                family: row.family, labels: row.labels, value: row.value, created: row.createdUnixNano, isDirty: false)
            if let family = families[row.family] {
                if !family.isHistogram { register(family, labels: row.labels, first: id) }
            } else if row.family.hasSuffix("_bucket"), let family = families[String(row.family.dropLast(7))] {
                let first = Self.bucketSuffix(family, 0)
                if row.labels.hasSuffix(first) { register(family, labels: String(row.labels.dropLast(first.count)), first: id) }
            }
        }
        savedCount = cells.count
        dropBrokenHistograms()
    }

    var count: Int { cells.count }

    @inline(__always)
    mutating func add(_ id: ID, _ amount: Int64 = 1) {
        let index = Int(id)
        guard index >= 0, index < cells.count, amount > 0 else { return }
        cells[index].value = cells[index].value.addingSaturated(amount)
        if !cells[index].isDirty {
            cells[index].isDirty = true
            dirty.append(id)
        }
    }

    /// Lets the counter be at least as large as this.
    mutating func raise(_ id: ID, to value: Int64) { add(id, value.subtractingSaturated(self.value(id))) }

    /// Adds one observation to the histogram series that begins at `first`.
    @inline(__always)
    mutating func observe(_ first: ID, _ value: Int64, _ buckets: BucketTable) {
        add(first &+ ID(truncatingIfNeeded: buckets.index(of: value)))
        add(first &+ ID(truncatingIfNeeded: buckets.sumOffset), value)
    }

    func value(_ id: ID) -> Int64 {
        let index = Int(id)
        return index >= 0 && index < cells.count ? cells[index].value : 0
    }

    /// A counter's labels as text; empty when there is no such counter.
    func labels(_ id: ID) -> String {
        let index = Int(id)
        return metas.indices.contains(index) ? metas[index].labels : ""
    }

    func existing(_ family: Family, _ labels: String) -> ID? { ids[Key(family: family, labels: labels)] }

    /// The number of a counter, or of a histogram's first bucket; it is made, at zero, when there is none.
    mutating func id(_ family: Family, _ labels: String, created: Int64) -> ID {
        if let id = ids[Key(family: family, labels: labels)] { return id }
        let first = ID(truncatingIfNeeded: cells.count)
        if family.isHistogram {
            for index in 0...family.bounds.count {
                append(
                    family: family.rawValue + "_bucket", labels: labels + Self.bucketSuffix(family, index), value: 0,
                    created: created, isDirty: true)
            }
            append(family: family.rawValue + "_sum", labels: labels, value: 0, created: created, isDirty: true)
        } else {
            append(family: family.rawValue, labels: labels, value: 0, created: created, isDirty: true)
        }
        register(family, labels: labels, first: first)
        return first
    }

    mutating func setExemplar(_ id: ID, _ exemplar: Exemplar) { exemplars[id] = exemplar }

    /// The counters that were made since the last take, and those of before that moved, each by number.
    mutating func takeDirty() -> (made: [CounterRow], moved: [CounterValue]) {
        var made: [CounterRow] = []
        var moved: [CounterValue] = []
        moved.reserveCapacity(dirty.count)
        dirty.sort()
        for id in dirty {
            let index = Int(id)
            cells[index].isDirty = false
            if index < savedCount {
                moved.append(CounterValue(id: index, value: cells[index].value))
            } else {
                let meta = metas[index]
                made.append(
                    CounterRow(
                        id: index, family: meta.family, labels: meta.labels, value: cells[index].value,
                        createdUnixNano: meta.createdUnixNano))
            }
        }
        dirty.removeAll(keepingCapacity: dirty.count < 4_096)
        savedCount = cells.count
        return (made, moved)
    }

    @discardableResult
    private mutating func append(family: String, labels: String, value: Int64, created: Int64, isDirty: Bool) -> ID {
        let id = ID(truncatingIfNeeded: cells.count)
        cells.append(Cell(value: value, isDirty: isDirty))
        metas.append(Meta(family: family, labels: labels, createdUnixNano: created))
        if isDirty { dirty.append(id) }
        return id
    }

    private mutating func register(_ family: Family, labels: String, first: ID) {
        ids[Key(family: family, labels: labels)] = first
        series.append(Series(family: family, labels: labels, first: first))
        switch family {
        case .toolCalls, .toolTimeouts, .tokens, .apiCost, .workflowRuns: workflowSeriesCount += 1
        default: break
        }
    }

    /// A histogram whose rows do not all follow its first one is made anew rather than read past its end.
    private mutating func dropBrokenHistograms() {
        series.removeAll { series in
            guard series.family.isHistogram else { return false }
            let last = Int(series.first) + series.family.bounds.count + 1
            let isWhole =
                last < metas.count && metas[last].family == series.family.rawValue + "_sum" && metas[last].labels == series.labels
            if !isWhole { ids[Key(family: series.family, labels: series.labels)] = nil }
            return !isWhole
        }
    }

    /// `le` as the last label; the text of a bound is OpenMetrics' canonical one.
    private static func bucketSuffix(_ family: Family, _ index: Int) -> String {
        let bounds = family.bounds
        return ",le=\"\(index < bounds.count ? "\(bounds[index])" : "+Inf")\""
    }
}
