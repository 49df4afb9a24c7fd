import SQLite
import TelemetryModel

/// Names and values that spans carried lately: what a query builder offers.
package enum AttributeKeys {
    /// Spans that are looked at: the newest.
    private static let spansMax = 5000
    private static let keysMax = 500
    package static let valuesMax = 200

    /// Start times from which about `spansMax` spans are left, or more.
    private static func recent(_ window: TimeWindow, _ reader: QueryReader) throws -> Int64 {
        var count: Int64 = 0
        var start = window.from
        // Of the segment that has more than are wanted: its times, and which part of it is wanted.
        var last: (from: Int64, to: Int64, part: Double)?
        try reader.each(
            """
            SELECT start_min, start_max, span_count FROM segment WHERE start_min <= ?1 AND start_max >= ?2 ORDER BY start_max DESC
            """, [.integer(window.last), .integer(window.from)]
        ) { row in
            let (from, to, spans) = (max(window.from, row.integer(0)), min(window.last, row.integer(1)), row.integer(2))
            last = (from, to, Double(Int64(spansMax) - count) / Double(max(1, spans)))
            start = from
            count += spans
            return count < Int64(spansMax)
        }
        guard count > Int64(spansMax), let last else { return start }
        // Spans of a large segment lie evenly, or not: a part of it is taken, and more of it until there are enough.
        var part = last.part
        while part < 1 {
            let from = last.to.subtractingSaturated(Int64(Double(last.to.subtractingSaturated(last.from)) * part))
            let found = try reader.first(
                "SELECT count(*) FROM spans WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2",
                [.integer(from), .integer(window.last)])
            if (found?.first?.integer ?? 0) >= Int64(spansMax) { return from }
            part *= 8
        }
        return start
    }

    /// Whose attributes they are.
    package enum Owner: String, CaseIterable, Sendable {
        case resource, span, event, link, instrumentation

        /// The column, and whether it is a list of elements with attributes each.
        fileprivate var column: (name: String, isList: Bool) {
            switch self {
            case .resource: ("resource_attributes", false)
            case .span: ("attributes", false)
            case .event: ("events", true)
            case .link: ("links", true)
            case .instrumentation: ("scope_attributes", false)
            }
        }
    }

    /// The keys of attributes.
    package static func keys(of owner: Owner, _ window: TimeWindow, _ reader: QueryReader) throws -> [String] {
        let (column, isList) = owner.column
        let elements =
            isList
            ? ", json_each(recent.object) AS element, json_each(element.value ->> 'attributes') AS each"
            : ", json_each(recent.object) AS each"
        let keys = try reader.rows(
            """
            SELECT DISTINCT each.key FROM (
                SELECT \(column) AS object FROM spans WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2
                LIMIT \(spansMax)) AS recent\(elements)
            ORDER BY 1 LIMIT \(keysMax + 1)
            """, [.integer(try recent(window, reader)), .integer(window.last)]
        )
        if keys.count > keysMax { reader.noteTruncated("keys", after: keysMax) }
        return keys.prefix(keysMax).compactMap { $0.first?.text }
    }

    /// The values of what TraceQL names `tag`, most frequent first, with whether they are keywords.
    package static func values(
        of tag: String, matching condition: SQLCondition?, _ window: TimeWindow, _ reader: QueryReader
    ) throws -> [(value: QueryValue, isKeyword: Bool)] {
        switch tag {
        case "status": return TraceQLField.statuses.keys.sorted().map { (.text($0), true) }
        case "kind": return TraceQLField.kinds.keys.sorted().map { (.text($0), true) }
        default: break
        }
        // Older clients name attributes without their scope.
        var field = try (try? TraceQLField(tag)) ?? TraceQLField("." + tag)
        var isMeant = "1"
        if case .computed(let computed) = field.source {
            guard computed == .rootName || computed == .rootServiceName else { return [] }
            field = try TraceQLField(computed == .rootName ? "name" : "resource.service.name")
            isMeant = "parent_span_id IS NULL"
        }
        let from = try recent(window, reader)
        func counted(_ sql: String, _ values: [QueryValue]) throws -> [[QueryValue]] {
            try reader.rows(
                """
                SELECT \(sql) AS value, count(*) FROM spans
                WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(isMeant) AND \(condition?.sql ?? "1")
                GROUP BY 1 HAVING value IS NOT NULL ORDER BY 2 DESC LIMIT \(valuesMax + 1)
                """, values + [.integer(from), .integer(window.last)] + (condition?.values ?? []))
        }
        // By the attribute's column, unless its numbers may be booleans, which that shows alike.
        let byColumn = try field.attributeColumn.map { try counted($0, []) }
        let isSure = byColumn.map { !$0.contains { $0[0] == .integer(0) || $0[0] == .integer(1) } } ?? false
        let found = isSure ? byColumn ?? [] : try counted(field.sql, field.values)
        if found.count > valuesMax { reader.noteTruncated("values", after: valuesMax) }
        return found.prefix(valuesMax).map { ($0[0], false) }
    }
}
