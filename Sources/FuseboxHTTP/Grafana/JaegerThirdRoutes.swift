import Queries
import TelemetryModel

/// `/jaeger/api/v3`: the newer query API of Jaeger. Parameters are taken in Jaeger's own spelling (`query.serviceName`) and in that of
/// Grafana's data source (`query.service_name`).
struct JaegerThirdRoutes: Sendable {
    let context: APIContext

    func services() async throws(QueryError) -> Response {
        try await context.json { reader, json in
            json.raw("{\"services\":")
            JaegerRoutes.write(try JaegerRoutes.names("service_name", nil, reader), into: &json)
            json.raw("}")
        }
    }

    /// A start and an end that come with an id do not hide the trace.
    func trace(_ text: String) async throws -> Response {
        guard let id = TraceReading.traceID(text) else { throw QueryError.invalid("'\(text)' is not a trace id") }
        return try await context.json(of: .trace(id.hexadecimal)) { reader, json in
            json.raw("{\"result\":")
            try OTLPTraceText.write(id, listName: "resourceSpans", reader, into: &json)
            json.raw("}")
        }
    }

    // MARK: Parameters

    private static func parameter(_ name: String, _ other: String, _ query: QueryString) -> String? {
        query["query.\(name)"] ?? query["query.\(other)"]
    }

    /// A time as RFC 3339 writes it, with up to nine digits of a second.
    private static func time(_ text: String?, _ name: String) throws(QueryError) -> Int64? {
        guard let text else { return nil }
        guard let time = TimeText.unixNano(iso8601: text) else {
            throw .invalid("\(name) is '\(text)', but must be a time such as 2026-11-21T08:00:00.5Z")
        }
        return time
    }

    private static func search(_ query: QueryString) throws(QueryError) -> TraceSearch {
        var search = TraceSearch()
        search.criteria.service = parameter("serviceName", "service_name", query)
        search.criteria.name = parameter("operationName", "operation_name", query)
        search.from = try time(parameter("startTimeMin", "start_time_min", query), "startTimeMin") ?? .min
        search.to = try time(parameter("startTimeMax", "start_time_max", query), "startTimeMax") ?? .max
        try JaegerRoutes.addDurations(
            parameter("durationMin", "duration_min", query), parameter("durationMax", "duration_max", query), to: &search.criteria)
        try JaegerRoutes.addTags(query["query.attributes"], to: &search.criteria)
        let depth = parameter("searchDepth", "search_depth", query) ?? parameter("numTraces", "num_traces", query) ?? "100"
        guard let limit = Int(depth), limit >= 0 else {
            throw .invalid("searchDepth is '\(depth)', but must be a number of traces")
        }
        search.limit = limit == 0 ? 100 : min(limit, JaegerRoutes.tracesMax)
        return search
    }

    // MARK: Answers

    func operations(_ query: QueryString) async throws -> Response {
        let service = query["service"]
        var kind: Int64?
        if let asked = query["span_kind"] ?? query["spanKind"] {
            kind = (0...5).first { JaegerTraceText.kind($0) == asked.lowercased() }
            guard kind != nil else { throw QueryError.invalid("'\(asked)' is not a span kind") }
        }
        let values: [QueryValue] = [service.map(QueryValue.text) ?? .null, kind.map(QueryValue.integer) ?? .null]
        return try await context.json { reader, json in
            json.raw("{\"operations\":[")
            let rows = try reader.rows(
                """
                SELECT DISTINCT name, kind FROM spans WHERE (?1 IS NULL OR service_name = ?1) AND (?2 IS NULL OR kind = ?2)
                ORDER BY 1, 2 LIMIT \(JaegerRoutes.namesMax + 1)
                """, values)
            if rows.count > JaegerRoutes.namesMax { reader.noteTruncated("operations", after: JaegerRoutes.namesMax) }
            for (index, row) in rows.prefix(JaegerRoutes.namesMax).enumerated() {
                json.raw(index > 0 ? ",{\"name\":" : "{\"name\":")
                row[0].write(into: &json)
                json.raw(",\"spanKind\":")
                json.string(JaegerTraceText.kind(row[1].integer ?? 0))
                json.raw("}")
            }
            json.raw("]}")
        }
    }

    /// All traces in one list of resource spans; none is 404, as Jaeger answers.
    func traces(_ query: QueryString) async throws -> Response {
        let search = try Self.search(query)
        return try await context.json { reader, json in
            var isFirst = true
            json.raw("{\"result\":{\"resourceSpans\":[")
            for trace in try search.run(reader).traces {
                guard let id = TraceReading.traceID(trace.traceID) else { continue }
                try OTLPTraceText.writeEntries(id, isFirst: &isFirst, reader, into: &json)
                try reader.checkAnswer(json)
            }
            guard !isFirst else { throw QueryError.notFound("No traces found") }
            json.raw("]}}")
        }
    }

    func summaries(_ query: QueryString) async throws -> Response {
        let search = try Self.search(query)
        return try await context.json { reader, json in
            json.raw("{\"summaries\":[")
            for (index, trace) in try search.run(reader).traces.enumerated() {
                if index > 0 { json.raw(",") }
                try Self.write(trace, reader, into: &json)
            }
            json.raw("]}")
        }
    }

    private static func write(_ trace: TraceSummary, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let services = try reader.rows(
            """
            WITH here AS MATERIALIZED (SELECT span_id, parent_span_id, service_name, status_code FROM spans WHERE trace_id = ?1)
            SELECT service_name, count(*), sum(status_code = 2),
                sum(parent_span_id IS NOT NULL AND parent_span_id NOT IN (SELECT span_id FROM here))
            FROM here GROUP BY 1 ORDER BY 1
            """, [.text(trace.traceID)])
        json.raw("{\"traceId\":")
        json.string(trace.traceID)
        json.raw(",\"rootServiceName\":")
        json.string(trace.hasRoot ? trace.service : "")
        json.raw(",\"rootOperationName\":")
        json.string(trace.hasRoot ? trace.name : "")
        json.raw(",\"minStartTimeUnixNano\":")
        json.string("\(trace.startUnixNano)")
        json.raw(",\"maxEndTimeUnixNano\":")
        json.string("\(trace.endUnixNano)")
        json.raw(",\"spanCount\":")
        json.integer(trace.spanCount)
        json.raw(",\"errorSpanCount\":")
        json.integer(trace.errorCount)
        json.raw(",\"orphanSpanCount\":")
        json.integer(services.reduce(0) { $0 + ($1[3].integer ?? 0) })
        json.raw(",\"services\":[")
        for (index, row) in services.enumerated() {
            json.raw(index > 0 ? ",{\"name\":" : "{\"name\":")
            json.string(row[0].text ?? "")
            json.raw(",\"spanCount\":")
            json.integer(row[1].integer ?? 0)
            json.raw(",\"errorSpanCount\":")
            json.integer(row[2].integer ?? 0)
            json.raw("}")
        }
        json.raw("]}")
    }

    func dependencies(_ query: QueryString) async throws -> Response {
        let now = context.clock()
        let end = try Self.time(query["endTime"], "endTime") ?? now
        let start = try Self.time(query["startTime"], "startTime") ?? max(0, now - 86_400_000_000_000)
        return try await context.json { reader, json in
            json.raw("{\"dependencies\":")
            try JaegerRoutes.writeDependencies(from: start, to: end, isText: true, reader, into: &json)
            json.raw("}")
        }
    }
}
