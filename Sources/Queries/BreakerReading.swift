import SQLite

/// Reads when breakers were open.
package enum BreakerReading {
    /// Edges that one answer looks at, the newest.
    private static let edgesMax = 50_000
    /// Calls that saw a breaker open, likewise.
    private static let evidenceMax = 200_000

    /// The process of a span as breakers are told apart (docs/metrics.md 2.4).
    private static func scope(perProcess: Bool) -> String {
        let shared = """
            coalesce(attr(resource_attributes, 'service.instance.id'),
                attr(resource_attributes, 'host.name') || ':' || attr(resource_attributes, 'process.pid'), '')
            """
        return "coalesce(attr(attributes, 'breaker.id'), \(perProcess ? shared : "''"))"
    }

    /// Openings that touch a span of time, by their start.
    ///
    /// - Parameter perProcess: whether breakers live in processes, as `breaker.scope` says.
    package static func openings(
        _ window: TimeWindow, cooldownNanoseconds: Int64, perProcess: Bool, nowUnixNano: Int64, _ reader: QueryReader
    ) throws -> [BreakerTimeline.Opening] {
        var edges: [BreakerTimeline.Edge] = []
        try reader.each(
            """
            SELECT time_unix_nano, service_name, scope, tool_name, machine, to_state FROM (
                SELECT id, time_unix_nano, service_name, scope, tool_name, machine, to_state FROM main.breaker_transition
                WHERE time_unix_nano < ?1 ORDER BY id DESC LIMIT \(edgesMax))
            ORDER BY id
            """, [.integer(window.to)]
        ) { row in
            let key = BreakerTimeline.Key(
                service: row.text(1) ?? "", scope: row.text(2) ?? "", tool: row.text(3) ?? "", machine: row.text(4) ?? "")
            edges.append(BreakerTimeline.Edge(key: key, timeUnixNano: row.integer(0), toState: row.text(5) ?? ""))
            return true
        }
        guard let first = edges.first(where: { $0.key.machine == "reported" && $0.toState == "open" }) else {
            return touching(window, edges, [:], cooldownNanoseconds, nowUnixNano)
        }
        var evidence: [BreakerTimeline.Key: [Int64]] = [:]
        try reader.each(
            """
            SELECT min(end_time_unix_nano, received_time_unix_nano), service_name, \(scope(perProcess: perProcess)), tool_name
            FROM spans WHERE breaker_state = 'open' AND tool_name IS NOT NULL AND start_time_unix_nano >= ?1
            ORDER BY 1 LIMIT \(evidenceMax)
            """, [.integer(first.timeUnixNano &- 3_600_000_000_000)]
        ) { row in
            let key = BreakerTimeline.Key(
                service: row.text(1) ?? "", scope: row.text(2) ?? "", tool: row.text(3) ?? "", machine: "reported")
            evidence[key, default: []].append(row.integer(0))
            return true
        }
        return touching(window, edges, evidence, cooldownNanoseconds, nowUnixNano)
    }

    private static func touching(
        _ window: TimeWindow, _ edges: [BreakerTimeline.Edge], _ evidence: [BreakerTimeline.Key: [Int64]], _ cooldown: Int64,
        _ now: Int64
    ) -> [BreakerTimeline.Opening] {
        BreakerTimeline.openings(edges, evidence: evidence, cooldownNanoseconds: cooldown, nowUnixNano: now)
            .filter { $0.endUnixNano >= window.from && $0.startUnixNano < window.to }
    }
}
