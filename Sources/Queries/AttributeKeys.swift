import SQLite

/// Names and values that spans carried lately: what a query builder offers.
package enum AttributeKeys {
    /// Spans that are looked at: the newest.
    private static let spansMax = 5000
    private static let keysMax = 500
    package static let valuesMax = 200

    /// Start times from which about `spansMax` spans are left.
    private static func recent(_ window: TimeWindow, _ reader: QueryReader) throws -> Int64 {
        var count: Int64 = 0
        var start = window.from
        try reader.each(
            "SELECT start_min, span_count FROM segment WHERE start_min <= ?1 AND start_max >= ?2 ORDER BY start_max DESC",
            [.integer(window.last), .integer(window.from)]
        ) { row in
            start = max(window.from, row.integer(0))
            count += row.integer(1)
            return count < Int64(spansMax)
        }
        return start
    }

    /// The keys of spans' own or of their resources' attributes.
    package static func keys(ofResource: Bool, _ window: TimeWindow, _ reader: QueryReader) throws -> [String] {
        let column = ofResource ? "resource_attributes" : "attributes"
        let keys = try reader.rows(
            """
            SELECT DISTINCT each.key FROM (
                SELECT \(column) AS object FROM spans WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2
                LIMIT \(spansMax)) AS recent, json_each(recent.object) AS each
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
        let found = try reader.rows(
            """
            SELECT \(field.sql) AS value, count(*) FROM spans
            WHERE start_time_unix_nano >= ? AND start_time_unix_nano <= ? AND \(isMeant) AND \(condition?.sql ?? "1")
            GROUP BY 1 HAVING value IS NOT NULL ORDER BY 2 DESC LIMIT \(valuesMax + 1)
            """,
            field.values + [.integer(try recent(window, reader)), .integer(window.last)] + (condition?.values ?? [])
        )
        if found.count > valuesMax { reader.noteTruncated("values", after: valuesMax) }
        return found.prefix(valuesMax).map { ($0[0], false) }
    }
}
