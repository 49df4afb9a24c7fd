import COTLP
package import TelemetryModel

/// The request of a trace export: the reverse of `TraceDecoder`.
package enum TraceRequestMessage {
    /// The batch as an encoded `ExportTraceServiceRequest`, which decodes to an equal batch.
    ///
    /// Spans that follow each other in one resource and scope share their envelopes. Resources, scopes, events, links, arrays and
    /// lists are written as they came, with whatever newer fields they have; of a span itself, what Fusebox does not know is gone.
    package static func encode(_ batch: SpanBatch) -> [UInt8] {
        var encoder = TraceRequestEncoder(batch: batch)
        return encoder.encode()
    }
}

/// Builds the C structs of one request in an arena and packs them.
private struct TraceRequestEncoder: ~Copyable {
    private typealias Request = Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest
    private typealias ResourceSpans = Opentelemetry__Proto__Trace__V1__ResourceSpans
    private typealias ScopeSpans = Opentelemetry__Proto__Trace__V1__ScopeSpans
    private typealias Span = Opentelemetry__Proto__Trace__V1__Span
    private typealias Status = Opentelemetry__Proto__Trace__V1__Status
    private typealias KeyValue = Opentelemetry__Proto__Common__V1__KeyValue
    private typealias AnyValue = Opentelemetry__Proto__Common__V1__AnyValue
    private typealias EncodedField = ProtobufCMessageUnknownField

    private let batch: SpanBatch
    private var arena = MessageArena()

    init(batch: SpanBatch) {
        self.batch = batch
    }

    mutating func encode() -> [UInt8] {
        var envelopes: [UnsafeMutablePointer<ResourceSpans>?] = []
        var start = 0
        while start < batch.spans.count {
            let resource = batch.spans[start].resource
            let end = batch.spans[start...].firstIndex { $0.resource != resource } ?? batch.spans.count
            envelopes.append(resourceSpans(batch.resources[Int(resource)], start..<end))
            start = end
        }
        var request = Request()
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__init(&request)
        request.n_resource_spans = envelopes.count
        request.resource_spans = arena.array(envelopes)
        return PackedMessage.bytes(of: &request)
    }

    private mutating func resourceSpans(_ record: ResourceRecord, _ spans: Range<Int>) -> UnsafeMutablePointer<ResourceSpans> {
        let message: UnsafeMutablePointer<ResourceSpans> = arena.message(opentelemetry__proto__trace__v1__resource_spans__init)
        var fields: [EncodedField] = []
        if !record.encoded.isEmpty { fields.append(arena.encodedField(1, batch.bytes(record.encoded))) }
        message.pointee.schema_url = text(record.schemaURL, field: 3, &fields)
        var scopes: [UnsafeMutablePointer<ScopeSpans>?] = []
        var start = spans.lowerBound
        while start < spans.upperBound {
            let scope = batch.spans[start].scope
            let end = batch.spans[start..<spans.upperBound].firstIndex { $0.scope != scope } ?? spans.upperBound
            scopes.append(scopeSpans(batch.scopes[Int(scope)], start..<end))
            start = end
        }
        message.pointee.n_scope_spans = scopes.count
        message.pointee.scope_spans = arena.array(scopes)
        arena.attach(fields, to: &message.pointee.base)
        return message
    }

    private mutating func scopeSpans(_ record: ScopeRecord, _ spans: Range<Int>) -> UnsafeMutablePointer<ScopeSpans> {
        let message: UnsafeMutablePointer<ScopeSpans> = arena.message(opentelemetry__proto__trace__v1__scope_spans__init)
        var fields: [EncodedField] = []
        if !record.encoded.isEmpty { fields.append(arena.encodedField(1, batch.bytes(record.encoded))) }
        message.pointee.schema_url = text(record.schemaURL, field: 3, &fields)
        var pointers: [UnsafeMutablePointer<Span>?] = []
        pointers.reserveCapacity(spans.count)
        for index in spans { pointers.append(span(batch.spans[index])) }
        message.pointee.n_spans = pointers.count
        message.pointee.spans = arena.array(pointers)
        arena.attach(fields, to: &message.pointee.base)
        return message
    }

    private mutating func span(_ record: SpanRecord) -> UnsafeMutablePointer<Span> {
        let message: UnsafeMutablePointer<Span> = arena.message(opentelemetry__proto__trace__v1__span__init)
        var fields: [EncodedField] = []
        message.pointee.trace_id = arena.binary(record.traceID.bytes[...])
        message.pointee.span_id = arena.binary(record.spanID.bytes[...])
        if record.parentSpanID.isValid { message.pointee.parent_span_id = arena.binary(record.parentSpanID.bytes[...]) }
        message.pointee.trace_state = text(record.traceState, field: 3, &fields)
        message.pointee.name = text(record.name, field: 5, &fields)
        message.pointee.kind = .init(rawValue: UInt32(bitPattern: record.kind))
        message.pointee.start_time_unix_nano = UInt64(bitPattern: record.startTimeUnixNano)
        message.pointee.end_time_unix_nano = UInt64(bitPattern: record.endTimeUnixNano)
        var pointers: [UnsafeMutablePointer<KeyValue>?] = []
        for index in record.attributes.indices { pointers.append(keyValue(batch.attributes[index])) }
        message.pointee.n_attributes = pointers.count
        message.pointee.attributes = arena.array(pointers)
        message.pointee.dropped_attributes_count = record.droppedAttributesCount
        for index in record.events.indices {
            fields.append(arena.encodedField(11, batch.bytes(batch.events[index].encoded)))
        }
        message.pointee.dropped_events_count = record.droppedEventsCount
        for index in record.links.indices { fields.append(arena.encodedField(13, batch.bytes(batch.links[index]))) }
        message.pointee.dropped_links_count = record.droppedLinksCount
        if record.statusCode != 0 || !record.statusMessage.isEmpty { message.pointee.status = status(record) }
        message.pointee.flags = record.flags
        arena.attach(fields, to: &message.pointee.base)
        return message
    }

    private mutating func status(_ record: SpanRecord) -> UnsafeMutablePointer<Status> {
        let message: UnsafeMutablePointer<Status> = arena.message(opentelemetry__proto__trace__v1__status__init)
        var fields: [EncodedField] = []
        message.pointee.message = text(record.statusMessage, field: 2, &fields)
        message.pointee.code = .init(rawValue: UInt32(bitPattern: record.statusCode))
        arena.attach(fields, to: &message.pointee.base)
        return message
    }

    private mutating func keyValue(_ record: AttributeRecord) -> UnsafeMutablePointer<KeyValue> {
        let message: UnsafeMutablePointer<KeyValue> = arena.message(opentelemetry__proto__common__v1__key_value__init)
        var fields: [EncodedField] = []
        message.pointee.key = text(batch.keys[Int(record.key)], field: 1, &fields)
        message.pointee.value = anyValue(record)
        arena.attach(fields, to: &message.pointee.base)
        return message
    }

    private mutating func anyValue(_ record: AttributeRecord) -> UnsafeMutablePointer<AnyValue> {
        let message: UnsafeMutablePointer<AnyValue> = arena.message(opentelemetry__proto__common__v1__any_value__init)
        var fields: [EncodedField] = []
        switch record.kind {
        case .empty: break
        case .string:
            if let text = arena.text(batch.bytes(record.slice)) {
                message.pointee.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE
                message.pointee.string_value = text
            } else {
                fields.append(arena.encodedField(1, batch.bytes(record.slice)))
            }
        case .bool:
            message.pointee.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE
            message.pointee.bool_value = record.bool ? 1 : 0
        case .int:
            message.pointee.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE
            message.pointee.int_value = record.int
        case .double:
            message.pointee.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_DOUBLE_VALUE
            message.pointee.double_value = record.double
        case .array: fields.append(arena.encodedField(5, batch.bytes(record.slice)))
        case .keyValueList: fields.append(arena.encodedField(6, batch.bytes(record.slice)))
        case .bytes: fields.append(arena.encodedField(7, batch.bytes(record.slice)))
        }
        arena.attach(fields, to: &message.pointee.base)
        return message
    }

    /// The text for a string member; `nil`, which is written as nothing, when it is empty or had to become an encoded field.
    private mutating func text(
        _ slice: ByteSlice, field: UInt32, _ fields: inout [EncodedField]
    ) -> UnsafeMutablePointer<CChar>? {
        if slice.isEmpty { return nil }
        if let text = arena.text(batch.bytes(slice)) { return text }
        fields.append(arena.encodedField(field, batch.bytes(slice)))
        return nil
    }
}
