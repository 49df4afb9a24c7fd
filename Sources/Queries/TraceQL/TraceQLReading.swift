import SQLite
package import TelemetryModel

extension TraceQL {
    /// Series of one answer.
    private static let seriesMax = 200
    /// Points of one series.
    package static let pointsMax = 11_000

    // MARK: Search

    /// Writes the matching spans of a trace as a Tempo span set: `{"spans":[…],"matched":n}`.
    package func writeSpanSet(of trace: String, spans: Int, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let columns = selected.map { ", \($0.sql)" }.joined()
        let values = selected.flatMap(\.values) + [.text(trace)] + (condition?.values ?? [])
        var isFirst = true
        json.raw("{\"spans\":[")
        try reader.each(
            """
            SELECT span_id, name, start_time_unix_nano, duration_ns\(columns) FROM spans
            WHERE trace_id = ? AND \(condition?.sql ?? "1") ORDER BY start_time_unix_nano, span_id LIMIT \(spans)
            """, values
        ) { row in
            if !isFirst { json.raw(",") }
            isFirst = false
            write(QueryReader.row(row), into: &json)
            return true
        }
        let matched = try reader.first(
            "SELECT count(*) FROM spans WHERE trace_id = ? AND \(condition?.sql ?? "1")",
            [.text(trace)] + (condition?.values ?? []))
        json.raw("],\"matched\":")
        json.integer(matched?.first?.integer ?? 0)
        json.raw("}")
    }

    private func write(_ row: [QueryValue], into json: inout JSONWriter) {
        json.raw("{\"spanID\":")
        row[0].write(into: &json)
        json.raw(",\"name\":")
        json.string(row[1].text ?? "")
        json.raw(",\"startTimeUnixNano\":")
        json.string("\(row[2].integer ?? 0)")
        json.raw(",\"durationNanos\":")
        json.string("\(row[3].integer ?? 0)")
        json.raw(",\"attributes\":[")
        var isFirst = true
        for (index, field) in selected.enumerated() where row[4 + index] != .null {
            if !isFirst { json.raw(",") }
            isFirst = false
            Self.writeAttribute(field.name, field.shown(row[4 + index]), into: &json)
        }
        json.raw("]}")
    }

    /// `{"key":…,"value":{"stringValue":…}}` as OTLP's JSON has it.
    package static func writeAttribute(_ name: String, _ value: QueryValue, into json: inout JSONWriter) {
        json.raw("{\"key\":")
        json.string(name)
        json.raw(",\"value\":{")
        switch value {
        case .integer(let integer):
            json.raw("\"intValue\":")
            json.string("\(integer)")
        case .double(let double):
            json.raw("\"doubleValue\":")
            json.double(double)
        case .text(let text):
            json.raw("\"stringValue\":")
            json.string(text)
        case .blob(let bytes):
            json.raw("\"bytesValue\":")
            json.base64(bytes[...])
        case .null: json.raw("\"stringValue\":\"nil\"")
        }
        json.raw("}}")
    }

    // MARK: Metrics

    /// Writes `{"series":[…]}` of the query's metric, a sample for each step in which there are spans.
    ///
    /// - Parameter step: nanoseconds; the whole window for an instant.
    package func writeSeries(
        _ window: TimeWindow, step: Int64, isInstant: Bool, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        guard let metric else { throw QueryError.invalid("the query has no metric, such as | rate()") }
        guard step > 0, (window.to &- window.from) / step <= Int64(Self.pointsMax) else {
            throw QueryError.invalid("more than \(Self.pointsMax) points; take a longer step")
        }
        let origin = isInstant ? window.from : 0
        let bucket = "(start_time_unix_nano - \(origin)) / \(step) AS bucket"
        let labels = metric.by.enumerated().map { ", \($1.sql) AS label\($0)" }.joined()
        let groups = metric.by.indices.map { ", label\($0)" }.joined()
        let measured = Self.measures(metric, step: step)
        let histogram = metric.measure == .histogram ? ", \(Self.powerOfTwo(metric.field)) AS power" : ""
        let sql = """
            SELECT \(bucket)\(labels)\(histogram), \(measured.map(\.sql).joined(separator: ", ")) FROM spans
            WHERE start_time_unix_nano >= ? AND start_time_unix_nano < ? AND \(condition?.sql ?? "1")
            GROUP BY bucket\(groups)\(histogram.isEmpty ? "" : ", power") ORDER BY bucket
            """
        let values =
            metric.by.flatMap(\.values) + (histogram.isEmpty ? [] : (metric.field?.values ?? []) + (metric.field?.values ?? []))
            + measured.flatMap(\.values)
            + window.values + (condition?.values ?? [])
        var series: [Key: [(Int64, Double)]] = [:]
        try reader.each(sql, values) { row in
            let cells = QueryReader.row(row)
            let time = isInstant ? window.to : (cells[0].integer ?? 0) * step
            let own = metric.by.indices.map { metric.by[$0].shown(cells[1 + $0]) }
            var next = 1 + own.count
            var power: QueryValue?
            if !histogram.isEmpty {
                power = cells[next]
                next += 1
            }
            for (index, measure) in measured.enumerated() {
                guard let value = Self.number(cells[next + index]) else { continue }
                let key = Key(labels: own, extra: power.map { ("__bucket", $0) } ?? measure.label)
                guard series[key] != nil || series.count < Self.seriesMax else { continue }
                series[key, default: []].append((time, value))
            }
            return true
        }
        Self.write(series, metric, into: &json)
    }

    private struct Key: Hashable {
        var labels: [String]
        var values: [QueryValue]
        var extraName: String
        var extra: QueryValue

        init(labels: [QueryValue], extra: (String, QueryValue)?) {
            values = labels
            self.labels = labels.map { "\($0)" }
            extraName = extra?.0 ?? ""
            self.extra = extra?.1 ?? .null
        }

        static func == (left: Key, right: Key) -> Bool {
            left.labels == right.labels && left.extraName == right.extraName && left.extra == right.extra
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(labels)
            hasher.combine("\(extra)")
        }
    }

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
                    sql: "\(function)(\(metric.field?.sql ?? "1"))\(scale)", values: metric.field?.values ?? [], label: nil)
            ]
        }
        switch metric.measure {
        case .rate: return [MeasureColumn(sql: "count(*) / \(seconds)", values: [], label: nil)]
        case .count, .histogram: return [MeasureColumn(sql: "count(*)", values: [], label: nil)]
        case .minimum: return column("min")
        case .maximum: return column("max")
        case .average: return column("avg")
        case .sum: return column("sum")
        case .quantile(let quantiles):
            return quantiles.map { quantile in
                MeasureColumn(
                    sql: "percentile(\(metric.field?.sql ?? "1"), \(quantile * 100))\(scale)", values: metric.field?.values ?? [],
                    label: ("p", .double(quantile)))
            }
        }
    }

    /// The smallest power of two that a value does not exceed, in seconds for durations.
    private static func powerOfTwo(_ field: TraceQLField?) -> String {
        let value = field.map { $0.kind == .duration ? "(\($0.sql) / 1e9)" : "(\($0.sql))" } ?? "1"
        return "CASE WHEN \(value) > 0 THEN pow(2, ceil(log2(\(value)))) ELSE 0 END"
    }

    private static func number(_ value: QueryValue) -> Double? {
        switch value {
        case .integer(let integer): Double(integer)
        case .double(let double): double
        case .null, .text, .blob: nil
        }
    }

    private static func write(_ series: [Key: [(Int64, Double)]], _ metric: Metric, into json: inout JSONWriter) {
        json.raw("{\"series\":[")
        let ordered = series.sorted { ($0.key.labels.joined(), "\($0.key.extra)") < ($1.key.labels.joined(), "\($1.key.extra)") }
        for (index, (key, samples)) in ordered.enumerated() {
            if index > 0 { json.raw(",") }
            json.raw("{\"labels\":[")
            var labels = zip(metric.by, key.values).map { ($0.name, $1) }
            if !key.extraName.isEmpty { labels.append((key.extraName, key.extra)) }
            if labels.isEmpty { labels.append(("__name__", .text(metric.name))) }
            for (place, label) in labels.enumerated() {
                if place > 0 { json.raw(",") }
                writeAttribute(label.0, label.1, into: &json)
            }
            json.raw("],\"samples\":[")
            for (place, sample) in samples.enumerated() {
                if place > 0 { json.raw(",") }
                json.raw("{\"timestampMs\":")
                json.string("\(sample.0 / 1_000_000)")
                json.raw(",\"value\":")
                json.double(sample.1)
                json.raw("}")
            }
            json.raw("],\"exemplars\":[]}")
        }
        json.raw("]}")
    }
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
        }
    }
}
