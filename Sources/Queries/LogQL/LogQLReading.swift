import SQLite
package import TelemetryModel

extension LogQL {
    /// Records that counts over time hold in memory.
    private static let recordsMax = 1_000_000
    private static let seriesMax = 500
    private static let pointsMax = 11_000
    private static let answerBytesMax = 16 << 20

    private static func bounded(_ window: TimeWindow, _ condition: SQLCondition?) -> SQLCondition {
        SQLCondition(
            "time_unix_nano >= ? AND time_unix_nano <= ? AND \(condition?.sql ?? "1")", window.values + (condition?.values ?? []))
    }

    // MARK: Records

    /// Writes `{"resultType":"streams","result":[…]}`: records by the labels of their streams and of their span.
    package func writeStreams(
        _ window: TimeWindow, limit: Int, isForward: Bool, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        let meant = Self.bounded(window, condition)
        let labels = LogLabels.streams + ["trace_id", "span_id"]
        let columns = labels.map { ", \(LogLabels.sql($0).sql)" }.joined()
        let order = isForward ? "ASC" : "DESC"
        var streams: [(labels: [String?], lines: [(Int64, String)])] = []
        var places: [String: Int] = [:]
        var bytes = 0
        try reader.each(
            """
            SELECT time_unix_nano, body\(columns) FROM logs WHERE \(meant.sql) ORDER BY time_unix_nano \(order), rowid \(order) LIMIT \(limit)
            """, meant.values
        ) { row in
            let own = labels.indices.map { row.text(Int32($0 + 2)) }
            let key = own.map { $0 ?? "" }.joined(separator: "\u{0}")
            let line = row.text(1) ?? ""
            bytes += line.utf8.count
            guard bytes <= Self.answerBytesMax else {
                reader.noteTruncated("lines", after: streams.reduce(0) { $0 + $1.lines.count })
                return false
            }
            if let place = places[key] {
                streams[place].lines.append((row.integer(0), line))
            } else {
                places[key] = streams.count
                streams.append((own, [(row.integer(0), line)]))
            }
            return true
        }
        json.raw("{\"resultType\":\"streams\",\"result\":[")
        for (place, stream) in streams.enumerated() {
            json.raw(place > 0 ? ",{\"stream\":" : "{\"stream\":")
            Self.write(zip(labels, stream.labels), into: &json)
            json.raw(",\"values\":[")
            for (number, line) in stream.lines.enumerated() {
                json.raw(number > 0 ? ",[" : "[")
                json.string("\(line.0)")
                json.raw(",")
                json.string(line.1)
                json.raw("]")
            }
            json.raw("]}")
        }
        json.raw("],\"stats\":{}}")
    }

    /// Labels that are there, as an object.
    private static func write(_ labels: some Sequence<(String, String?)>, into json: inout JSONWriter) {
        var isFirst = true
        json.raw("{")
        for (name, value) in labels {
            guard let value, !value.isEmpty else { continue }
            json.key(name, isFirst: &isFirst)
            json.string(value)
        }
        json.raw("}")
    }

    // MARK: Counts

    /// Writes `{"resultType":"matrix","result":[…]}`, or a vector at the window's end: each sample counts the records of the range before it.
    ///
    /// - Parameter step: nanoseconds.
    package func writeCounts(
        _ window: TimeWindow, step: Int64, isInstant: Bool, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        guard let metric else { throw QueryError.invalid("the query counts nothing") }
        guard step > 0, isInstant || window.nanoseconds / step < Int64(Self.pointsMax) else {
            throw QueryError.invalid("more than \(Self.pointsMax) points; take a longer step")
        }
        let labels = metric.by ?? LogLabels.streams
        let asked = labels.map(LogLabels.sql)
        let first = isInstant ? window.to : window.from
        let meant = Self.bounded(TimeWindow(from: first.subtractingSaturated(metric.range).addingSaturated(1), to: window.to.addingSaturated(1)), condition)
        var times: [[String?]: [Int64]] = [:]
        var count = 0
        try reader.each(
            "SELECT time_unix_nano\(asked.map { ", \($0.sql)" }.joined()) FROM logs WHERE \(meant.sql) ORDER BY time_unix_nano",
            asked.flatMap(\.values) + meant.values
        ) { row in
            count += 1
            guard count <= Self.recordsMax else {
                throw QueryError.tooLarge("the query counts more than \(Self.recordsMax) records; narrow it by time or by labels")
            }
            times[labels.indices.map { row.text(Int32($0 + 1)) }, default: []].append(row.integer(0))
            guard times.count <= Self.seriesMax else {
                throw QueryError.tooLarge("the query has more than \(Self.seriesMax) series; sum by fewer labels")
            }
            return true
        }
        json.raw(isInstant ? "{\"resultType\":\"vector\",\"result\":[" : "{\"resultType\":\"matrix\",\"result\":[")
        let ordered = times.sorted { left, right in
            left.key.map { $0 ?? "" }.lexicographicallyPrecedes(right.key.map { $0 ?? "" })
        }
        for (place, series) in ordered.enumerated() {
            json.raw(place > 0 ? ",{\"metric\":" : "{\"metric\":")
            Self.write(zip(labels, series.key), into: &json)
            json.raw(isInstant ? ",\"value\":" : ",\"values\":[")
            var isFirst = true
            var next: Int64? = first
            while let moment = next, moment <= window.to {
                next = moment > Int64.max - step ? nil : moment + step
                let inRange = Self.count(series.value, behind: moment.subtractingSaturated(metric.range), through: moment)
                guard isInstant || inRange > 0 else { continue }
                if !isFirst { json.raw(",") }
                isFirst = false
                json.raw("[")
                json.double(Double(moment) / 1e9)
                json.raw(",")
                json.string(metric.measure == .count ? "\(inRange)" : "\(Double(inRange) / (Double(metric.range) / 1e9))")
                json.raw("]")
            }
            json.raw(isInstant ? "}" : "]}")
        }
        json.raw("],\"stats\":{}}")
    }

    /// How many of the rising times lie in (behind, through].
    private static func count(_ times: [Int64], behind: Int64, through: Int64) -> Int {
        func below(_ bound: Int64) -> Int {
            var (low, high) = (0, times.count)
            while low < high {
                let middle = (low + high) / 2
                if times[middle] <= bound { low = middle + 1 } else { high = middle }
            }
            return low
        }
        return below(through) - below(behind)
    }

    // MARK: Labels

    private static let valuesMax = 1000

    /// Writes the values that a label has, as an array of texts.
    package static func writeValues(
        of label: String, _ condition: SQLCondition?, _ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        let value = LogLabels.sql(label)
        let meant = bounded(window, condition)
        let rows = try reader.rows(
            "SELECT DISTINCT CAST(\(value.sql) AS TEXT) AS value FROM logs WHERE \(meant.sql) LIMIT \(valuesMax + 1)", value.values + meant.values)
        if rows.count > valuesMax { reader.noteTruncated("values", after: valuesMax) }
        json.raw("[")
        for (place, text) in rows.prefix(valuesMax).compactMap({ $0[0].text }).filter({ !$0.isEmpty }).sorted().enumerated() {
            if place > 0 { json.raw(",") }
            json.string(text)
        }
        json.raw("]")
    }

    /// Writes the label sets of the streams that are meant, as an array of objects.
    package func writeSeries(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let meant = Self.bounded(window, condition)
        let columns = LogLabels.streams.map { LogLabels.sql($0).sql }.joined(separator: ", ")
        var count = 0
        json.raw("[")
        try reader.each("SELECT DISTINCT \(columns) FROM logs WHERE \(meant.sql) LIMIT \(Self.valuesMax)", meant.values) { row in
            if count > 0 { json.raw(",") }
            count += 1
            Self.write(zip(LogLabels.streams, LogLabels.streams.indices.map { row.text(Int32($0)) }), into: &json)
            return true
        }
        json.raw("]")
    }
}
