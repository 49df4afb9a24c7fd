import SQLite
import TelemetryModel

/// Spans that stand for a metric's samples: some of those that were counted, spread over the steps.
struct TraceQLExemplars {
    struct Exemplar: Sendable {
        var series: TraceQLSeriesKey
        var bucket: Int64
        var traceID: String
        var startUnixNano: Int64
        /// What was measured of the span; `nil` where spans are counted.
        var value: Double?
    }

    /// Those of one answer.
    static let exemplarsMax = 100
    /// Parts of the window that spans are looked for in, one after the other: so they do not all come from its beginning.
    private static let partsMax = 20

    private let metric: TraceQL.Metric
    private let countMax: Int
    private var found: [Exemplar] = []

    init(_ metric: TraceQL.Metric, countMax: Int) {
        (self.metric, self.countMax) = (metric, min(countMax, Self.exemplarsMax))
    }

    /// Looks for spans that meet a condition.
    mutating func find(_ condition: SQLCondition?, _ steps: TraceQLSteps, _ reader: QueryReader) throws {
        let buckets = steps.buckets
        let parts = min(Self.partsMax, countMax, Int(clamping: buckets.upperBound - buckets.lowerBound + 1))
        guard parts > 0 else { return }
        let length = (buckets.upperBound - buckets.lowerBound) / Int64(parts) + 1
        let labels = metric.by.map { ", \($0.sql)" }.joined()
        let number = metric.field?.numberSQL ?? "1"
        let sql = """
            SELECT start_time_unix_nano, trace_id, \(number)\(labels) FROM spans
            WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(condition?.sql ?? "1") LIMIT \((countMax + parts - 1) / parts)
            """
        for part in 0..<Int64(parts) {
            let first = buckets.lowerBound + part * length
            let from = max(steps.window.from, first.multipliedSaturated(by: steps.step))
            let last = min(steps.window.last, (first + length).multipliedSaturated(by: steps.step).subtractingSaturated(1))
            guard from <= last else { break }
            let values =
                (metric.field?.values ?? []) + metric.by.flatMap(\.values) + [.integer(from), .integer(last)]
                + (condition?.values ?? [])
            try reader.each(sql, values) { row in
                let cells = QueryReader.row(row)
                add(
                    cells[1].text ?? "", start: cells[0].integer ?? 0, cells[2].double,
                    metric.by.indices.map { metric.by[$0].shown(cells[3 + $0]) }, steps)
                return true
            }
        }
    }

    /// Takes a span that was counted.
    ///
    /// - Parameter number: what was measured, nanoseconds for durations; `nil` where it is not a number.
    mutating func add(_ traceID: String, start: Int64, _ number: Double?, _ labels: [QueryValue], _ steps: TraceQLSteps) {
        guard let number else { return }
        let value = metric.field.map { $0.kind == .duration ? number / 1e9 : number }
        let extra = metric.measure == .histogram ? ("__bucket", QueryValue.double(TraceQL.powerOfTwo(value ?? 1))) : nil
        found.append(
            Exemplar(
                series: TraceQLSeriesKey(labels: labels, extra: extra), bucket: steps.bucket(of: start), traceID: traceID,
                startUnixNano: start,
                value: value))
    }

    /// By series, each with its value: that of the span, or where spans are counted that of the sample.
    func bySeries(_ series: [TraceQLSeriesKey: [Int64: Double]]) -> [TraceQLSeriesKey: [Exemplar]] {
        guard countMax > 0 else { return [:] }
        let ordered = found.sorted { ($0.startUnixNano, $0.traceID) < ($1.startUnixNano, $1.traceID) }
        let stride = max(1, (ordered.count + countMax - 1) / countMax)
        var kept: [TraceQLSeriesKey: [Exemplar]] = [:]
        for (place, exemplar) in ordered.enumerated() where place % stride == 0 {
            var own = exemplar
            if case .quantile(let quantiles) = metric.measure { own.series = Self.quantile(quantiles, exemplar, series) }
            guard let samples = series[own.series], let sample = samples[own.bucket] else { continue }
            if own.value == nil { own.value = sample }
            kept[own.series, default: []].append(own)
        }
        return kept
    }

    /// The series of the least quantile that the span lies within.
    private static func quantile(
        _ quantiles: [Double], _ exemplar: Exemplar, _ series: [TraceQLSeriesKey: [Int64: Double]]
    ) -> TraceQLSeriesKey {
        let keys = quantiles.sorted().map { TraceQLSeriesKey(labels: exemplar.series.labels, extra: ("p", .double($0))) }
        return keys.first { key in series[key]?[exemplar.bucket].map { $0 >= exemplar.value ?? 0 } ?? false } ?? keys.last
            ?? exemplar.series
    }
}
