import SQLite
package import TelemetryModel

extension TraceQL {
    /// Series of one answer.
    private static let seriesMax = 200
    /// Points of one series.
    package static let pointsMax = 11_000
    /// Traces that are read whole for one answer.
    private static let tracesMax = 50_000
    private static let tracesPerBatch = 64
    /// Values that are held for one answer's figures.
    private static let valuesMax = 4_000_000

    /// Writes `{"series":[…]}` of the query's metric. Samples stand at the end of their step; a count is 0 in a step in which nothing came,
    /// and other figures have no sample there.
    ///
    /// - Parameters:
    ///   - step: nanoseconds; the whole window for an instant.
    ///   - exemplars: how many spans may stand beside the samples; an instant has none.
    package func writeSeries(
        _ window: TimeWindow, step: Int64, isInstant: Bool, exemplars countMax: Int = 0, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        guard let metric else { throw QueryError.invalid("the query has no metric, such as | rate()") }
        guard step > 0, window.nanoseconds / step <= Int64(Self.pointsMax) else {
            throw QueryError.invalid("more than \(Self.pointsMax) points; take a longer step")
        }
        let steps = TraceQLSteps(window: window, step: step, isInstant: isInstant)
        if case .compare(let selection, let values) = metric.measure {
            guard let filter = simpleFilter else { throw QueryError.invalid("compare() works behind one span set about single spans") }
            return try TraceQLDifference(filter: filter, selection: selection, valuesMax: values, steps: steps)
                .write(reader, into: &json)
        }
        let needsTrace = !isSimple || metric.by.contains(where: \.isComputed) || metric.field?.isComputed == true
        var exemplars = TraceQLExemplars(metric, countMax: isInstant ? 0 : exemplarsMax ?? countMax)
        var series =
            needsTrace ? try evaluated(metric, steps, reader, &exemplars) : try queried(metric, steps, reader, &exemplars)
        var isFilled = false
        for stage in metric.stages {
            switch stage {
            case .best(let count, let isLargest): series = Self.best(series, count, isLargest: isLargest)
            case .filter(let symbol, let number):
                if !isFilled { try Self.fill(&series, metric, steps) }
                isFilled = true
                series = series.mapValues { $0.filter { TraceQLFunctions.compare(symbol, .double($0.value), .double(number)) } }
                    .filter { !$0.value.isEmpty }
            }
        }
        if series.count > Self.seriesMax {
            reader.noteTruncated("series", after: Self.seriesMax)
            series = Self.best(series, Self.seriesMax, isLargest: true)
        }
        if !isFilled { try Self.fill(&series, metric, steps) }
        Self.write(series, metric, steps, exemplars.bySeries(series), into: &json)
    }

    /// Counts are 0 in steps in which nothing came.
    private static func fill(_ series: inout [TraceQLSeriesKey: [Int64: Double]], _ metric: Metric, _ steps: TraceQLSteps)
        throws(QueryError)
    {
        guard metric.measure == .rate || metric.measure == .count else { return }
        // With labels nothing says which series there would be; without, there is one.
        if series.isEmpty && metric.by.isEmpty { series[TraceQLSeriesKey(labels: [], extra: nil)] = [:] }
        guard series.count.multipliedReportingOverflow(by: steps.buckets.count).partialValue <= valuesMax else {
            throw .tooLarge("the query has more than \(valuesMax) samples; group by fewer fields, or take a longer step")
        }
        for key in series.keys { for bucket in steps.buckets where series[key]?[bucket] == nil { series[key]?[bucket] = 0 } }
    }

    private static func best(
        _ series: [TraceQLSeriesKey: [Int64: Double]], _ count: Int, isLargest: Bool
    ) -> [TraceQLSeriesKey: [Int64: Double]] {
        let sums = series.map { ($0.key, $0.value.values.reduce(0, +)) }
        let ordered = sums.sorted { left, right in
            left.1 == right.1 ? left.0.text < right.0.text : (left.1 > right.1) == isLargest
        }
        let kept = Set(ordered.prefix(count).map(\.0))
        return series.filter { kept.contains($0.key) }
    }

    // MARK: By SQL

    private func queried(
        _ metric: Metric, _ steps: TraceQLSteps, _ reader: QueryReader, _ exemplars: inout TraceQLExemplars
    ) throws -> [TraceQLSeriesKey: [Int64: Double]] {
        let condition = condition
        let labels = metric.by.enumerated().map { ", \($1.sql) AS label\($0)" }.joined()
        let groups = metric.by.indices.map { ", label\($0)" }.joined()
        let measured = Self.measures(metric, step: steps.step)
        let isHistogram = metric.measure == .histogram
        let histogram = isHistogram ? ", \(Self.powerOfTwo(metric.field)) AS power" : ""
        let twice = (metric.field?.values ?? []) + (metric.field?.values ?? [])
        let sql = """
            SELECT \(steps.bucketSQL) AS bucket\(labels)\(histogram), \(measured.map(\.sql).joined(separator: ", ")) FROM spans
            WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(condition?.sql ?? "1")
            GROUP BY bucket\(groups)\(isHistogram ? ", power" : "") ORDER BY bucket
            """
        let values =
            metric.by.flatMap(\.values) + (isHistogram ? twice : []) + measured.flatMap(\.values) + steps.window.values
            + (condition?.values ?? [])
        var series: [TraceQLSeriesKey: [Int64: Double]] = [:]
        try reader.each(sql, values) { row in
            let cells = QueryReader.row(row)
            let bucket = cells[0].integer ?? 0
            let own = metric.by.indices.map { metric.by[$0].shown(cells[1 + $0]) }
            var next = 1 + own.count
            var power: QueryValue?
            if isHistogram {
                power = cells[next]
                next += 1
            }
            for (index, measure) in measured.enumerated() {
                guard let value = cells[next + index].double else { continue }
                let key = TraceQLSeriesKey(labels: own, extra: power.map { ("__bucket", $0) } ?? measure.label)
                series[key, default: [:]][bucket] = value
            }
            guard series.count <= Self.seriesHeldMax else {
                throw QueryError.tooLarge("the query has more than \(Self.seriesHeldMax) series; group by fewer fields")
            }
            return true
        }
        if !series.isEmpty { try exemplars.find(condition, steps, reader) }
        return series
    }

    /// Series that are told apart before the best of them are taken.
    private static let seriesHeldMax = 20_000

    private struct MeasureColumn {
        var sql: String
        var values: [QueryValue]
        var label: (String, QueryValue)?
    }

    private static func measures(_ metric: Metric, step: Int64) -> [MeasureColumn] {
        let seconds = Double(step) / 1e9
        let scale = metric.field?.kind == .duration ? " / 1e9" : ""
        func column(_ function: String) -> [MeasureColumn] {
            [
                MeasureColumn(
                    sql: "\(function)(\(metric.field?.numberSQL ?? "1"))\(scale)", values: metric.field?.values ?? [], label: nil)
            ]
        }
        switch metric.measure {
        case .rate: return [MeasureColumn(sql: "count(*) / \(seconds)", values: [], label: nil)]
        case .count, .histogram, .compare: return [MeasureColumn(sql: "count(*)", values: [], label: nil)]
        case .minimum: return column("min")
        case .maximum: return column("max")
        case .average: return column("avg")
        case .sum: return column("saturated_sum")
        case .quantile(let quantiles):
            return quantiles.map { quantile in
                MeasureColumn(
                    sql: "percentile(\(metric.field?.numberSQL ?? "1"), \(quantile * 100))\(scale)", values: metric.field?.values ?? [],
                    label: ("p", .double(quantile)))
            }
        }
    }

    /// The smallest power of two that a value does not exceed, in seconds for durations.
    private static func powerOfTwo(_ field: TraceQLField?) -> String {
        let value = field.map { $0.kind == .duration ? "(\($0.sql) / 1e9)" : "(\($0.numberSQL))" } ?? "1"
        return "CASE WHEN \(value) > 0 THEN pow(2, ceil(log2(\(value)))) ELSE 0 END"
    }

    // MARK: By whole traces

    private func evaluated(
        _ metric: Metric, _ steps: TraceQLSteps, _ reader: QueryReader, _ exemplars: inout TraceQLExemplars
    ) throws -> [TraceQLSeriesKey: [Int64: Double]] {
        let condition = condition
        let ids = try reader.rows(
            """
            SELECT DISTINCT trace_id FROM spans WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(condition?.sql ?? "1")
            LIMIT \(Self.tracesMax + 1)
            """, steps.window.values + (condition?.values ?? [])
        ).compactMap { $0[0].text }
        guard ids.count <= Self.tracesMax else {
            throw QueryError.tooLarge("the query reads more than \(Self.tracesMax) traces whole; narrow it by time or by a service")
        }
        let evaluator = TraceQLEvaluator(pipeline, wanted: metric.by + (metric.field.map { [$0] } ?? []))
        var gathered: [TraceQLSeriesKey: [Int64: [Double]]] = [:]
        var count = 0
        for begin in stride(from: 0, to: ids.count, by: Self.tracesPerBatch) {
            for (id, trace) in try evaluator.traces(Array(ids[begin..<min(begin + Self.tracesPerBatch, ids.count)]), reader) {
                for index in Set(evaluator.groups(trace).flatMap(\.spans)) {
                    let span = trace.spans[index]
                    guard span.start >= steps.window.from, span.start <= steps.window.last else { continue }
                    let labels = metric.by.map { $0.shown(evaluator.value($0, of: index, trace)) }
                    var number = 1.0
                    if let field = metric.field {
                        guard let own = evaluator.value(field, of: index, trace).double else { continue }
                        number = field.kind == .duration ? own / 1e9 : own
                    }
                    count += 1
                    guard count <= Self.valuesMax else {
                        throw QueryError.tooLarge("the query measures more than \(Self.valuesMax) spans; narrow it by time")
                    }
                    let extra = metric.measure == .histogram ? ("__bucket", QueryValue.double(Self.powerOfTwo(number))) : nil
                    let series = TraceQLSeriesKey(labels: labels, extra: extra)
                    let isFirst = gathered[series]?[steps.bucket(of: span.start)] == nil
                    gathered[series, default: [:]][steps.bucket(of: span.start), default: []].append(number)
                    // One of each sample is enough to choose from.
                    if isFirst { exemplars.add(id, start: span.start, metric.field?.kind == .duration ? number * 1e9 : number, labels, steps) }
                }
            }
        }
        return Self.figures(gathered, metric, steps)
    }

    static func powerOfTwo(_ value: Double) -> Double {
        guard value > 0 else { return 0 }
        var power = 1.0
        while power < value, power < 1e300 { power *= 2 }
        while power / 2 >= value, power > 1e-300 { power /= 2 }
        return power
    }

    private static func figures(
        _ gathered: [TraceQLSeriesKey: [Int64: [Double]]], _ metric: Metric, _ steps: TraceQLSteps
    ) -> [TraceQLSeriesKey: [Int64: Double]] {
        var series: [TraceQLSeriesKey: [Int64: Double]] = [:]
        for (key, buckets) in gathered {
            for (bucket, numbers) in buckets {
                switch metric.measure {
                case .rate: series[key, default: [:]][bucket] = Double(numbers.count) / (Double(steps.step) / 1e9)
                case .count, .histogram, .compare: series[key, default: [:]][bucket] = Double(numbers.count)
                case .minimum: series[key, default: [:]][bucket] = numbers.min()
                case .maximum: series[key, default: [:]][bucket] = numbers.max()
                case .average: series[key, default: [:]][bucket] = numbers.reduce(0, +) / Double(numbers.count)
                case .sum: series[key, default: [:]][bucket] = numbers.reduce(0, +)
                case .quantile(let quantiles):
                    let sorted = numbers.sorted()
                    for quantile in quantiles {
                        let rank = min(sorted.count, max(1, Int((quantile * Double(sorted.count)).rounded(.up))))
                        let own = TraceQLSeriesKey(labels: key.labels, extra: ("p", .double(quantile)))
                        series[own, default: [:]][bucket] = sorted[rank - 1]
                    }
                }
            }
        }
        return series
    }

    // MARK: Writing

    private static func write(
        _ series: [TraceQLSeriesKey: [Int64: Double]], _ metric: Metric, _ steps: TraceQLSteps,
        _ exemplars: [TraceQLSeriesKey: [TraceQLExemplars.Exemplar]], into json: inout JSONWriter
    ) {
        json.raw("{\"series\":[")
        for (index, (key, samples)) in series.sorted(by: { $0.key.text < $1.key.text }).enumerated() {
            if index > 0 { json.raw(",") }
            var labels = zip(metric.by, key.labels).map { ($0.name, $1) }
            if let extra = key.extra { labels.append((key.extraName, extra)) }
            if labels.isEmpty { labels.append(("__name__", .text(metric.name))) }
            steps.write(labels, samples, exemplars[key] ?? [], into: &json)
        }
        json.raw("]}")
    }
}

/// The steps of a metric over a window.
struct TraceQLSteps {
    let window: TimeWindow
    /// Nanoseconds.
    let step: Int64
    let isInstant: Bool

    private var origin: Int64 { isInstant ? window.from : 0 }

    var bucketSQL: String { isInstant ? "0" : "start_time_unix_nano / \(step)" }

    func bucket(of time: Int64) -> Int64 { isInstant ? 0 : time / step }

    /// The numbers of the steps that touch the window.
    var buckets: ClosedRange<Int64> { isInstant ? 0...0 : bucket(of: window.from)...max(bucket(of: window.from), bucket(of: window.last)) }

    /// A series as Tempo writes it: its labels, and samples by time.
    func write(
        _ labels: [(String, QueryValue)], _ samples: [Int64: Double], _ exemplars: [TraceQLExemplars.Exemplar] = [], into json: inout JSONWriter
    ) {
        json.raw("{\"labels\":[")
        for (place, label) in labels.enumerated() {
            if place > 0 { json.raw(",") }
            TraceQL.writeAttribute(label.0, label.1, into: &json)
        }
        json.raw("],\"samples\":[")
        for (place, sample) in samples.sorted(by: { $0.key < $1.key }).enumerated() {
            if place > 0 { json.raw(",") }
            let end = isInstant ? window.to : sample.key.addingSaturated(1).multipliedSaturated(by: step)
            json.raw("{\"timestampMs\":")
            json.string("\(end / 1_000_000)")
            json.raw(",\"value\":")
            json.double(sample.value)
            json.raw("}")
        }
        json.raw("],\"exemplars\":[")
        for (place, exemplar) in exemplars.enumerated() {
            json.raw(place > 0 ? ",{\"labels\":[" : "{\"labels\":[")
            TraceQL.writeAttribute("trace:id", .text(exemplar.traceID), into: &json)
            json.raw("],\"value\":")
            json.double(exemplar.value ?? 0)
            json.raw(",\"timestampMs\":")
            json.string("\(exemplar.startUnixNano / 1_000_000)")
            json.raw("}")
        }
        json.raw("]}")
    }
}

/// What tells series apart: the values of their labels, and a quantile or a bucket.
struct TraceQLSeriesKey: Hashable {
    let labels: [QueryValue]
    let extraName: String
    let extra: QueryValue?
    /// The order of series, and what two that are the same share.
    let text: String

    init(labels: [QueryValue], extra: (String, QueryValue)?) {
        self.labels = labels
        extraName = extra?.0 ?? ""
        self.extra = extra?.1
        text = labels.map { "\($0)" }.joined(separator: "\u{0}") + "\u{0}" + (extra.map { "\($0.1)" } ?? "")
    }

    static func == (left: TraceQLSeriesKey, right: TraceQLSeriesKey) -> Bool { left.text.isExactly(right.text) && left.extraName == right.extraName }

    func hash(into hasher: inout Hasher) { text.hashBytes(into: &hasher) }
}

extension TraceQL.Metric {
    /// The name of a series without labels.
    var name: String {
        switch measure {
        case .rate: "rate"
        case .count: "count_over_time"
        case .minimum: "min_over_time"
        case .maximum: "max_over_time"
        case .average: "avg_over_time"
        case .sum: "sum_over_time"
        case .quantile: "quantile_over_time"
        case .histogram: "histogram_over_time"
        case .compare: "compare"
        }
    }
}
