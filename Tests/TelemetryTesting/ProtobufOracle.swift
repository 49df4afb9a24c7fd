import COTLP

/// A trace request as libprotobuf-c reads it, in plain values, to compare our own decoder with.
///
/// Strings are bytes up to their first NUL, since protobuf-c hands out C strings, and are not checked to be UTF-8. Ids and bytes
/// are whole and of whatever length they came. Doubles are bit patterns, so that NaN equals itself.
package struct OracleRequest: Equatable, Sendable {
    package var resourceSpans: [ResourceSpans]

    package struct ResourceSpans: Equatable, Sendable {
        /// `nil` when the request has no resource message, which is not an empty one.
        package var resource: Resource?
        package var schemaURL: [UInt8]
        package var scopeSpans: [ScopeSpans]
    }

    package struct Resource: Equatable, Sendable {
        package var attributes: [Attribute]
        package var droppedAttributesCount: UInt32
    }

    package struct ScopeSpans: Equatable, Sendable {
        package var scope: Scope?
        package var schemaURL: [UInt8]
        package var spans: [Span]
    }

    package struct Scope: Equatable, Sendable {
        package var name: [UInt8]
        package var version: [UInt8]
        package var attributes: [Attribute]
        package var droppedAttributesCount: UInt32
    }

    package struct Span: Equatable, Sendable {
        package var traceID: [UInt8]
        package var spanID: [UInt8]
        package var parentSpanID: [UInt8]
        package var traceState: [UInt8]
        package var flags: UInt32
        package var name: [UInt8]
        package var kind: Int32
        package var startTimeUnixNano: UInt64
        package var endTimeUnixNano: UInt64
        package var attributes: [Attribute]
        package var droppedAttributesCount: UInt32
        package var events: [Event]
        package var droppedEventsCount: UInt32
        package var links: [Link]
        package var droppedLinksCount: UInt32
        package var status: Status?
    }

    package struct Status: Equatable, Sendable {
        package var code: Int32
        package var message: [UInt8]
    }

    package struct Event: Equatable, Sendable {
        package var timeUnixNano: UInt64
        package var name: [UInt8]
        package var attributes: [Attribute]
        package var droppedAttributesCount: UInt32
    }

    package struct Link: Equatable, Sendable {
        package var traceID: [UInt8]
        package var spanID: [UInt8]
        package var traceState: [UInt8]
        package var attributes: [Attribute]
        package var droppedAttributesCount: UInt32
        package var flags: UInt32
    }

    package struct Attribute: Equatable, Sendable {
        package var key: [UInt8]
        /// `nil` when the attribute has no value message at all.
        package var value: Value?
        package var keyStringIndex: Int32
    }

    package indirect enum Value: Equatable, Sendable {
        /// A value message with nothing set.
        case empty
        case string([UInt8])
        case bool(Bool)
        case int(Int64)
        case double(bitPattern: UInt64)
        case array([Value])
        case keyValueList([Attribute])
        case bytes([UInt8])
        case stringIndex(Int32)
    }
}

/// Reads trace requests with libprotobuf-c, which shares no code with Fusebox's own reader.
///
/// Where it judges otherwise than protobuf's rules, or where these leave a choice: it refuses groups and length prefixes of more
/// than five bytes; it drops a varint's bits above the 64th; it refuses known fields of the wrong wire type, except booleans, which
/// it reads from whatever bytes are there; of a message field that comes twice it merges lists and strings, but numbers are those
/// of the last even where that left them out. Comparisons must leave such bytes aside.
package enum ProtobufOracle {
    /// The request, or `nil` when libprotobuf-c refuses the bytes, `AnyValue`s are nested more than `valueDepthMax` deep (the
    /// outermost is 1) or unpacking needs more than `memoryMax` bytes.
    package static func decodeTraceRequest(
        _ bytes: [UInt8], valueDepthMax: Int = 64, memoryMax: Int = 256 << 20
    ) -> OracleRequest? {
        guard NestingProbe.isShallow(bytes, valueDepthMax: valueDepthMax) else { return nil }
        return Arena.withAllocator(capacity: memoryMax) { allocator in
            bytes.withUnsafeBufferPointer { buffer in
                let unpacked = opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(
                    allocator, buffer.count, buffer.baseAddress)
                guard let unpacked else { return nil }
                return OracleRequest(
                    resourceSpans: list(unpacked.pointee.n_resource_spans, unpacked.pointee.resource_spans, resourceSpans))
            }
        }
    }
}

/// Memory that is handed out front to back and given back as a whole: an allocation past its end fails, and so does unpacking,
/// which bounds what a small request can blow up to. The system commits pages only when they are touched.
struct Arena {
    private var start: UnsafeMutableRawPointer
    private var capacity: Int
    private var used = 0

    static func withAllocator<Result>(capacity: Int, _ body: (UnsafeMutablePointer<ProtobufCAllocator>) -> Result) -> Result {
        let start = UnsafeMutableRawPointer.allocate(byteCount: max(capacity, 16), alignment: 16)
        defer { start.deallocate() }
        var arena = Arena(start: start, capacity: capacity)
        return withUnsafeMutablePointer(to: &arena) { arena in
            var allocator = ProtobufCAllocator(
                alloc: { context, size in context?.assumingMemoryBound(to: Arena.self).pointee.allocate(size) },
                free: { _, _ in },
                allocator_data: UnsafeMutableRawPointer(arena))
            return body(&allocator)
        }
    }

    private init(start: UnsafeMutableRawPointer, capacity: Int) {
        self.start = start
        self.capacity = capacity
    }

    private mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        guard size >= 0, size <= capacity - used else { return nil }
        let address = start + used
        used = min(capacity, (used + size + 15) & ~15)
        return address
    }
}

/// Walks the wire before libprotobuf-c does, since that recurses without a limit. It follows the generated descriptors, so it
/// takes for a message exactly what will be unpacked as one.
enum NestingProbe {
    typealias Descriptor = UnsafePointer<ProtobufCMessageDescriptor>

    private struct Frame {
        var descriptor: Descriptor
        var position: Int
        var end: Int
        var valueDepth: Int
    }

    /// True when the nesting is within the limit and the framing is sound as far as messages go.
    static func isShallow(_ bytes: [UInt8], valueDepthMax: Int) -> Bool {
        var request = Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest()
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__init(&request)
        return isShallow(bytes, root: request.base.descriptor, valueDepthMax: valueDepthMax)
    }

    /// The same of another message.
    static func isShallow(_ bytes: [UInt8], root: Descriptor?, valueDepthMax: Int) -> Bool {
        var value = Opentelemetry__Proto__Common__V1__AnyValue()
        opentelemetry__proto__common__v1__any_value__init(&value)
        guard let root, let anyValue = value.base.descriptor else { return false }

        var frames = [Frame(descriptor: root, position: 0, end: bytes.count, valueDepth: 0)]
        while var frame = frames.popLast() {
            guard frame.position < frame.end else { continue }
            guard let tag = varint(bytes, &frame, bytesMax: 5) else { return false }
            switch tag & 7 {
            case 0: guard varint(bytes, &frame, bytesMax: 10) != nil else { return false }
            case 1: frame.position += 8
            case 5: frame.position += 4
            case 2:
                guard let count = varint(bytes, &frame, bytesMax: 5), count <= frame.end - frame.position else { return false }
                let child = message(of: UInt32(truncatingIfNeeded: tag) >> 3, in: frame.descriptor)
                let start = frame.position
                frame.position += Int(count)
                guard let child else { break }
                let valueDepth = frame.valueDepth + (child == anyValue ? 1 : 0)
                guard valueDepth <= valueDepthMax else { return false }
                frames.append(frame)
                frame = Frame(descriptor: child, position: start, end: start + Int(count), valueDepth: valueDepth)
            default: return false
            }
            guard frame.position <= frame.end else { return false }
            frames.append(frame)
        }
        return true
    }

    private static func message(of field: UInt32, in descriptor: Descriptor) -> Descriptor? {
        let fields = UnsafeBufferPointer(start: descriptor.pointee.fields, count: Int(descriptor.pointee.n_fields))
        guard let found = fields.first(where: { $0.id == field }), found.type == PROTOBUF_C_TYPE_MESSAGE else { return nil }
        return found.descriptor?.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
    }

    private static func varint(_ bytes: [UInt8], _ frame: inout Frame, bytesMax: Int) -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<bytesMax where frame.position < frame.end {
            let byte = bytes[frame.position]
            frame.position += 1
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte < 0x80 { return value }
        }
        return nil
    }
}

func list<Message, Value>(
    _ count: Int, _ start: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?, _ convert: (Message) -> Value
) -> [Value] {
    UnsafeBufferPointer(start: start, count: start == nil ? 0 : count).compactMap { $0.map { convert($0.pointee) } }
}

func text(_ start: UnsafeMutablePointer<CChar>?) -> [UInt8] {
    guard let start else { return [] }
    var count = 0
    while start[count] != 0 { count += 1 }
    return Array(UnsafeRawBufferPointer(start: start, count: count))
}

func binary(_ data: ProtobufCBinaryData) -> [UInt8] {
    Array(UnsafeBufferPointer(start: data.data, count: data.data == nil ? 0 : data.len))
}

private func resourceSpans(_ message: Opentelemetry__Proto__Trace__V1__ResourceSpans) -> OracleRequest.ResourceSpans {
    OracleRequest.ResourceSpans(
        resource: message.resource.map { resource($0.pointee) },
        schemaURL: text(message.schema_url),
        scopeSpans: list(message.n_scope_spans, message.scope_spans, scopeSpans))
}

private func scopeSpans(_ message: Opentelemetry__Proto__Trace__V1__ScopeSpans) -> OracleRequest.ScopeSpans {
    OracleRequest.ScopeSpans(
        scope: message.scope.map { scope($0.pointee) },
        schemaURL: text(message.schema_url),
        spans: list(message.n_spans, message.spans, span))
}

func resource(_ message: Opentelemetry__Proto__Resource__V1__Resource) -> OracleRequest.Resource {
    OracleRequest.Resource(
        attributes: list(message.n_attributes, message.attributes, attribute),
        droppedAttributesCount: message.dropped_attributes_count)
}

func scope(_ message: Opentelemetry__Proto__Common__V1__InstrumentationScope) -> OracleRequest.Scope {
    OracleRequest.Scope(
        name: text(message.name), version: text(message.version),
        attributes: list(message.n_attributes, message.attributes, attribute),
        droppedAttributesCount: message.dropped_attributes_count)
}

private func span(_ message: Opentelemetry__Proto__Trace__V1__Span) -> OracleRequest.Span {
    OracleRequest.Span(
        traceID: binary(message.trace_id), spanID: binary(message.span_id), parentSpanID: binary(message.parent_span_id),
        traceState: text(message.trace_state), flags: message.flags, name: text(message.name),
        kind: Int32(truncatingIfNeeded: message.kind.rawValue),
        startTimeUnixNano: message.start_time_unix_nano, endTimeUnixNano: message.end_time_unix_nano,
        attributes: list(message.n_attributes, message.attributes, attribute),
        droppedAttributesCount: message.dropped_attributes_count,
        events: list(message.n_events, message.events, event), droppedEventsCount: message.dropped_events_count,
        links: list(message.n_links, message.links, link), droppedLinksCount: message.dropped_links_count,
        status: message.status.map {
            OracleRequest.Status(
                code: Int32(truncatingIfNeeded: $0.pointee.code.rawValue), message: text($0.pointee.message))
        })
}

private func event(_ message: Opentelemetry__Proto__Trace__V1__Span__Event) -> OracleRequest.Event {
    OracleRequest.Event(
        timeUnixNano: message.time_unix_nano, name: text(message.name),
        attributes: list(message.n_attributes, message.attributes, attribute),
        droppedAttributesCount: message.dropped_attributes_count)
}

private func link(_ message: Opentelemetry__Proto__Trace__V1__Span__Link) -> OracleRequest.Link {
    OracleRequest.Link(
        traceID: binary(message.trace_id), spanID: binary(message.span_id), traceState: text(message.trace_state),
        attributes: list(message.n_attributes, message.attributes, attribute),
        droppedAttributesCount: message.dropped_attributes_count, flags: message.flags)
}

func attribute(_ message: Opentelemetry__Proto__Common__V1__KeyValue) -> OracleRequest.Attribute {
    OracleRequest.Attribute(
        key: text(message.key), value: message.value.map { value($0.pointee) }, keyStringIndex: message.key_strindex)
}

func value(_ message: Opentelemetry__Proto__Common__V1__AnyValue) -> OracleRequest.Value {
    switch message.value_case {
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE: .string(text(message.string_value))
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE: .bool(message.bool_value != 0)
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE: .int(message.int_value)
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_DOUBLE_VALUE:
        .double(bitPattern: message.double_value.bitPattern)
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_ARRAY_VALUE:
        .array(message.array_value.map { list($0.pointee.n_values, $0.pointee.values, value) } ?? [])
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_KVLIST_VALUE:
        .keyValueList(message.kvlist_value.map { list($0.pointee.n_values, $0.pointee.values, attribute) } ?? [])
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BYTES_VALUE: .bytes(binary(message.bytes_value))
    case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE_STRINDEX:
        .stringIndex(message.string_value_strindex)
    default: .empty
    }
}
