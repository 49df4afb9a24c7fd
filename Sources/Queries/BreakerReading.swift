import SQLite
import SpanStore

/// Reads when breakers were open.
package enum BreakerReading {
    /// Edges that one answer looks at, the newest.
    private static let edgesMax = 50_000
    /// Calls that saw a breaker open, likewise.
    private static let evidenceMax = 200_000

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
        let evidence = try evidence(from: first.timeUnixNano &- 3_600_000_000_000, perProcess: perProcess, reader)
        return touching(window, edges, evidence, cooldownNanoseconds, nowUnixNano)
    }

    /// Times at which calls saw a breaker open, ascending, over columns: there may be many.
    private static func evidence(
        from: Int64, perProcess: Bool, _ reader: QueryReader
    ) throws -> [BreakerTimeline.Key: [Int64]] {
        var keys: [BreakerTimeline.Key: Int] = [:]
        var seen: [(time: Int64, key: Int)] = []
        try reader.pass(SpanPass.Bounds(.start, from: from, until: .max)) { segment throws(SQLiteError) in
            let state = try segment.texts("breaker_state")
            guard let open = state.texts.firstIndex(of: "open") else { return }
            let tool = try segment.texts("tool_name")
            let service = try segment.texts("service_name")
            let end = try segment.integers("end_time_unix_nano")
            let received = try segment.integers("received_time_unix_nano")
            // The process of a span as breakers are told apart (docs/metrics.md 2.4).
            let (resource, processes) = try segment.resources(["service.instance.id", "host.name", "process.pid"])
            let hasOwnID = segment.mayHave(attribute: "breaker.id")
            var known: [[Int]: Int] = [:]
            var rows: [Int] = []
            segment.forEachRow { row in if state.number(row) == open && tool.number(row) >= 0 { rows.append(row) } }
            for row in rows {
                let ownID = try hasOwnID ? segment.attribute("breaker.id", row) : nil
                let place = [service.number(row), Int(resource[row] ?? 0), tool.number(row)]
                let key: Int
                if ownID == nil, let found = known[place] {
                    key = found
                } else {
                    let process = perProcess && processes.indices.contains(place[1]) ? processes[place[1]] : []
                    let named = BreakerTimeline.Key(
                        service: service.text(place[0]) ?? "", scope: ownID ?? scope(process), tool: tool.text(place[2]) ?? "",
                        machine: "reported")
                    key = keys[named] ?? keys.count
                    keys[named] = key
                    if ownID == nil { known[place] = key }
                }
                seen.append((min(end[row] ?? 0, received[row] ?? 0), key))
            }
        }
        seen.sort { $0.time < $1.time }
        let named = Dictionary(uniqueKeysWithValues: keys.map { ($0.value, $0.key) })
        var evidence: [BreakerTimeline.Key: [Int64]] = [:]
        var times: [[Int64]] = Array(repeating: [], count: keys.count)
        for (time, key) in seen.prefix(evidenceMax) { times[key].append(time) }
        for (key, times) in times.enumerated() {
            if let name = named[key] { evidence[name] = times }
        }
        return evidence
    }

    /// An instance's id, else its host and process; empty where breakers are shared.
    private static func scope(_ process: [String?]) -> String {
        guard process.count == 3 else { return "" }
        if let instance = process[0] { return instance }
        guard let host = process[1], let id = process[2] else { return "" }
        return "\(host):\(id)"
    }

    private static func touching(
        _ window: TimeWindow, _ edges: [BreakerTimeline.Edge], _ evidence: [BreakerTimeline.Key: [Int64]], _ cooldown: Int64,
        _ now: Int64
    ) -> [BreakerTimeline.Opening] {
        BreakerTimeline.openings(edges, evidence: evidence, cooldownNanoseconds: cooldown, nowUnixNano: now)
            .filter { $0.endUnixNano >= window.from && $0.startUnixNano < window.to }
    }
}
