import HTTPTypes
import NIOCore
import Queries
import TelemetryModel

/// `/jaeger`: the query API of Jaeger, for Grafana's Jaeger data source with the URL `http://…:4318/jaeger`: the older JSON API; v3 is in
/// `JaegerThirdRoutes`.
struct JaegerRoutes: Sendable {
    static let tracesMax = 1500
    static let namesMax = 10_000

    let context: APIContext

    static let routes = RouteTable<JaegerRoutes>([
        Route(.get, "/jaeger/api/services") { jaeger, _ in try await jaeger.data { try Self.names("service_name", nil, $0) } },
        Route(.get, "/jaeger/api/operations") { try await $0.operations(of: $1.query["service"]) },
        Route(.get, "/jaeger/api/services/{service}/operations") { try await $0.operations(of: $1[0]) },
        Route(.get, "/jaeger/api/traces") { try await $0.search($1.query) },
        Route(.get, "/jaeger/api/traces/{trace_id}") { try await $0.trace($1[0]) },
        Route(.get, "/jaeger/api/dependencies") { try await $0.dependencies($1.query) },
        Route(.get, "/jaeger/api/v3/services") { jaeger, _ in try await jaeger.third.services() },
        Route(.get, "/jaeger/api/v3/operations") { try await $0.third.operations($1.query) },
        Route(.get, "/jaeger/api/v3/traces") { try await $0.third.traces($1.query) },
        Route(.get, "/jaeger/api/v3/traces/{trace_id}") { try await $0.third.trace($1[0]) },
        Route(.get, "/jaeger/api/v3/trace-summaries") { try await $0.third.summaries($1.query) },
        Route(.get, "/jaeger/api/v3/dependencies") { try await $0.third.dependencies($1.query) },
    ])

    private var third: JaegerThirdRoutes { JaegerThirdRoutes(context: context) }

    /// What a request asks; errors are `{"errors":[…]}`, or v3's `{"error":…}`.
    func question(_ head: HTTPRequest, at target: RequestTarget) -> Question {
        let isThird = target.path.hasPrefix("/jaeger/api/v3")
        return Self.routes.question(head, at: target, as: self) { Self.problem($0, isThird: isThird) }
    }

    private static func problem(_ refusal: Refusal, isThird: Bool) -> Response {
        var json = JSONWriter()
        json.raw(
            isThird ? "{\"error\":{\"httpCode\":" : "{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":[{\"code\":")
        json.integer(Int64(refusal.status.code))
        json.raw(isThird ? ",\"message\":" : ",\"msg\":")
        json.string(refusal.message)
        json.raw(isThird ? "}}" : "}]}")
        var headers = refusal.headers
        headers[.contentType] = "application/json"
        return Response(status: refusal.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }

    // MARK: Names

    static func names(_ column: String, _ service: String?, _ reader: QueryReader) throws -> [String] {
        let found = try reader.rows(
            "SELECT DISTINCT \(column) FROM spans WHERE ?1 IS NULL OR service_name = ?1 ORDER BY 1 LIMIT \(namesMax + 1)",
            [service.map(QueryValue.text) ?? .null])
        if found.count > namesMax { reader.noteTruncated("names", after: namesMax) }
        return found.prefix(namesMax).compactMap { $0.first?.text }
    }

    static func write(_ texts: [String], into json: inout JSONWriter) {
        json.raw("[")
        for (index, text) in texts.enumerated() {
            if index > 0 { json.raw(",") }
            json.string(text)
        }
        json.raw("]")
    }

    private func operations(of service: String?) async throws(QueryError) -> Response {
        try await data { try Self.names("name", service, $0) }
    }

    private func data(_ body: @escaping @Sendable (QueryReader) throws -> [String]) async throws(QueryError) -> Response {
        try await context.json { reader, json in
            let names = try body(reader)
            json.raw("{\"data\":")
            Self.write(names, into: &json)
            json.raw(",\"total\":")
            json.integer(Int64(names.count))
            json.raw(",\"limit\":0,\"offset\":0,\"errors\":null}")
        }
    }

    // MARK: Traces

    private func search(_ query: QueryString) async throws -> Response {
        var search = TraceSearch()
        search.criteria.service = query["service"]
        if let operation = query["operation"], operation != "all" { search.criteria.name = operation }
        func microseconds(_ name: String) throws(QueryError) -> Int64? {
            guard let text = query[name] else { return nil }
            guard let value = Int64(text), value >= 0, value < 9_000_000_000_000_000 else {
                throw .invalid("\(name) must be microseconds since 1970")
            }
            return value * 1000
        }
        search.from = try microseconds("start") ?? .min
        search.to = try microseconds("end") ?? .max
        let limit = try query.integer("limit", 0...1_000_000, fallback: 100)
        search.limit = limit == 0 ? 100 : min(limit, Self.tracesMax)
        try Self.addDurations(query["minDuration"], query["maxDuration"], to: &search.criteria)
        try Self.addTags(query["tags"], to: &search.criteria)
        let asked = search
        return try await context.json(of: .window(from: search.from, to: search.to)) { reader, json in
            let found = try asked.run(reader).traces
            json.raw("{\"data\":[")
            for (index, trace) in found.enumerated() {
                guard let id = TraceReading.traceID(trace.traceID) else { continue }
                if index > 0 { json.raw(",") }
                try JaegerTraceText.write(id, reader, into: &json)
                try reader.checkAnswer(json)
            }
            json.raw("],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}")
        }
    }

    /// Adds the least and the most that the matching span itself lasts, as Jaeger judges it; not the trace.
    static func addDurations(_ minimum: String?, _ maximum: String?, to criteria: inout SpanCriteria) throws(QueryError) {
        if let minimum = try GoDuration.nanoseconds(minimum) {
            criteria.extra.append(SQLCondition("duration_ns >= ?", [.integer(minimum)]))
        }
        if let maximum = try GoDuration.nanoseconds(maximum) {
            criteria.extra.append(SQLCondition("duration_ns <= ?", [.integer(maximum)]))
        }
    }

    /// Adds tags, a JSON object of strings; `error` is the span's status.
    static func addTags(_ tags: String?, to criteria: inout SpanCriteria) throws(QueryError) {
        for member in JSONText.members(in: Array((tags ?? "").utf8)[...]) {
            guard case .text(let value) = member.value else { throw .invalid("tags must be an object of strings") }
            guard criteria.attributes.count < SpanCriteria.attributesMax else {
                throw .invalid("at most \(SpanCriteria.attributesMax) tags")
            }
            if member.name == "error", value == "true" {
                criteria.status = .error
            } else {
                criteria.attributes.append(.init(key: member.name, value: value))
            }
        }
    }

    private func trace(_ text: String) async throws -> Response {
        guard let id = TraceReading.traceID(text) else { throw QueryError.invalid("'\(text)' is not a trace id") }
        return try await context.json(of: .trace(id.hexadecimal)) { reader, json in
            json.raw("{\"data\":[")
            try JaegerTraceText.write(id, reader, into: &json)
            json.raw("],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}")
        }
    }

    /// Writes who calls whom, from one time to another, both included, by the rule of the service graph: databases, queues and model providers
    /// are there under their names.
    ///
    /// - Parameter isText: counts are texts, as v3 has them.
    static func writeDependencies(
        from: Int64, to: Int64, isText: Bool, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        // Jaeger's edges have two names and no more.
        var counts: [(parent: String, child: String, count: Int64)] = []
        for (edge, count) in try ServiceGraphReading.edges(from: from, to: to, reader) {
            if let last = counts.last, last.parent == edge.client, last.child == edge.server {
                counts[counts.count - 1].count += count
            } else {
                counts.append((edge.client, edge.server, count))
            }
        }
        json.raw("[")
        for (place, edge) in counts.enumerated() {
            json.raw(place > 0 ? ",{\"parent\":" : "{\"parent\":")
            json.string(edge.parent)
            json.raw(",\"child\":")
            json.string(edge.child)
            json.raw(",\"callCount\":")
            if isText { json.string("\(edge.count)") } else { json.integer(edge.count) }
            json.raw("}")
        }
        json.raw("]")
    }

    private func dependencies(_ query: QueryString) async throws -> Response {
        let now = context.clock() / 1_000_000
        let end = Int64(try query.integer("endTs", 0...9_000_000_000_000, fallback: Int(now)))
        let lookback = Int64(try query.integer("lookback", 0...9_000_000_000_000, fallback: 86_400_000))
        return try await context.json { reader, json in
            json.raw("{\"data\":")
            try Self.writeDependencies(
                from: max(0, end - lookback) * 1_000_000, to: end * 1_000_000, isText: false, reader, into: &json)
            json.raw(",\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}")
        }
    }
}
