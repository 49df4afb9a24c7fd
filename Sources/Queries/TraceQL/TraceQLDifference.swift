import SQLite
import TelemetryModel

/// `compare()`: how often each value of each attribute stands in a selection of spans and in the others, as Grafana's Traces Drilldown asks.
struct TraceQLDifference {
    /// Spans that are looked at, the newest.
    private static let spansMax = 100_000
    /// Bytes of a value that is told apart.
    private static let textBytesMax = 256
    private static let seriesMax = 2000

    let filter: TraceQLFilter
    let selection: TraceQLFilter
    /// Values of each attribute that are told, those most frequent.
    let valuesMax: Int
    let steps: TraceQLSteps

    /// Writes `{"series":[…]}`: `__meta_type` is baseline, selection, baseline_total or selection_total.
    func write(_ reader: QueryReader, into json: inout JSONWriter) throws {
        let condition = filter.condition
        let chosen = selection.condition
        var counts: [Key: [Int64: Double]] = [:]
        let values =
            (chosen?.values ?? []) + steps.window.values + (condition?.values ?? [])
        try reader.each(
            """
            WITH looked AS MATERIALIZED (
                SELECT \(steps.bucketSQL) AS bucket, coalesce(\(chosen?.sql ?? "1"), 0) AS chosen, attributes, resource_attributes, name, kind,
                    status_code
                FROM spans WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(condition?.sql ?? "1")
                ORDER BY start_time_unix_nano DESC LIMIT \(Self.spansMax))
            SELECT bucket, chosen, 'span.' || each.key, \(Self.value), count(*) FROM looked, json_each(looked.attributes) AS each
            WHERE each.type NOT IN ('array', 'object', 'null') AND length(each.value) <= \(Self.textBytesMax) GROUP BY 1, 2, 3, 4
            UNION ALL
            SELECT bucket, chosen, 'resource.' || each.key, \(Self.value), count(*) FROM looked, json_each(looked.resource_attributes) AS each
            WHERE each.type NOT IN ('array', 'object', 'null') AND length(each.value) <= \(Self.textBytesMax) GROUP BY 1, 2, 3, 4
            UNION ALL SELECT bucket, chosen, 'name', name, count(*) FROM looked GROUP BY 1, 2, 4
            UNION ALL SELECT bucket, chosen, 'kind', kind, count(*) FROM looked GROUP BY 1, 2, 4
            UNION ALL SELECT bucket, chosen, 'status', status_code, count(*) FROM looked GROUP BY 1, 2, 4
            """, values
        ) { row in
            let cells = QueryReader.row(row)
            let key = Key(isChosen: cells[1].integer != 0, name: cells[2].text ?? "", value: cells[3])
            counts[key, default: [:]][cells[0].integer ?? 0, default: 0] += cells[4].double ?? 0
            guard counts.count <= Self.heldMax else {
                throw QueryError.tooLarge("the spans have more than \(Self.heldMax) values to compare; narrow the query")
            }
            return true
        }
        write(counts, reader, into: &json)
    }

    private static let heldMax = 500_000
    /// Booleans are no numbers.
    private static let value = "CASE WHEN each.type IN ('true', 'false') THEN each.type ELSE each.value END"

    private struct Key: Hashable {
        var isChosen: Bool
        var name: String
        var value: QueryValue

        static func == (left: Key, right: Key) -> Bool {
            left.isChosen == right.isChosen && left.name.isExactly(right.name) && left.value == right.value
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(isChosen)
            name.hashBytes(into: &hasher)
            "\(value)".hashBytes(into: &hasher)
        }
    }

    private func write(_ counts: [Key: [Int64: Double]], _ reader: QueryReader, into json: inout JSONWriter) {
        var totals: [Key: [Int64: Double]] = [:]
        var byName: [String: [(key: Key, sum: Double)]] = [:]
        for (key, buckets) in counts {
            let total = Key(isChosen: key.isChosen, name: key.name, value: .null)
            for (bucket, count) in buckets { totals[total, default: [:]][bucket, default: 0] += count }
            byName["\(key.isChosen) \(key.name)", default: []].append((key, buckets.values.reduce(0, +)))
        }
        json.raw("{\"series\":[")
        var written = 0
        func series(_ type: String, _ name: String, _ value: QueryValue, _ samples: [Int64: Double]) {
            guard written < Self.seriesMax else { return }
            if written > 0 { json.raw(",") }
            written += 1
            steps.write([("__meta_type", .text(type)), (name, value)], samples, into: &json)
        }
        for (_, group) in byName.sorted(by: { $0.key < $1.key }) {
            let ordered = group.sorted { $0.sum == $1.sum ? "\($0.key.value)" < "\($1.key.value)" : $0.sum > $1.sum }
            for (key, _) in ordered.prefix(valuesMax) {
                series(key.isChosen ? "selection" : "baseline", key.name, Self.shown(key), counts[key] ?? [:])
            }
        }
        for (key, samples) in totals.sorted(by: { ($0.key.name, $0.key.isChosen ? 1 : 0) < ($1.key.name, $1.key.isChosen ? 1 : 0) }) {
            series(key.isChosen ? "selection_total" : "baseline_total", key.name, .null, samples)
        }
        json.raw("]}")
        if written >= Self.seriesMax { reader.noteTruncated("series", after: Self.seriesMax) }
    }

    private static func shown(_ key: Key) -> QueryValue {
        guard key.name == "status" || key.name == "kind", let field = try? TraceQLField(key.name) else { return key.value }
        return field.shown(key.value == .null ? .integer(0) : key.value)
    }
}
