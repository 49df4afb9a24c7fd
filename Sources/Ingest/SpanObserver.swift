package import Derivations
package import SemanticColumns
package import TelemetryModel

/// Puts together what the derivations read of a span, from its record and its columns. The one place that knows both.
package struct SpanObserver {
    private var interner = TextInterner()
    private var identities: [ResourceIdentity] = []
    /// Numbers of the scopes' names.
    private var scopes: [UInt64] = []
    /// The resource of the span that was observed last; `noResource` after another batch began.
    private var resource = noResource
    private static let noResource = UInt32.max
    /// The span that was observed last had facts, which not all spans write anew.
    private var hasFacts = false
    /// All texts so far of the span that is being observed have numbers.
    private var isNumbered = true

    package init() {}

    /// Prepares for the spans of a batch.
    package mutating func begin(_ batch: SpanBatch) {
        identities = batch.resources.map { ResourceIdentity($0, batch) }
        resource = Self.noResource
        scopes = batch.scopes.map { number($0.name.range, batch) }
    }

    /// A text as a number that is not 0; 0 for none. By the seed of the process, since numbers of spans that are read again meet those of
    /// spans that arrive.
    private func number(_ range: WireRange, _ batch: SpanBatch) -> UInt64 {
        range.count == 0 ? 0 : ByteHash.hash(batch.bytes.span.bytes, range, .process) | 1
    }

    private func number(_ value: ColumnValue, _ batch: SpanBatch) -> UInt64 {
        value.kind == .text ? number(value.slice.range, batch) : 0
    }

    /// - Parameter observed: what this filled for the last span, or a new one.
    package mutating func observe(
        _ span: SpanRecord, _ columns: borrowing ColumnRow, of batch: SpanBatch, receivedTimeUnixNano: Int64,
        into observed: inout ObservedSpan
    ) {
        // In place: a span is large, and most of what it has, the next one has too.
        let numbering = interner.numbering
        isNumbered = true
        if resource != span.resource {
            let identity = identities[Int(span.resource)]
            observed.service = identity.serviceName
            observed.instance = identity.instanceID
            observed.declaration = LoopDeclaration(
                batch.resources[Int(span.resource)], batch, instance: identity.instanceID)
            resource = span.resource
        }
        let hadFacts = hasFacts
        hasFacts = columns.hasFacts
        observed.traceID = span.traceID
        observed.spanID = span.spanID
        observed.parentSpanID = span.parentSpanID
        observed.startTimeUnixNano = span.startTimeUnixNano
        observed.endTimeUnixNano = span.endTimeUnixNano
        observed.receivedTimeUnixNano = receivedTimeUnixNano
        observed.kind = span.kind
        observed.scope = scopes.indices.contains(Int(span.scope)) ? scopes[Int(span.scope)] : 0
        observed.statusCode = span.statusCode
        let hasMessage = span.statusCode == 2 && !span.statusMessage.isEmpty
        if hasMessage || observed.statusMessage != nil {
            observed.statusMessage = hasMessage ? batch.string(span.statusMessage) : nil
        }
        fillColumns(&observed, columns, batch)
        if hasFacts || hadFacts { fillFacts(&observed, columns, batch) }
        // The interner may have started anew in between.
        observed.numbers.numbering = isNumbered && interner.numbering == numbering ? numbering : 0
        observed.session = hasFacts || observed.tokens != nil ? number(columns[.session_id], batch) : 0
        if span.events.count > 0 || !observed.events.isEmpty {
            let hasFailed = span.statusCode == 2 || observed.exceptionFails == true
            observed.events = span.events.count > 0 ? events(span, batch, readsMessages: hasFailed) : []
        }
    }

    private mutating func fillColumns(_ observed: inout ObservedSpan, _ columns: borrowing ColumnRow, _ batch: SpanBatch) {
        take(columns[.workflow_name], batch, &observed.workflow, &observed.numbers.workflow)
        take(columns[.tool_name], batch, &observed.tool, &observed.numbers.tool)
        take(columns[.model], batch, &observed.model, &observed.numbers.model)
        take(columns[.operation], batch, &observed.operation, &observed.numbers.operation)
        // A step that is only shown is the id of a call: it tells a retry from what it repeats.
        take(columns[.step_id].isGuess ? .none : columns[.step_id], batch, &observed.step, &observed.numbers.step)
        // A state that was only guessed from an exception's name fills the column but moves no breaker.
        let state = columns[.breaker_state].isGuess ? .none : columns[.breaker_state]
        take(state, batch, &observed.breakerState, &observed.numbers.breakerState)
        observed.retrievalBatch = integer(columns[.retrieval_batch])
        observed.cacheHit = flag(columns[.cache_hit])
        observed.queueDepth = integer(columns[.queue_depth])
        observed.tokens = integer(columns[.tokens])
        observed.inputTokens = integer(columns[.input_tokens])
        observed.outputTokens = integer(columns[.output_tokens])
        observed.cacheReadTokens = integer(columns[.cached_tokens])
    }

    /// Fills a text and its number, unless they are the last span's: most are. A text without a number leaves the span without a numbering.
    @inline(__always)
    private mutating func take(_ value: ColumnValue, _ batch: SpanBatch, _ text: inout String?, _ number: inout UInt32) {
        guard value.kind == .text else {
            if text != nil { text = nil }
            number = 0
            return
        }
        let found = interner.number(batch.bytes.span.bytes, value.slice.range)
        if found != 0 && found == number { return }
        number = found
        if found == 0 {
            text = batch.string(value.slice)
            isNumbered = false
        } else {
            text = interner.text(found)
        }
    }

    private mutating func fillFacts(_ observed: inout ObservedSpan, _ columns: borrowing ColumnRow, _ batch: SpanBatch) {
        take(columns[.stage_attribute], batch, &observed.stageAttribute, &observed.numbers.stageAttribute)
        take(columns[.raw_error_type], batch, &observed.errorType, &observed.numbers.errorType)
        observed.timeoutFlag = flag(columns[.timeout_flag])
        observed.breakerRejected = flag(columns[.breaker_rejected])
        take(columns[.breaker_id], batch, &observed.breakerID, &observed.numbers.breakerID)
        observed.httpStatus = integer(columns[.http_status])
        observed.grpcStatus = integer(columns[.grpc_status])
        take(columns[.rpc_status], batch, &observed.rpcStatusText, &observed.numbers.rpcStatus)
        observed.exitCode = integer(columns[.exit_code])
        observed.timeToFirstTokenNanoseconds = integer(columns[.first_token_seconds])
        observed.cacheWriteTokens = integer(columns[.cache_write_tokens])
        observed.response = number(columns[.response_id], batch)
        observed.protocolMethod = number(columns[.protocol_method], batch)
        observed.tellsParent = flag(columns[.tells_parent]) ?? false
        observed.mayBeTold = flag(columns[.may_be_told]) ?? false
        observed.toldByLog = integer(columns[.told_by_log]) ?? 0
        observed.embedBatch = integer(columns[.embed_batch])
        observed.processMemory = integer(columns[.process_memory])
        observed.hostMemory = integer(columns[.host_memory])
        observed.hostMemoryTotal = integer(columns[.host_memory_total])
        observed.retryAttempt = integer(columns[.retry_attempt])
        observed.resendCount = integer(columns[.resend_count])
        observed.workflowRoot = flag(columns[.workflow_root])
        observed.exceptionFails = flag(columns[.exception_fails])
        observed.watchdog = flag(columns[.watchdog]) ?? false
        observed.hasHTTPRequestMethod = columns[.has_http_method].kind != .none
        observed.hasURL = columns[.has_url].kind != .none
        observed.hasDatabaseSystem = columns[.has_database].kind != .none
        observed.hasProcessCommand = columns[.has_process].kind != .none
    }

    @inline(__always)
    private func integer(_ value: ColumnValue) -> Int64? { value.kind == .integer ? value.integer : nil }

    @inline(__always)
    private func flag(_ value: ColumnValue) -> Bool? { value.kind == .integer ? value.integer != 0 : nil }

    private func events(_ span: SpanRecord, _ batch: SpanBatch, readsMessages: Bool) -> [ObservedEvent] {
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
            let text = attribute(key, of: event, batch)
            let message = readsMessages && kind == .exception ? attribute("exception.message", of: event, batch) : nil
            events.append(
                ObservedEvent(
                    kind: kind, timeUnixNano: event.timeUnixNano, text: text.map { batch.string($0) } ?? "",
                    message: message.map { String(decoding: batch.bytes($0).prefix(Self.messageBytesMax), as: UTF8.self) } ?? ""))
        }
        return events
    }

    /// As much of a message as patterns look at.
    private static let messageBytesMax = 4096

    /// The text of an event's last attribute of that key.
    private func attribute(_ key: String, of event: EventRecord, _ batch: SpanBatch) -> ByteSlice? {
        batch.attributes[event.attributes.indices].last {
            $0.kind == .string && batch.equals(batch.keys[Int($0.key)], key)
        }?.slice
    }
}
