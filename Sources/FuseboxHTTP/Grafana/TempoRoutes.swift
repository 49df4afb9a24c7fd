import Fleet
import HTTPTypes
import NIOCore
import OTLP
import Queries
import TelemetryModel

/// `/tempo`: the query API of Grafana Tempo, for Grafana's Tempo data source with the URL `http://…:4318/tempo`.
struct TempoRoutes: Sendable {
    /// The version that is told: features that Grafana looks for came before it.
    private static let version = "2.8.0"
    private static let second: Int64 = 1_000_000_000
    private static let tracesMax = 500
    private static let spansPerSetMax = 100
    /// What Tempo gives when nobody says how many.
    private static let exemplarsUsually = 100
    /// `PartialStatus` of Tempo's answers: not all spans are there.
    private static let partialStatus: UInt64 = 1

    let context: APIContext

    static let routes = RouteTable<TempoRoutes>([
        Route(.get, "/tempo/api/echo") { _, _ in Self.text("echo") },
        Route(.get, "/tempo/api/status/buildinfo") { _, _ in
            APIContext.response(Array("{\"version\":\"\(version)\"}".utf8))
        },
        Route(.get, "/tempo/api/traces/{trace_id}") { try await $0.trace($1[0], isWrapped: false, $1.request) },
        Route(.get, "/tempo/api/v2/traces/{trace_id}") { try await $0.trace($1[0], isWrapped: true, $1.request) },
        Route(.get, "/tempo/api/search") { try await $0.search($1.query) },
        Route(.get, "/tempo/api/search/tags") { try await $0.tags($1.query, isScoped: false) },
        Route(.get, "/tempo/api/v2/search/tags") { try await $0.tags($1.query, isScoped: true) },
        Route(.get, "/tempo/api/search/tag/{tag}/values") { try await $0.values($1[0], $1.query, isTyped: false) },
        Route(.get, "/tempo/api/v2/search/tag/{tag}/values") { try await $0.values($1[0], $1.query, isTyped: true) },
        Route(.get, "/tempo/api/metrics/query_range") { try await $0.metrics($1.query, isInstant: false) },
        Route(.get, "/tempo/api/metrics/query") { try await $0.metrics($1.query, isInstant: true) },
    ])

    /// What a request asks; errors are plain text, as Tempo's.
    func question(_ head: HTTPRequest, at target: RequestTarget) -> Question {
        Self.routes.question(head, at: target, as: self, refuse: Self.plain)
    }

    /// A refusal as Tempo and Loki tell it.
    @Sendable
    static func plain(_ refusal: Refusal) -> Response {
        var headers = refusal.headers
        headers[.contentType] = "text/plain; charset=utf-8"
        return Response(status: refusal.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: refusal.message)))
    }

    private static func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    // MARK: Traces

    private func trace(_ text: String, isWrapped: Bool, _ request: Request) async throws -> Response {
        guard let id = TraceReading.traceID(text) else { throw QueryError.invalid("'\(text)' is not a trace id") }
        if request.headers[.accept]?.contains("application/protobuf") == true {
            let (bytes, truncations) = try await context.pool.run(limit: APIContext.TimeLimit.list, of: .trace(id.hexadecimal)) { reader in
                // An export request and a trace are the same message: resource spans in field 1.
                (try TraceReading.batches(id, reader).flatMap { TraceRequestMessage.encode($0) }, reader.truncations)
            }
            var answer = WireWriter()
            if isWrapped { answer.lengthDelimited(1, bytes) } else { answer.raw(bytes) }
            if isWrapped && !truncations.isEmpty {
                answer.varint(3, Self.partialStatus)
                answer.lengthDelimited(4, Array(truncations.joined(separator: ", ").utf8))
            }
            return APIContext.response(answer.bytes, contentType: "application/protobuf", truncations: truncations)
        }
        return try await context.json(of: .trace(id.hexadecimal)) { reader, json in
            json.raw(isWrapped ? "{\"trace\":" : "")
            let cut = try OTLPTraceText.write(id, listName: isWrapped ? "resourceSpans" : "batches", reader, into: &json)
            guard isWrapped else { return }
            if let cut {
                json.raw(",\"status\":\"PARTIAL\",\"message\":")
                json.string(cut)
            }
            json.raw("}")
        }
    }

    private func window(_ query: QueryString) throws(QueryError) -> TimeWindow {
        func seconds(_ name: String) throws(QueryError) -> Int64? {
            guard let text = query[name] else { return nil }
            guard let value = Double(text), value >= 0, value < 4e18 else { throw .invalid("\(name) must be seconds since 1970") }
            // Larger numbers are nanoseconds, as some clients send them.
            return value < 9e9 ? Int64(value * 1e9) : Int64(value)
        }
        return TimeWindow(from: try seconds("start") ?? .min, to: try seconds("end") ?? .max)
    }

    /// The query, where what is asked can answer it.
    private func language(_ text: String) throws(QueryError) -> TraceQL {
        let language = try TraceQL(text)
        if let engine = context.engine, let attribute = language.typedAttribute {
            throw .notHere(
                "attributes are texts in the engine \(engine.name), so \(attribute) is no number or boolean there: compare it with a text in "
                    + "quotes, ask a node, or use a column in SQL (fusebox sql --engine \(engine.name))")
        }
        return language
    }

    private func search(_ query: QueryString) async throws -> Response {
        let language = try language(query["q"] ?? "")
        var search = TraceSearch()
        let window = try window(query)
        (search.from, search.to) = (window.from, window.to)
        // Grafana sends 0 for no limit of its own.
        let limit = try query.integer("limit", 0...10_000, fallback: 20)
        search.limit = limit == 0 ? 20 : min(limit, Self.tracesMax)
        let spans = min(Self.spansPerSetMax, max(1, try query.integer("spss", 0...10_000, fallback: 3)))
        if let candidates = language.candidates { search.criteria.extra = [candidates] }
        search.acceptance = language.acceptance
        search.extentMinimum = language.durationMinimum
        if let tags = query["tags"] { search.criteria.extra += try LogfmtText.pairs(tags).map(Self.condition) }
        search.limits.durationMinimum = try GoDuration.nanoseconds(query["minDuration"])
        search.limits.durationMaximum = try GoDuration.nanoseconds(query["maxDuration"])
        let asked = search
        return try await context.json(of: .window(window)) { reader, json in
            let answer = try asked.run(reader)
            json.raw("{\"traces\":[")
            for (index, trace) in answer.traces.enumerated() {
                if index > 0 { json.raw(",") }
                try Self.write(trace, language, spans, reader, into: &json)
            }
            json.raw("],\"metrics\":{\"inspectedTraces\":")
            json.integer(Int64(answer.traces.count))
            json.raw("}}")
        }
    }

    private static func condition(_ pair: (key: String, value: String)) -> SQLCondition {
        SQLCondition(
            "CAST(coalesce(attr(attributes, ?), attr(resource_attributes, ?)) AS TEXT) = ?",
            [.text(pair.key), .text(pair.key), .text(pair.value)])
    }

    private static func write(
        _ trace: TraceSummary, _ language: TraceQL, _ spans: Int, _ reader: QueryReader, into json: inout JSONWriter
    ) throws {
        json.raw("{\"traceID\":")
        json.string(trace.traceID)
        json.raw(",\"rootServiceName\":")
        json.string(trace.hasRoot ? trace.service : "<root span not yet received>")
        json.raw(",\"rootTraceName\":")
        json.string(trace.hasRoot ? trace.name : "")
        json.raw(",\"startTimeUnixNano\":")
        json.string("\(trace.startUnixNano)")
        json.raw(",\"durationMs\":")
        json.integer(min(trace.durationNanoseconds / 1_000_000, Int64(UInt32.max)))
        json.raw(",\"spanSets\":[")
        try language.writeSpanSets(of: trace.traceID, spans: spans, reader, into: &json)
        json.raw("]}")
    }

    // MARK: Tags

    private static let intrinsics = [
        "duration", "event:name", "event:timeSinceStart", "instrumentation:name", "instrumentation:version", "kind", "link:spanID",
        "link:traceID", "name", "rootName", "rootServiceName", "span:childCount", "span:duration", "span:id", "span:kind", "span:name",
        "span:parentID", "span:status", "span:statusMessage", "status", "statusMessage", "trace:duration", "trace:id", "trace:rootName",
        "trace:rootService", "traceDuration",
    ]

    private func tags(_ query: QueryString, isScoped: Bool) async throws -> Response {
        let window = try window(query)
        let wanted = query["scope"]
        return try await context.json(of: .window(window)) { reader, json in
            var scopes: [(String, [String])] = []
            for owner in AttributeKeys.Owner.allCases where wanted == nil || wanted == "none" || wanted == owner.rawValue {
                scopes.append((owner.rawValue, try AttributeKeys.keys(of: owner, window, reader)))
            }
            if isScoped && (wanted == nil || wanted == "none" || wanted == "intrinsic") {
                scopes.append(("intrinsic", Self.intrinsics))
            }
            if isScoped {
                json.raw("{\"scopes\":[")
                for (index, scope) in scopes.enumerated() {
                    json.raw(index > 0 ? ",{\"name\":" : "{\"name\":")
                    json.string(scope.0)
                    json.raw(",\"tags\":")
                    Self.write(scope.1, into: &json)
                    json.raw("}")
                }
                json.raw("],\"metrics\":{}}")
            } else {
                json.raw("{\"tagNames\":")
                Self.write(Array(Set(scopes.flatMap(\.1))).sorted(), into: &json)
                json.raw(",\"metrics\":{}}")
            }
        }
    }

    private static func write(_ texts: [String], into json: inout JSONWriter) {
        json.raw("[")
        for (index, text) in texts.enumerated() {
            if index > 0 { json.raw(",") }
            json.string(text)
        }
        json.raw("]")
    }

    private func values(_ tag: String, _ query: QueryString, isTyped: Bool) async throws -> Response {
        let window = try window(query)
        // A query that is not finished yet narrows nothing, nor does one that cannot be answered here.
        let condition = (try? language(query["q"] ?? ""))?.condition
        return try await context.json(of: .window(window)) { reader, json in
            json.raw("{\"tagValues\":[")
            for (index, found) in try AttributeKeys.values(of: tag, matching: condition, window, reader).enumerated() {
                if index > 0 { json.raw(",") }
                Self.write(found.value, isKeyword: found.isKeyword, isTyped: isTyped, into: &json)
            }
            json.raw("],\"metrics\":{}}")
        }
    }

    private static func write(_ value: QueryValue, isKeyword: Bool, isTyped: Bool, into json: inout JSONWriter) {
        let (type, text) =
            switch value {
            case .integer(let integer): ("int", "\(integer)")
            case .double(let double): ("float", "\(double)")
            case .text(let text): (isKeyword ? "keyword" : "string", text)
            case .null, .blob: ("string", "")
            }
        guard isTyped else { return json.string(text) }
        json.raw("{\"type\":")
        json.string(type)
        json.raw(",\"value\":")
        json.string(text)
        json.raw("}")
    }

    // MARK: Metrics

    private func metrics(_ query: QueryString, isInstant: Bool) async throws -> Response {
        let language = try language(query["q"] ?? query["query"] ?? "")
        var window = try window(query)
        let now = context.clock()
        if window.to == .max { window.to = now }
        if window.from == .min { window.from = window.to.subtractingSaturated(3600 * Self.second) }
        guard window.from < window.to else { throw QueryError.invalid("start must be before end") }
        let length = window.nanoseconds
        let step = isInstant ? length : try GoDuration.nanoseconds(query["step"]) ?? max(Self.second, length / 200)
        let asked = window
        let exemplars = try query.integer("exemplars", 0...1_000_000, fallback: Self.exemplarsUsually)
        return try await context.json(limit: APIContext.TimeLimit.query, of: .window(asked)) { reader, json in
            try language.writeSeries(asked, step: step, isInstant: isInstant, exemplars: exemplars, reader, into: &json)
        }
    }
}
