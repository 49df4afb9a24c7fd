import PrometheusText
import TelemetryModel

/// Counters of requests between services: docs/metrics.md 2.15. Not on a span's way: requests are found behind the writer.
extension SpanDerivations {
    static let serviceGraphKind = "service_graph"

    /// How far the counters have come.
    package var serviceGraphCursor: ServiceGraphCursor { serviceGraph.cursor }

    /// Counts requests.
    package mutating func count(_ update: ServiceGraphUpdate) {
        let created = time.wall(time.clock)
        for request in update.requests {
            let cells = serviceGraphCells(request.edge, created)
            counters.add(cells.requests)
            if request.isFailed { counters.add(cells.failed) }
            counters.observe(cells.client, request.clientNanoseconds, .serviceGraph)
            counters.observe(cells.server, request.serverNanoseconds, .serviceGraph)
            counters.setExemplar(
                request.isFailed ? cells.failed : cells.requests,
                CounterTable.Exemplar(traceID: request.traceID, spanID: request.spanID, value: 1, timeUnixNano: created))
        }
        serviceGraph.move(to: update.cursor)
    }

    private mutating func serviceGraphCells(_ edge: GraphRequest.Edge, _ created: Int64) -> ServiceGraphCounters.Cells {
        if let known = serviceGraph.cells[edge] { return known }
        var labels = Self.labels(client: edge.client, server: edge.server, connection: edge.connection.rawValue)
        let isNew = counters.existing(.graphRequests, labels) == nil
        if isNew && (serviceGraph.edgeCount(counters) >= Limits.serviceGraphEdgesMax || !isAdmitting) {
            // Not kept by its name: there may be any number of them.
            labels = Self.labels(client: LabelSanitiser.overflow, server: LabelSanitiser.overflow, connection: "")
            counters.add(counters.id(.labelOverflow, LabelText.render([("label", "edge")]), created: created))
            return cells(labels, created)
        }
        let made = cells(labels, created)
        if isNew { serviceGraph.noteEdge() }
        serviceGraph.cells[edge] = made
        return made
    }

    private mutating func cells(_ labels: String, _ created: Int64) -> ServiceGraphCounters.Cells {
        ServiceGraphCounters.Cells(
            requests: counters.id(.graphRequests, labels, created: created),
            failed: counters.id(.graphFailures, labels, created: created),
            client: counters.id(.graphClientSeconds, labels, created: created),
            server: counters.id(.graphServerSeconds, labels, created: created))
    }

    private static func labels(client: String, server: String, connection: String) -> String {
        LabelText.render([
            ("client", LabelSanitiser.clean(client)), ("server", LabelSanitiser.clean(server)), ("connection_type", connection),
        ])
    }
}

/// What is kept of the service graph beside its counters.
struct ServiceGraphCounters: Sendable {
    struct Cells: Sendable {
        var requests: CounterTable.ID
        var failed: CounterTable.ID
        var client: CounterTable.ID
        var server: CounterTable.ID
    }

    private(set) var cursor = ServiceGraphCursor()
    private var isDirty = false
    /// Of edges that have counters; raw names that are cleaned alike share them.
    var cells: [GraphRequest.Edge: Cells] = [:] {
        didSet { if cells.count > SpanDerivations.Limits.cellsMax { cells.removeAll() } }
    }

    /// Edges with counters; `nil` before they were counted.
    private var edges: Int?

    mutating func edgeCount(_ counters: CounterTable) -> Int {
        if let edges { return edges }
        let count = counters.series.count(where: { $0.family == .graphRequests })
        edges = count
        return count
    }

    mutating func noteEdge() { edges = edges.map { $0 + 1 } }

    mutating func move(to cursor: ServiceGraphCursor) {
        isDirty = isDirty || cursor != self.cursor
        self.cursor = cursor
    }

    mutating func read(_ reader: StateReader) -> Bool {
        guard let read = reader.integer("read"), let settled = reader.integer("settled") else { return false }
        cursor = ServiceGraphCursor(read: read, settled: settled)
        return true
    }

    mutating func takeChanges() -> [StateRow] {
        guard isDirty else { return [] }
        isDirty = false
        var writer = StateWriter()
        writer.add("read", cursor.read)
        writer.add("settled", cursor.settled)
        return [StateRow(kind: SpanDerivations.serviceGraphKind, key: "", value: writer.finish())]
    }
}
