/// When breakers were open, from their edges and from the calls that saw them open.
///
/// An opening counts from its edge to the edge that ends it, but never longer than one cooldown past the last time that a call saw
/// the breaker open: the rule of docs/metrics.md 2.5, so that the sums agree with `agent_breaker_cooldown_seconds_total`.
package struct BreakerTimeline: Sendable {
    package struct Key: Hashable, Sendable {
        package var service: String
        package var scope: String
        package var tool: String
        package var machine: String

        package init(service: String, scope: String, tool: String, machine: String) {
            self.service = service
            self.scope = scope
            self.tool = tool
            self.machine = machine
        }
    }

    package struct Edge: Sendable {
        package var key: Key
        package var timeUnixNano: Int64
        package var toState: String

        package init(key: Key, timeUnixNano: Int64, toState: String) {
            self.key = key
            self.timeUnixNano = timeUnixNano
            self.toState = toState
        }
    }

    package struct Opening: Equatable, Sendable {
        package var key: Key
        package var startUnixNano: Int64
        /// Where the credited cooldown ends.
        package var endUnixNano: Int64
    }

    /// - Parameters:
    ///   - edges: by time, of any breakers; those of one breaker in the order in which they were applied.
    ///   - evidence: times at which a call of a reported breaker saw it open, ascending, by breaker.
    package static func openings(
        _ edges: [Edge], evidence: [Key: [Int64]], cooldownNanoseconds: Int64, nowUnixNano: Int64
    ) -> [Opening] {
        var open: [Key: Int64] = [:]
        var openings: [Opening] = []
        func close(_ key: Key, _ start: Int64, at end: Int64?) {
            let last = lastSeen(evidence[key] ?? [], from: start, before: end ?? .max) ?? start
            let (bound, overflow) = last.addingReportingOverflow(cooldownNanoseconds)
            let credited = min(end ?? nowUnixNano, overflow ? .max : bound)
            openings.append(Opening(key: key, startUnixNano: start, endUnixNano: max(start, credited)))
        }
        for edge in edges {
            if let start = open.removeValue(forKey: edge.key) { close(edge.key, start, at: edge.timeUnixNano) }
            if edge.toState == "open" { open[edge.key] = edge.timeUnixNano }
        }
        for (key, start) in open { close(key, start, at: nil) }
        return openings.sorted { ($0.startUnixNano, $0.key.tool) < ($1.startUnixNano, $1.key.tool) }
    }

    private static func lastSeen(_ times: [Int64], from start: Int64, before end: Int64) -> Int64? {
        var low = 0
        var high = times.count
        while low < high {
            let middle = (low + high) / 2
            if times[middle] < end { low = middle + 1 } else { high = middle }
        }
        guard low > 0, times[low - 1] >= start else { return nil }
        return times[low - 1]
    }
}
