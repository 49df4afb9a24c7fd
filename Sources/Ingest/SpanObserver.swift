import Derivations
import SemanticColumns
import TelemetryModel

/// Puts together what the derivations read of a span, from its record and its columns. The one place that knows both.
struct SpanObserver {
    private var interner = TextInterner()
    private var identities: [ResourceIdentity] = []
    /// The resource of the span that was observed last; `noResource` after another batch began.
    private var resource = noResource
    private static let noResource = UInt32.max
    /// The span that was observed last had facts, which not all spans write anew.
    private var hasFacts = false

    /// Prepares for the spans of a batch.
    mutating func begin(_ batch: SpanBatch) {
        identities = batch.resources.map { ResourceIdentity($0, batch) }
        resource = Self.noResource
    }

    /// - Parameter observed: what this filled for the last span, or a new one.
    mutating func observe(
        _ span: SpanRecord, _ columns: borrowing ColumnRow, of batch: SpanBatch, receivedTimeUnixNano: Int64,
        into observed: inout ObservedSpan
    ) {
        // In place: a span is large, and most of what it has, the next one has too.
        let isAnew = hasFacts && !columns.hasFacts
        if isAnew { observed = ObservedSpan(traceID: span.traceID, spanID: span.spanID) }
        if isAnew || resource != span.resource {
            let identity = identities[Int(span.resource)]
            observed.service = identity.serviceName
            observed.instance = identity.instanceID
            resource = span.resource
        }
        hasFacts = columns.hasFacts
        observed.traceID = span.traceID
        observed.spanID = span.spanID
        observed.parentSpanID = span.parentSpanID
        observed.startTimeUnixNano = span.startTimeUnixNano
        observed.endTimeUnixNano = span.endTimeUnixNano
        observed.receivedTimeUnixNano = receivedTimeUnixNano
        observed.kind = span.kind
        observed.statusCode = span.statusCode
        let hasMessage = span.statusCode == 2 && !span.statusMessage.isEmpty
        if hasMessage || observed.statusMessage != nil { observed.statusMessage = hasMessage ? batch.string(span.statusMessage) : nil }
        fillColumns(&observed, columns, batch)
        if hasFacts { fillFacts(&observed, columns, batch) }
        if span.events.count > 0 || !observed.events.isEmpty { observed.events = span.events.count > 0 ? events(span, batch) : [] }
    }

    private mutating func fillColumns(_ observed: inout ObservedSpan, _ columns: borrowing ColumnRow, _ batch: SpanBatch) {
        observed.workflow = text(columns[.workflow_name], batch)
        observed.step = text(columns[.step_id], batch)
        observed.tool = text(columns[.tool_name], batch)
        observed.model = text(columns[.model], batch)
        observed.operation = text(columns[.operation], batch)
        observed.retrievalBatch = integer(columns[.retrieval_batch])
        observed.cacheHit = flag(columns[.cache_hit])
        observed.queueDepth = integer(columns[.queue_depth])
        observed.tokens = integer(columns[.tokens])
        observed.inputTokens = integer(columns[.input_tokens])
        observed.outputTokens = integer(columns[.output_tokens])
        observed.cacheReadTokens = integer(columns[.cached_tokens])
        // A state that was only guessed from an exception's name fills the column but moves no breaker.
        observed.breakerState = columns[.breaker_state].isGuess ? nil : text(columns[.breaker_state], batch)
    }

    private mutating func fillFacts(_ observed: inout ObservedSpan, _ columns: borrowing ColumnRow, _ batch: SpanBatch) {
        observed.stageAttribute = text(columns[.stage_attribute], batch)
        observed.errorType = text(columns[.raw_error_type], batch)
        observed.timeoutFlag = flag(columns[.timeout_flag])
        observed.breakerRejected = flag(columns[.breaker_rejected])
        observed.breakerID = text(columns[.breaker_id], batch)
        observed.httpStatus = integer(columns[.http_status])
        observed.grpcStatus = integer(columns[.grpc_status])
        observed.rpcStatusText = text(columns[.rpc_status], batch)
        observed.exitCode = integer(columns[.exit_code])
        observed.timeToFirstTokenNanoseconds = integer(columns[.first_token_seconds])
        observed.cacheWriteTokens = integer(columns[.cache_write_tokens])
        observed.retryAttempt = integer(columns[.retry_attempt])
        observed.resendCount = integer(columns[.resend_count])
        observed.workflowRoot = flag(columns[.workflow_root])
        observed.watchdog = flag(columns[.watchdog]) ?? false
        observed.hasHTTPRequestMethod = columns[.has_http_method].kind != .none
        observed.hasURL = columns[.has_url].kind != .none
        observed.hasDatabaseSystem = columns[.has_database].kind != .none
        observed.hasProcessCommand = columns[.has_process].kind != .none
    }

    @inline(__always)
    private mutating func text(_ value: ColumnValue, _ batch: SpanBatch) -> String? {
        guard value.kind == .text else { return nil }
        return interner.text(batch.bytes.span.bytes, value.slice.range)
    }

    @inline(__always)
    private func integer(_ value: ColumnValue) -> Int64? { value.kind == .integer ? value.integer : nil }

    @inline(__always)
    private func flag(_ value: ColumnValue) -> Bool? { value.kind == .integer ? value.integer != 0 : nil }

    private func events(_ span: SpanRecord, _ batch: SpanBatch) -> [ObservedEvent] {
        var events: [ObservedEvent] = []
        for event in batch.events[span.events.indices] {
            let kind: ObservedEvent.Kind
            let key: String
            if batch.equals(event.name, "exception") {
                (kind, key) = (.exception, "exception.type")
            } else if batch.equals(event.name, "breaker.transition") {
                (kind, key) = (.breakerTransition, "to")
            } else {
                continue
            }
            let text = batch.attributes[event.attributes.indices].last {
                $0.kind == .string && batch.equals(batch.keys[Int($0.key)], key)
            }
            events.append(
                ObservedEvent(
                    kind: kind, timeUnixNano: event.timeUnixNano, text: text.map { batch.string($0.slice) } ?? ""))
        }
        return events
    }
}
