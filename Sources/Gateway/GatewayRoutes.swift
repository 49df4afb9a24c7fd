import FuseboxHTTP
import GatewayRules
import HTTPTypes
import NIOCore
import OTLP
import TelemetryModel

/// What ends a request before its body is read.
enum EarlyAnswer: Error {
    case refusal(GatewayRefusal)
    case response(HTTPResponse, [UInt8])
}

/// The gateway's paths, and who may ask for them.
enum GatewayRoutes {
    /// What a request wants of a model, or the answer that it gets at once.
    static func route(_ head: HTTPRequest, _ shared: GatewayShared) throws(EarlyAnswer) -> ModelRoute {
        let path = path(head)
        if path == "/-/healthy" { throw text("healthy\n") }
        if let fields = try access({ () throws in try shared.settings.access.preflight(head, methods: "GET, POST") }) {
            throw .response(HTTPResponse(status: .noContent, headerFields: fields), [])
        }
        if path == "/-/ready" {
            let (isReady, lines) = GatewayStatus.readiness(shared)
            let type: HTTPFields = [.contentType: "text/plain; charset=utf-8"]
            throw .response(HTTPResponse(status: isReady ? .ok : .serviceUnavailable, headerFields: type), Array(lines.map { $0 + "\n" }.joined().utf8))
        }
        if path == "/-/status" {
            try access { () throws in try shared.settings.access.checkReaderOfAll(head) }
            throw json(.ok, GatewayStatus.document(shared).pretty)
        }
        try access { () throws in try shared.settings.access.checkSender(UpstreamHeaders.withToken(head)) }
        if path.hasPrefix(backendsPath) { throw try wish(path, head, shared) }
        if path == "/v1/models" {
            guard head.method == .get || head.method == .head else { throw wrongMethod("GET") }
            throw json(.ok, models(shared.settings.plan))
        }
        guard let route = ModelRoute(path: path) else {
            throw json(.notFound, error("there is nothing at \(path)", code: "not_found"))
        }
        guard head.method == .post else { throw wrongMethod("POST") }
        let coding = head.headerFields[.contentEncoding]?.lowercased() ?? "identity"
        guard coding == "identity" else {
            throw json(.unsupportedMediaType, error("the gateway takes bodies without compression", code: "encoding"))
        }
        return route
    }

    private static let backendsPath = "/-/backends/"

    /// `POST /-/backends/NAME/start`, `stop` or `restart`: what is asked for will be done, and the status shows it.
    private static func wish(_ path: String, _ head: HTTPRequest, _ shared: GatewayShared) throws(EarlyAnswer) -> EarlyAnswer {
        guard head.method == .post else { throw wrongMethod("POST") }
        let parts = path.dropFirst(backendsPath.count).split(separator: "/")
        let name = parts.count == 2 ? PercentCoding.decoded(parts[0]) : ""
        let wishes: [Substring: Sight.Wish] = ["start": .start, "stop": .stop, "restart": .restart]
        guard let wish = parts.last.flatMap({ wishes[$0] }), let supervisor = shared.supervisors.named(name) else {
            throw json(.notFound, error("the gateway started no backend '\(name)'", code: "not_found"))
        }
        supervisor.ask(for: wish)
        return json(.accepted, (["backend": .string(name)] as JSONValue).line)
    }

    /// The exchange of a request whose body is there. Its spans' place in the store is taken here, before any backend hears of it.
    static func exchange(
        _ shared: GatewayShared, _ client: ClientConnection, _ head: HTTPRequest, _ route: ModelRoute,
        _ body: [UInt8]
    ) throws(GatewayRefusal) -> Exchange {
        let place = try shared.outbox.reserve()
        var record = newRecord(head, shared)
        do throws(GatewayRefusal) {
            let request = try ModelRequest(route, body: body)
            guard let model = shared.settings.plan.model(request.model) else { throw .unknownModel(request.model) }
            record.request = request.withoutBody
            record.modelName = request.model
            return Exchange(shared, client, head, request, model: model, record: record, place: place)
        } catch {
            record.status = error.status
            record.outcome = .refused(error)
            record.endTimeUnixNano = record.startTimeUnixNano
            shared.metrics.ended(record, backend: "", model: "")
            shared.outbox.put(record, place)
            throw error
        }
    }

    private static func newRecord(_ head: HTTPRequest, _ shared: GatewayShared) -> CallRecord {
        let context = head.headerFields[.traceparent].flatMap(TraceContext.init(traceparent:))
        let baggage = head.headerFields[.baggage] ?? ""
        var record = CallRecord(
            traceID: context?.traceID ?? TraceID(high: shared.nonZeroRandom(), low: shared.nonZeroRandom()),
            parentSpanID: context?.parentSpanID ?? SpanID(0), flags: context?.flags ?? 1,
            serverSpanID: SpanID(shared.nonZeroRandom()), callSpanID: SpanID(shared.nonZeroRandom()), path: path(head),
            startTimeUnixNano: shared.sources.unixNano())
        if context != nil { record.traceState = String((head.headerFields[.tracestate] ?? "").prefix(512)) }
        record.workflow = label(head, .fuseboxWorkflow) ?? Baggage.value("workflow_name", in: baggage)
        record.step = label(head, .fuseboxStep) ?? Baggage.value("step_id", in: baggage)
        return record
    }

    private static func label(_ head: HTTPRequest, _ name: HTTPField.Name) -> String? {
        guard let text = head.headerFields[name], !text.isEmpty, text.utf8.count <= 256 else { return nil }
        return text
    }

    private static func path(_ head: HTTPRequest) -> String {
        String((head.path ?? "").prefix { $0 != "?" })
    }

    // MARK: Answers

    /// Has refusals of access said as OpenAI's clients understand them.
    private static func access<Value>(_ body: () throws -> Value) throws(EarlyAnswer) -> Value {
        do {
            return try body()
        } catch {
            let refusal = StatusTable.refusal(for: error)
            var response = HTTPResponse(status: refusal.status, headerFields: refusal.headers)
            response.headerFields[.contentType] = "application/json"
            throw .response(response, Array(self.error(refusal.message, code: "access").utf8))
        }
    }

    private static func models(_ plan: GatewayPlan) -> String {
        let models = plan.models.filter { $0.name != ModelPlan.anyName }.map { model -> JSONValue in
            ["id": .string(model.name), "object": "model", "created": .integer(0), "owned_by": "fusebox"]
        }
        return (["object": "list", "data": .array(models)] as JSONValue).line
    }

    private static func error(_ message: String, code: String) -> String {
        let value: JSONValue = [
            "error": [
                "message": .string(message), "type": "invalid_request_error", "param": .null, "code": .string("fusebox_" + code),
            ]
        ]
        return value.line
    }

    private static func wrongMethod(_ allowed: String) -> EarlyAnswer {
        var answer = HTTPResponse(status: .methodNotAllowed, headerFields: [.contentType: "application/json"])
        answer.headerFields[.allow] = allowed
        return .response(answer, Array(error("this path takes \(allowed)", code: "method").utf8))
    }

    private static func json(_ status: HTTPResponse.Status, _ body: String) -> EarlyAnswer {
        .response(HTTPResponse(status: status, headerFields: [.contentType: "application/json"]), Array(body.utf8))
    }

    private static func text(_ body: String) -> EarlyAnswer {
        .response(HTTPResponse(status: .ok, headerFields: [.contentType: "text/plain; charset=utf-8"]), Array(body.utf8))
    }
}
