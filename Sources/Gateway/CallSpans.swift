import GatewayRules
import TelemetryModel

/// The spans of a call: what came in, the call as one, and each attempt over HTTP.
struct CallSpans {
    /// Spans of one call at most: what the store keeps room for before the call is made.
    static let countMax = CallRecord.attemptsMax + 2
    /// Bytes of them at most, about.
    static let bytesMax = 24 << 10

    let settings: GatewaySettings

    /// A batch of the spans of some calls.
    func batch(_ records: [CallRecord]) -> SpanBatch {
        var builder = SpanBatchBuilder()
        var resource: AttributeList = ["service.name": .string(settings.serviceName)]
        if !settings.versionText.isEmpty { resource.append("service.version", .string(settings.versionText)) }
        builder.beginResource(resource)
        builder.beginScope(name: "fusebox.gateway", version: settings.versionText)
        for record in records {
            builder.append(server(record))
            guard record.request != nil else { continue }
            builder.append(call(record))
            for (index, attempt) in record.attempts.enumerated() {
                builder.append(self.attempt(record, attempt, number: index + 1))
            }
        }
        return builder.batch
    }

    private func server(_ record: CallRecord) -> SpanDescription {
        var span = SpanDescription(traceID: record.traceID, spanID: record.serverSpanID, name: "POST \(record.path)")
        span.parentSpanID = record.parentSpanID
        span.kind = .server
        span.traceState = record.traceState
        span.flags = UInt32(record.flags)
        span.startTimeUnixNano = record.startTimeUnixNano
        span.endTimeUnixNano = record.endTimeUnixNano
        span.attributes = [
            "http.request.method": "POST", "url.path": .string(record.path), "http.route": .string(record.path),
            "stage": "other",
        ]
        let status = if case .cancelled = record.outcome { 499 } else { record.status }
        if status > 0 { span.attributes.append("http.response.status_code", .int(Int64(status))) }
        addWorkflow(record, &span)
        if let type = record.errorType {
            span.attributes.append("error.type", .string(type))
            // A request at fault is no error of the server's.
            if status >= 500 || record.status < 400 { span.status = .error(Self.message(record)) }
        }
        return span
    }

    /// The one span of a call that stands for it: its tokens, its outcome, its breaker.
    private func call(_ record: CallRecord) -> SpanDescription {
        let operation = record.request?.operation.rawValue ?? ""
        var span = SpanDescription(
            traceID: record.traceID, spanID: record.callSpanID, name: "\(operation) \(record.modelName)")
        span.parentSpanID = record.serverSpanID
        span.kind = .client
        span.flags = UInt32(record.flags)
        // The wait for a slot is not the backend's: it lies between the server span's begin and this.
        span.startTimeUnixNano = record.grantTimeUnixNano ?? record.endTimeUnixNano
        span.endTimeUnixNano = max(record.endTimeUnixNano, span.startTimeUnixNano)
        span.attributes = [
            "gen_ai.operation.name": .string(operation), "gen_ai.request.model": .string(record.modelName),
            "queue_depth": .int(Int64(record.queueDepth)), "timeout": .bool(record.isTimeout),
        ]
        if record.request?.isStreamed == true { span.attributes.append("gen_ai.request.stream", true) }
        if let request = record.request { span.attributes.append(contentsOf: request.attributes) }
        addWorkflow(record, &span)
        addBackend(record, &span)
        addAnswer(record, &span)
        if let type = record.errorType {
            span.attributes.append("error.type", .string(type))
            span.status = .error(Self.message(record))
        }
        return span
    }

    private func addBackend(_ record: CallRecord, _ span: inout SpanDescription) {
        if let grant = record.grantTimeUnixNano {
            span.attributes.append("queue_wait_ms", .double(Double(max(0, grant - record.startTimeUnixNano)) / 1e6))
        }
        if case .refused(.breakerOpen) = record.outcome { span.attributes.append("breaker.rejected", true) }
        guard let index = record.backend else { return }
        let backend = settings.plan.backends[index]
        span.attributes.append("gen_ai.provider.name", .string(backend.kind.rawValue))
        span.attributes.append("server.address", .string(backend.host))
        span.attributes.append("server.port", .int(Int64(record.attempts.last?.port ?? backend.port)))
        span.attributes.append("breaker.id", .string(backend.name))
        span.events += record.breakerResets.map {
            .init("breaker.transition", timeUnixNano: $0, attributes: ["to": "closed"])
        }
        if let state = record.breakerState { span.attributes.append("breaker_state", .string(state)) }
    }

    private func addAnswer(_ record: CallRecord, _ span: inout SpanDescription) {
        let facts = record.facts
        if let first = record.firstTokenTimeUnixNano, record.request?.isStreamed == true {
            let seconds = Double(max(0, first - span.startTimeUnixNano)) / 1e9
            span.attributes.append("gen_ai.response.time_to_first_chunk", .double(seconds))
        }
        if let id = facts.responseID { span.attributes.append("gen_ai.response.id", .string(id)) }
        if let model = facts.model { span.attributes.append("gen_ai.response.model", .string(model)) }
        if !facts.finishReasons.isEmpty {
            span.attributes.append("gen_ai.response.finish_reasons", .array(facts.finishReasons.map(AttributeValue.string)))
        }
        for (key, count) in [
            ("gen_ai.usage.input_tokens", facts.inputTokens), ("gen_ai.usage.output_tokens", facts.outputTokens),
            ("gen_ai.usage.cache_read.input_tokens", facts.cachedTokens),
            ("gen_ai.usage.reasoning.output_tokens", facts.reasoningTokens),
        ] {
            if let count { span.attributes.append(key, .int(count)) }
        }
        // The name that the client used is the one that budgets and prices go by, whatever file the backend loaded.
        span.attributes.append("model", .string(record.modelName))
    }

    private func attempt(_ record: CallRecord, _ attempt: CallRecord.Attempt, number: Int) -> SpanDescription {
        let backend = settings.plan.backends[attempt.backend]
        var span = SpanDescription(traceID: record.traceID, spanID: attempt.spanID, name: "POST")
        span.parentSpanID = record.callSpanID
        span.kind = .client
        span.flags = UInt32(record.flags)
        span.startTimeUnixNano = attempt.startTimeUnixNano
        span.endTimeUnixNano = max(attempt.endTimeUnixNano, attempt.startTimeUnixNano)
        span.attributes = [
            "stage": "other", "http.request.method": "POST", "server.address": .string(backend.host),
            "server.port": .int(Int64(attempt.port)), "url.path": .string(backend.pathPrefix + record.path),
        ]
        if let status = attempt.status { span.attributes.append("http.response.status_code", .int(Int64(status))) }
        if number > 1 { span.attributes.append("http.request.resend_count", .int(Int64(number - 1))) }
        if let type = attempt.errorType {
            span.attributes.append("error.type", .string(type))
            span.status = .error("")
        }
        return span
    }

    private func addWorkflow(_ record: CallRecord, _ span: inout SpanDescription) {
        if let workflow = record.workflow { span.attributes.append("workflow_name", .string(workflow)) }
        if let step = record.step { span.attributes.append("step_id", .string(step)) }
    }

    private static func message(_ record: CallRecord) -> String {
        switch record.outcome {
        case .refused(let refusal): refusal.message
        case .backendError(let status): "the backend answered \(status)"
        case .cancelled: "the client went away"
        case .ok: ""
        }
    }
}
