import HTTPTypes
import Hummingbird
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

    let context: APIContext

    /// Answers; errors are plain text, as Tempo's. Throws only when the connection is gone.
    func respond(to request: Request) async throws -> Response {
        do {
            try APIRoutes.allow(request, [.get, .head])
            return try await route(request)
        } catch let error as ChannelError {
            throw error
        } catch {
            let refusal = StatusTable.refusal(for: error)
            var headers = refusal.headers
            headers[.contentType] = "text/plain; charset=utf-8"
            return Response(
                status: refusal.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: refusal.message)))
        }
    }

    private func route(_ request: Request) async throws -> Response {
        let parts = request.uri.path.split(separator: "/").dropFirst().map { QueryString.decoded($0) }
        let query = QueryString(request.uri.query)
        switch parts.count {
        case 2 where parts == ["api", "echo"]: return Self.text("echo")
        case 2 where parts == ["api", "search"]: return try await search(query)
        case 3 where parts == ["api", "status", "buildinfo"]:
            return APIContext.response(Array("{\"version\":\"\(Self.version)\"}".utf8))
        case 3 where parts[1] == "traces": return try await trace(parts[2], isWrapped: false, request)
        case 3 where parts == ["api", "search", "tags"]: return try await tags(query, isScoped: false)
        case 3 where parts == ["api", "metrics", "query_range"]: return try await metrics(query, isInstant: false)
        case 3 where parts == ["api", "metrics", "query"]: return try await metrics(query, isInstant: true)
        case 4 where parts[1] == "v2" && parts[2] == "traces": return try await trace(parts[3], isWrapped: true, request)
        case 4 where parts == ["api", "v2", "search", "tags"]: return try await tags(query, isScoped: true)
        case 5 where parts[1] == "search" && parts[2] == "tag" && parts[4] == "values":
            return try await values(parts[3], query, isTyped: false)
        case 6 where parts[1...3] == ["v2", "search", "tag"] && parts[5] == "values":
            return try await values(parts[4], query, isTyped: true)
        default: throw QueryError.notFound("there is nothing at \(request.uri.path)")
        }
    }

    private static func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    // MARK: Traces

    private func trace(_ text: String, isWrapped: Bool, _ request: Request) async throws -> Response {
        guard let id = TraceReading.traceID(text) else { throw QueryError.invalid("'\(text)' is no trace id") }
        if request.headers[.accept]?.contains("application/protobuf") == true {
            let bytes = try await context.pool.run(limit: APIContext.TimeLimit.list) { reader in
                // An export request and a trace are the same message: resource spans in field 1.
                try TraceReading.batches(id, reader).flatMap { TraceRequestMessage.encode($0) }
            }
            var answer = WireWriter()
            if isWrapped { answer.lengthDelimited(1, bytes) } else { answer.raw(bytes) }
            return APIContext.response(answer.bytes, contentType: "application/protobuf")
        }
        return try await context.json { reader, json in
            json.raw(isWrapped ? "{\"trace\":" : "")
            try OTLPTraceText.write(id, listName: isWrapped ? "resourceSpans" : "batches", reader, into: &json)
            if isWrapped { json.raw("}") }
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

    private func search(_ query: QueryString) async throws -> Response {
        let language = try TraceQL(query["q"] ?? "")
        var search = TraceSearch()
        let window = try window(query)
        (search.from, search.to) = (window.from, window.to)
        // Grafana sends 0 for no limit of its own.
        let limit = try query.integer("limit", 0...10_000, fallback: 20)
        search.limit = limit == 0 ? 20 : min(limit, Self.tracesMax)
        let spans = min(Self.spansPerSetMax, max(1, try query.integer("spss", 0...10_000, fallback: 3)))
        if let condition = language.condition { search.criteria.extra = [condition] }
        if let tags = query["tags"] { search.criteria.extra += try LogfmtText.pairs(tags).map(Self.condition) }
        search.durationMinimum = try GoDuration.nanoseconds(query["minDuration"])
        search.durationMaximum = try GoDuration.nanoseconds(query["maxDuration"])
        let asked = search
        return try await context.json { reader, json in
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
        try language.writeSpanSet(of: trace.traceID, spans: spans, reader, into: &json)
        json.raw("]}")
    }

    // MARK: Tags

    private static let intrinsics = [
        "duration", "kind", "name", "rootName", "rootServiceName", "status", "statusMessage", "traceDuration",
    ]

    private func tags(_ query: QueryString, isScoped: Bool) async throws -> Response {
        let window = try window(query)
        let wanted = query["scope"]
        return try await context.json { reader, json in
            var scopes: [(String, [String])] = []
            if wanted == nil || wanted == "none" || wanted == "resource" {
                scopes.append(("resource", try AttributeKeys.keys(ofResource: true, window, reader)))
            }
            if wanted == nil || wanted == "none" || wanted == "span" {
                scopes.append(("span", try AttributeKeys.keys(ofResource: false, window, reader)))
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
        // A query that is not finished yet narrows nothing.
        let condition = (try? TraceQL(query["q"] ?? ""))?.condition
        return try await context.json { reader, json in
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
        let language = try TraceQL(query["q"] ?? query["query"] ?? "")
        var window = try window(query)
        let now = context.clock()
        if window.to == .max { window.to = now }
        if window.from == .min { window.from = window.to - 3600 * Self.second }
        guard window.from < window.to else { throw QueryError.invalid("start must be before end") }
        let length = window.to - window.from
        let step = isInstant ? length : try GoDuration.nanoseconds(query["step"]) ?? max(Self.second, length / 200)
        let asked = window
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
            try language.writeSeries(asked, step: step, isInstant: isInstant, reader, into: &json)
        }
    }
}
