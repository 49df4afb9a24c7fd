import SQLite
package import TelemetryModel

/// Where a list of log records goes on: behind so many records of that time. Merging keeps the order of records, but not their row ids.
/// As text, `<nanoseconds>-<count>`.
package struct LogCursor: Equatable, Sendable {
    /// More records of one time than a store holds.
    private static let countMax = 1 << 40

    package var timeUnixNano: Int64
    /// Records of that time that were given already.
    package var count: Int

    package init(timeUnixNano: Int64, count: Int) {
        self.timeUnixNano = timeUnixNano
        self.count = count
    }

    package var text: String { "\(timeUnixNano)-\(count)" }

    package init?(text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let time = Int64(parts[0]), let count = Int(parts[1]),
            (0...Self.countMax).contains(count)
        else { return nil }
        self.init(timeUnixNano: time, count: count)
    }
}

/// Finds log records, newest first.
package struct LogSearch: Sendable {
    /// Bytes of a page after which it ends, whatever its limit.
    private static let pageBytesMax = 8 << 20
    private static let columns = """
        time_unix_nano, observed_time_unix_nano, received_time_unix_nano, trace_id, span_id, severity_number, severity_text, event_name,
        body, service_name, scope_name, dropped_attributes_count, attributes
        """

    package var service: String?
    package var traceID: TraceID?
    package var spanID: SpanID?
    /// `SeverityNumber` of OTLP.
    package var severityMinimum: Int?
    package var eventName: String?
    /// In the body or the attributes, in either case.
    package var text: String?
    /// Nanoseconds since 1970; the upper bound is outside.
    package var from = Int64.min
    package var to = Int64.max
    package var after: LogCursor?
    package var limit = 100

    package init() {}

    /// The severity number at which a level begins, by its name in either case or its number.
    package static func severity(_ text: String) -> Int? {
        if let number = Int(text) { return (0...24).contains(number) ? number : nil }
        return ["trace", "debug", "info", "warn", "error", "fatal"].firstIndex(of: text.lowercased()).map { $0 * 4 + 1 }
    }

    private var condition: (sql: String, values: [QueryValue]) {
        var terms: [String] = []
        var values: [QueryValue] = []
        func add(_ term: String, _ value: QueryValue?) {
            guard let value else { return }
            values.append(value)
            terms.append(term.replacing("?", with: "?\(values.count)"))
        }
        add("trace_id = ?", traceID.map { .text($0.hexadecimal) })
        add("span_id = ?", spanID.map { .text($0.hexadecimal) })
        add("service_name = ?", service.map { .text($0) })
        add("event_name = ?", eventName.map { .text($0) })
        add("severity_number >= ?", severityMinimum.map { .integer(Int64($0)) })
        add("time_unix_nano >= ?", from == .min ? nil : .integer(from))
        add("time_unix_nano < ?", to == .max ? nil : .integer(to))
        add("time_unix_nano <= ?", after.map { .integer($0.timeUnixNano) })
        add("(instr(lower(body), lower(?)) > 0 OR instr(lower(attributes), lower(?)) > 0)", text.map { .text($0) })
        return (terms.isEmpty ? "" : "WHERE " + terms.joined(separator: " AND "), values)
    }

    /// Writes `{"logs":[…],"next_cursor":…}`.
    package func write(_ reader: QueryReader, into json: inout JSONWriter) throws {
        let condition = condition
        let sql = """
            SELECT \(Self.columns) FROM logs \(condition.sql) ORDER BY time_unix_nano DESC, rowid DESC
            LIMIT \(limit + 1) OFFSET \(after?.count ?? 0)
            """
        var rows = 0
        var last = after
        var next: LogCursor?
        json.raw("{\"logs\":[")
        try reader.each(sql, condition.values) { row in
            guard rows < limit, json.bytes.count < Self.pageBytesMax else {
                next = last
                return false
            }
            if rows > 0 { json.raw(",") }
            rows += 1
            Self.write(row, into: &json)
            let time = row.integer(0)
            last = LogCursor(timeUnixNano: time, count: last?.timeUnixNano == time ? (last?.count ?? 0) + 1 : 1)
            return true
        }
        json.raw("],\"next_cursor\":")
        (next.map { QueryValue.text($0.text) } ?? .null).write(into: &json)
        json.raw("}")
    }

    private static func write(_ row: Statement, into json: inout JSONWriter) {
        json.raw("{")
        var isFirst = true
        for index in 0..<row.columnCount {
            let name = row.columnName(index)
            json.key(name, isFirst: &isFirst)
            switch QueryReader.value(row, index) {
            case .text(let text) where name == "attributes": json.exact(text)
            case .integer(let integer) where name.hasSuffix("_unix_nano"): json.string("\(integer)")
            case let value: value.write(into: &json)
            }
        }
        json.raw("}")
    }
}
