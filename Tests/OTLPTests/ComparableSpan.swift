import TelemetryModel

@testable import TelemetryTesting

/// A span with its envelopes as both decoders should see it, so that what our decoder made of a request can be compared with what
/// libprotobuf-c makes of it.
///
/// Differences that are meant, and evened out here:
/// - libprotobuf-c cuts strings at their first NUL and does not check that they are UTF-8; ours keeps and mends them. Both are cut,
///   then mended.
/// - Ours leaves out spans with invalid ids or times past 2262, and links with ids of wrong length (counting them); an invalid
///   parent, or a span that is its own parent, is none.
/// - Of the attributes of a span with one key ours keeps the last and counts the others as dropped.
/// - A status, scope or resource that is not there is an empty one; so is a value that is not there, or is an index into the
///   string table that only profiles have.
struct ComparableSpan: Equatable {
    var resource: OracleRequest.Resource
    var resourceSchemaURL: [UInt8]
    var scope: OracleRequest.Scope
    var scopeSchemaURL: [UInt8]
    var span: OracleRequest.Span
}

/// The spans that both decoders should have found.
struct ComparableRequest: Equatable {
    var spans: [ComparableSpan] = []
    var rejected = 0
}

extension ComparableRequest {
    /// What libprotobuf-c found.
    init(_ request: OracleRequest) {
        for envelope in request.resourceSpans {
            for scopeSpans in envelope.scopeSpans {
                for span in scopeSpans.spans {
                    guard Self.isAccepted(span) else {
                        rejected += 1
                        continue
                    }
                    spans.append(
                        ComparableSpan(
                            resource: Self.even(envelope.resource), resourceSchemaURL: Self.even(envelope.schemaURL),
                            scope: Self.even(scopeSpans.scope), scopeSchemaURL: Self.even(scopeSpans.schemaURL),
                            span: Self.even(span)))
                }
            }
        }
    }

    private static func isAccepted(_ span: OracleRequest.Span) -> Bool {
        span.traceID.count == 16 && span.spanID.count == 8 && span.traceID.contains { $0 != 0 }
            && span.spanID.contains { $0 != 0 } && span.startTimeUnixNano <= UInt64(Int64.max)
            && span.endTimeUnixNano <= UInt64(Int64.max)
    }

    static func even(_ text: [UInt8]) -> [UInt8] {
        Array(String(decoding: text.prefix { $0 != 0 }, as: UTF8.self).utf8)
    }

    static func even(_ resource: OracleRequest.Resource?) -> OracleRequest.Resource {
        var resource = resource ?? OracleRequest.Resource(attributes: [], droppedAttributesCount: 0)
        resource.attributes = resource.attributes.map(even)
        return resource
    }

    static func even(_ scope: OracleRequest.Scope?) -> OracleRequest.Scope {
        var scope = scope ?? OracleRequest.Scope(name: [], version: [], attributes: [], droppedAttributesCount: 0)
        scope.name = even(scope.name)
        scope.version = even(scope.version)
        scope.attributes = scope.attributes.map(even)
        return scope
    }

    static func even(_ attribute: OracleRequest.Attribute) -> OracleRequest.Attribute {
        OracleRequest.Attribute(
            key: even(attribute.key), value: attribute.value.map(even) ?? .empty, keyStringIndex: 0)
    }

    static func even(_ value: OracleRequest.Value) -> OracleRequest.Value {
        switch value {
        case .string(let text): .string(even(text))
        case .array(let values): .array(values.map(even))
        case .keyValueList(let list): .keyValueList(list.map(even))
        case .stringIndex: .empty
        case .empty, .bool, .int, .double, .bytes: value
        }
    }

    private static func even(_ span: OracleRequest.Span) -> OracleRequest.Span {
        var span = span
        span.traceState = even(span.traceState)
        span.name = even(span.name)
        let isParent = span.parentSpanID.count == 8 && span.parentSpanID != span.spanID
        if !isParent || span.parentSpanID.allSatisfy({ $0 == 0 }) { span.parentSpanID = [] }
        span.attributes = span.attributes.map(even)
        leaveOutRepetitions(&span)
        span.events = span.events.map { event in
            var event = event
            event.name = even(event.name)
            event.timeUnixNano = min(event.timeUnixNano, UInt64(Int64.max))
            event.attributes = event.attributes.map(even)
            return event
        }
        let links = span.links.filter { $0.traceID.count == 16 && $0.spanID.count == 8 }
        let dropped = span.droppedLinksCount.addingReportingOverflow(UInt32(span.links.count - links.count))
        span.droppedLinksCount = dropped.overflow ? .max : dropped.partialValue
        span.links = links.map(even)
        var status = span.status ?? OracleRequest.Status(code: 0, message: [])
        status.message = even(status.message)
        span.status = status
        return span
    }

    private static func leaveOutRepetitions(_ span: inout OracleRequest.Span) {
        var kept: [OracleRequest.Attribute] = []
        for attribute in span.attributes {
            if let place = kept.firstIndex(where: { $0.key == attribute.key }) {
                kept[place] = attribute
                let dropped = span.droppedAttributesCount.addingReportingOverflow(1)
                span.droppedAttributesCount = dropped.overflow ? .max : dropped.partialValue
            } else {
                kept.append(attribute)
            }
        }
        span.attributes = kept
    }

    static func even(_ link: OracleRequest.Link) -> OracleRequest.Link {
        var link = link
        link.traceState = even(link.traceState)
        link.attributes = link.attributes.map(even)
        return link
    }
}

extension ComparableRequest {
    /// What our decoder found. Parts that it keeps encoded are read by libprotobuf-c, which shows whether the slices are right.
    init(_ batch: SpanBatch) {
        rejected = batch.rejections.total
        let resources = batch.resources.map { Self.resource(batch.bytes($0.encoded)) }
        let scopes = batch.scopes.map { Self.scope(batch.bytes($0.encoded)) }
        spans = batch.spans.map { span in
            let resource = batch.resources[Int(span.resource)]
            let scope = batch.scopes[Int(span.scope)]
            var comparable = ComparableSpan(
                resource: resources[Int(span.resource)], resourceSchemaURL: Self.even(Array(batch.bytes(resource.schemaURL))),
                scope: scopes[Int(span.scope)], scopeSchemaURL: Self.even(Array(batch.bytes(scope.schemaURL))),
                span: Self.span(span, batch))
            // These are records besides being encoded, and the records are what is read.
            comparable.resource.attributes = Self.attributes(resource.attributes, batch)
            comparable.scope.name = Self.even(Array(batch.bytes(scope.name)))
            comparable.scope.version = Self.even(Array(batch.bytes(scope.version)))
            return comparable
        }
    }

    private static func span(_ span: SpanRecord, _ batch: SpanBatch) -> OracleRequest.Span {
        let text = { (slice: ByteSlice) in even(Array(batch.bytes(slice))) }
        return OracleRequest.Span(
            traceID: span.traceID.bytes, spanID: span.spanID.bytes,
            parentSpanID: span.parentSpanID.isValid ? span.parentSpanID.bytes : [], traceState: text(span.traceState),
            flags: span.flags, name: text(span.name), kind: span.kind,
            startTimeUnixNano: UInt64(span.startTimeUnixNano), endTimeUnixNano: UInt64(span.endTimeUnixNano),
            attributes: attributes(span.attributes, batch), droppedAttributesCount: span.droppedAttributesCount,
            events: batch.events[span.events.indices].map { event in
                OracleRequest.Event(
                    timeUnixNano: UInt64(event.timeUnixNano), name: text(event.name),
                    attributes: attributes(event.attributes, batch),
                    droppedAttributesCount: Self.event(batch.bytes(event.encoded))?.droppedAttributesCount ?? .max)
            },
            droppedEventsCount: span.droppedEventsCount,
            links: batch.links[span.links.indices].compactMap { link(batch.bytes($0)).map(even) },
            droppedLinksCount: span.droppedLinksCount,
            status: OracleRequest.Status(code: span.statusCode, message: text(span.statusMessage)))
    }

    private static func attributes(_ range: RecordRange, _ batch: SpanBatch) -> [OracleRequest.Attribute] {
        batch.attributes[range.indices].map { record in
            let value: OracleRequest.Value? =
                switch record.kind {
                case .empty: .empty
                case .string: .string(Array(batch.bytes(record.slice)))
                case .bool: .bool(record.bool)
                case .int: .int(record.int)
                case .double: .double(bitPattern: record.payload)
                case .array: Self.value(5, batch.bytes(record.slice))
                case .keyValueList: Self.value(6, batch.bytes(record.slice))
                case .bytes: .bytes(Array(batch.bytes(record.slice)))
                }
            // A slice that libprotobuf-c refuses must not pass for an empty value.
            return even(
                OracleRequest.Attribute(
                    key: Array(batch.bytes(batch.keys[Int(record.key)])), value: value ?? .stringIndex(-1), keyStringIndex: 0))
        }
    }

    // MARK: Encoded parts, each alone in a request

    private static func decode(_ write: (inout WireWriter) -> Void) -> OracleRequest.ResourceSpans? {
        var writer = WireWriter()
        writer.message(1, write)
        return ProtobufOracle.decodeTraceRequest(writer.bytes, valueDepthMax: 70, memoryMax: 1 << 20)?.resourceSpans.first
    }

    private static func resource(_ bytes: ArraySlice<UInt8>) -> OracleRequest.Resource {
        even(decode { $0.lengthDelimited(1, bytes) }?.resource)
    }

    private static func scope(_ bytes: ArraySlice<UInt8>) -> OracleRequest.Scope {
        even(decode { $0.message(2) { $0.lengthDelimited(1, bytes) } }?.scopeSpans.first?.scope)
    }

    private static func event(_ bytes: ArraySlice<UInt8>) -> OracleRequest.Event? {
        decode { $0.message(2) { $0.message(2) { $0.lengthDelimited(11, bytes) } } }?.scopeSpans.first?.spans.first?.events.first
    }

    private static func link(_ bytes: ArraySlice<UInt8>) -> OracleRequest.Link? {
        decode { $0.message(2) { $0.message(2) { $0.lengthDelimited(13, bytes) } } }?.scopeSpans.first?.spans.first?.links.first
    }

    private static func value(_ field: Int, _ bytes: ArraySlice<UInt8>) -> OracleRequest.Value? {
        decode { $0.message(1) { $0.message(1) { $0.message(2) { $0.lengthDelimited(field, bytes) } } } }?
            .resource?.attributes.first?.value
    }
}
