import HTTPTypes
import Queries
import TelemetryModel

/// `/loki`: the reading half of Grafana Loki's API over the table `logs`, for Grafana's Loki data source with the URL `http://…:4318`.
struct LokiRoutes: Sendable {
    private static let second: Int64 = 1_000_000_000
    private static let linesMax = 5000

    let context: APIContext

    static let routes = RouteTable<LokiRoutes>([
        Route(.get, "/loki/api/v1/status/buildinfo") { _, _ in APIContext.response(Array("{\"version\":\"3.0.0\"}".utf8)) },
        Route(.get, "/loki/api/v1/query_range") { try await $0.query($1.query, isInstant: false) },
        Route(.get, "/loki/api/v1/query") { try await $0.query($1.query, isInstant: true) },
        Route(.get, "/loki/api/v1/labels") { _, _ in Self.labels() },
        Route(.get, "/loki/api/v1/label/{name}/values") { try await $0.values($1[0], $1.query) },
        Route(.get, "/loki/api/v1/series") { try await $0.series($1.query) },
        Route(.get, "/loki/api/v1/index/stats") { _, _ in
            APIContext.response(Array("{\"streams\":0,\"chunks\":0,\"bytes\":0,\"entries\":0}".utf8))
        },
    ])

    /// What a request asks; errors are plain text, as Loki's.
    func question(_ head: HTTPRequest, at target: RequestTarget) -> Question {
        Self.routes.question(head, at: target, as: self, refuse: TempoRoutes.plain)
    }

    private static func labels() -> Response {
        var json = JSONWriter()
        json.raw("{\"status\":\"success\",\"data\":[")
        for (place, label) in LogLabels.streams.enumerated() {
            if place > 0 { json.raw(",") }
            json.string(label)
        }
        json.raw("]}")
        return APIContext.response(json.bytes)
    }

    private func data(
        of need: SpanNeed, _ body: @escaping @Sendable (QueryReader, inout JSONWriter) throws -> Void
    ) async throws -> Response {
        try await context.json(limit: APIContext.TimeLimit.query, of: need) { reader, json in
            json.raw("{\"status\":\"success\",\"data\":")
            try body(reader, &json)
            json.raw("}")
        }
    }

    /// Nanoseconds, seconds with a fraction, or RFC 3339.
    private func time(_ name: String, _ query: QueryString) throws(QueryError) -> Int64? {
        guard let text = query[name] else { return nil }
        if let time = TimeText.unixNano(iso8601: text) { return time }
        if let whole = Int64(text), whole >= 0 { return whole < 100 * Self.second ? whole.multipliedSaturated(by: Self.second) : whole }
        guard let seconds = Double(text), (0...9e9).contains(seconds) else {
            throw .invalid("\(name) is '\(text)', but must be nanoseconds or seconds since 1970, or RFC 3339")
        }
        return Int64(seconds * 1e9)
    }

    /// The last hour without times of its own; the end is in it.
    private func window(_ query: QueryString) throws(QueryError) -> TimeWindow {
        var end = try time("time", query)
        if end == nil { end = try time("end", query) }
        let last = end ?? context.clock()
        let window = TimeWindow(from: try time("start", query) ?? last.subtractingSaturated(3600 * Self.second), to: last)
        guard window.from <= window.to else { throw .invalid("start must be before end") }
        return window
    }

    private func query(_ query: QueryString, isInstant: Bool) async throws -> Response {
        let text = query["query"] ?? ""
        let window = try window(query)
        // What Grafana asks to see whether there is a Loki.
        if text.filter({ $0 != " " }) == "vector(1)+vector(1)" { return health(window.to) }
        let language = try LogQL(text)
        let limit = try query.integer("limit", 0...1_000_000, fallback: 100)
        let isForward = query["direction"]?.lowercased() == "forward"
        let step = try GoDuration.nanoseconds(query["step"]) ?? max(Self.second, window.nanoseconds / 250)
        return try await data(of: language.need(window)) { reader, json in
            if language.metric != nil {
                try language.writeCounts(window, step: step, isInstant: isInstant, reader, into: &json)
            } else {
                try language.writeStreams(
                    window, limit: min(max(1, limit), Self.linesMax), isForward: isForward, reader, into: &json)
            }
        }
    }

    private func health(_ time: Int64) -> Response {
        var json = JSONWriter()
        json.raw("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[")
        json.integer(time / Self.second)
        json.raw(",\"2\"]}],\"stats\":{}}}")
        return APIContext.response(json.bytes)
    }

    private func values(_ label: String, _ query: QueryString) async throws -> Response {
        let window = try window(query)
        let language = try query["query"].map { text throws(QueryError) in try LogQL(text) }
        let meant = language?.condition
        let need = language?.need(window) ?? .logs(LogNeed(from: window.from, to: window.to.addingSaturated(1)))
        return try await data(of: need) { reader, json in try LogQL.writeValues(of: label, meant, window, reader, into: &json) }
    }

    private func series(_ query: QueryString) async throws -> Response {
        let window = try window(query)
        let language = try LogQL(query["match[]"] ?? query["match"] ?? "{}")
        return try await data(of: language.need(window)) { reader, json in try language.writeSeries(window, reader, into: &json) }
    }
}
