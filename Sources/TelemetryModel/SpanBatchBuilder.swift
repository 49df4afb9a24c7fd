/// A span as Swift values, to be put into a batch.
public struct SpanDescription: Equatable, Sendable {
    /// `Span.SpanKind` of OTLP.
    public enum Kind: Int32, Sendable {
        case unspecified = 0
        case `internal` = 1
        case server = 2
        case client = 3
        case producer = 4
        case consumer = 5
    }

    public enum Status: Equatable, Sendable {
        case unset
        case ok
        case error(String)
    }

    public struct Event: Equatable, Sendable {
        public var name: String
        public var timeUnixNano: Int64
        public var attributes: AttributeList

        public init(_ name: String, timeUnixNano: Int64, attributes: AttributeList = [:]) {
            self.name = name
            self.timeUnixNano = timeUnixNano
            self.attributes = attributes
        }
    }

    public struct Link: Equatable, Sendable {
        public var traceID: TraceID
        public var spanID: SpanID
        public var attributes: AttributeList

        public init(traceID: TraceID, spanID: SpanID, attributes: AttributeList = [:]) {
            self.traceID = traceID
            self.spanID = spanID
            self.attributes = attributes
        }
    }

    public var traceID: TraceID
    public var spanID: SpanID
    /// Zero for a root.
    public var parentSpanID = SpanID(0)
    public var name: String
    public var kind = Kind.internal
    public var startTimeUnixNano: Int64 = 0
    public var endTimeUnixNano: Int64 = 0
    public var status = Status.unset
    public var traceState = ""
    public var flags: UInt32 = 0
    public var attributes: AttributeList = [:]
    public var events: [Event] = []
    public var links: [Link] = []

    public init(traceID: TraceID, spanID: SpanID, name: String) {
        self.traceID = traceID
        self.spanID = spanID
        self.name = name
    }
}

/// Makes a `SpanBatch` from Swift values: begin a resource, begin a scope, append its spans; then the next scope or resource.
///
/// Spans are not checked: ids may be zero, times negative. Content hashes tell apart what was built, but are not those that the
/// decoder gives to the same spans on the wire.
public struct SpanBatchBuilder: Sendable {
    /// What was built up to now.
    public private(set) var batch = SpanBatch(bytes: [])
    private var keyIndices: [ExactText: UInt32] = [:]
    private var hasScope = false

    public init() {}

    /// Spans appended from here on come from this resource; a scope has to be begun anew.
    public mutating func beginResource(_ attributes: AttributeList, schemaURL: String = "") {
        var resource = ResourceRecord()
        resource.encoded = encoded { $0.attributes(1, attributes) }
        resource.attributes = append(attributes)
        resource.schemaURL = batch.append(schemaURL)
        batch.resources.append(resource)
        hasScope = false
    }

    /// Spans appended from here on were made by this instrumentation.
    public mutating func beginScope(
        name: String, version: String = "", attributes: AttributeList = [:], schemaURL: String = ""
    ) {
        if batch.resources.isEmpty { beginResource([:]) }
        var scope = ScopeRecord()
        scope.encoded = encoded { writer in
            if !name.isEmpty { writer.lengthDelimited(1, name.utf8) }
            if !version.isEmpty { writer.lengthDelimited(2, version.utf8) }
            writer.attributes(3, attributes)
        }
        scope.name = batch.append(name)
        scope.version = batch.append(version)
        scope.schemaURL = batch.append(schemaURL)
        batch.scopes.append(scope)
        hasScope = true
    }

    /// Appends a span to the resource and scope that were begun last, which are empty ones without any.
    public mutating func append(_ description: SpanDescription) {
        if !hasScope { beginScope(name: "") }
        let start = batch.bytes.count
        var span = SpanRecord()
        span.traceID = description.traceID
        span.spanID = description.spanID
        span.parentSpanID = description.parentSpanID
        span.startTimeUnixNano = description.startTimeUnixNano
        span.endTimeUnixNano = description.endTimeUnixNano
        span.name = batch.append(description.name)
        span.traceState = batch.append(description.traceState)
        span.kind = description.kind.rawValue
        switch description.status {
        case .unset: span.statusCode = 0
        case .ok: span.statusCode = 1
        case .error(let message):
            span.statusCode = 2
            span.statusMessage = batch.append(message)
        }
        span.flags = description.flags
        span.attributes = append(description.attributes)
        span.events = RecordRange(start: UInt32(batch.events.count), count: UInt32(description.events.count))
        for event in description.events { append(event) }
        span.links = RecordRange(start: UInt32(batch.links.count), count: UInt32(description.links.count))
        for link in description.links { append(link) }
        span.resource = UInt32(batch.resources.count - 1)
        span.scope = UInt32(batch.scopes.count - 1)
        span.contentHash = contentHash(span, from: start)
        batch.spans.append(span)
    }

    private mutating func append(_ event: SpanDescription.Event) {
        var record = EventRecord()
        record.encoded = encoded { writer in
            writer.fixed64(1, UInt64(bitPattern: event.timeUnixNano))
            writer.lengthDelimited(2, event.name.utf8)
            writer.attributes(3, event.attributes)
        }
        record.name = batch.append(event.name)
        record.timeUnixNano = event.timeUnixNano
        record.attributes = append(event.attributes)
        batch.events.append(record)
    }

    private mutating func append(_ link: SpanDescription.Link) {
        let slice = encoded { writer in
            writer.lengthDelimited(1, link.traceID.bytes)
            writer.lengthDelimited(2, link.spanID.bytes)
            writer.attributes(4, link.attributes)
        }
        batch.links.append(slice)
    }

    private mutating func append(_ attributes: AttributeList) -> RecordRange {
        let start = batch.attributes.count
        for element in attributes.elements {
            let key = keyIndex(element.key)
            batch.attributes.append(record(key, element.value))
        }
        return RecordRange(start: UInt32(start), count: UInt32(batch.attributes.count - start))
    }

    private mutating func record(_ key: UInt32, _ value: AttributeValue) -> AttributeRecord {
        switch value {
        case .empty: AttributeRecord(key: key, kind: .empty, payload: 0)
        case .string(let text): AttributeRecord(key: key, kind: .string, slice: batch.append(text))
        case .bool(let flag): AttributeRecord(key: key, kind: .bool, payload: flag ? 1 : 0)
        case .int(let number): AttributeRecord(key: key, kind: .int, payload: UInt64(bitPattern: number))
        case .double(let number): AttributeRecord(key: key, kind: .double, payload: number.bitPattern)
        case .array(let values):
            AttributeRecord(
                key: key, kind: .array,
                slice: encoded { writer in
                    for value in values { writer.message(1) { $0.anyValue(value) } }
                })
        case .keyValueList(let list):
            AttributeRecord(key: key, kind: .keyValueList, slice: encoded { $0.attributes(1, list) })
        case .bytes(let data): AttributeRecord(key: key, kind: .bytes, slice: append(data))
        }
    }

    private mutating func keyIndex(_ key: String) -> UInt32 {
        if let index = keyIndices[ExactText(key)] { return index }
        let index = UInt32(batch.keys.count)
        batch.keys.append(batch.append(key))
        keyIndices[ExactText(key)] = index
        return index
    }

    private mutating func append(_ data: [UInt8]) -> ByteSlice {
        let offset = batch.bytes.count
        batch.bytes.append(contentsOf: data)
        return ByteSlice(WireRange(offset: offset, count: data.count))
    }

    /// Puts a message that `body` writes behind the bytes.
    private mutating func encoded(_ body: (inout WireWriter) -> Void) -> ByteSlice {
        var writer = WireWriter()
        body(&writer)
        return append(writer.bytes)
    }

    /// Over all that the span put behind the bytes, and its ids, times and numbers.
    private func contentHash(_ span: SpanRecord, from start: Int) -> UInt32 {
        var writer = WireWriter()
        for value in [
            span.parentSpanID.value, UInt64(bitPattern: span.startTimeUnixNano), UInt64(bitPattern: span.endTimeUnixNano),
        ] {
            writer.fixed64(1, value)
        }
        writer.varint(UInt64(span.flags))
        writer.varint(UInt64(UInt32(bitPattern: span.kind)) << 32 | UInt64(UInt32(bitPattern: span.statusCode)))
        for attribute in batch.attributes[span.attributes.indices] {
            writer.varint(UInt64(attribute.key))
            if !attribute.kind.isSlice { writer.varint(attribute.payload) }
        }
        let numbers = ByteHash.hash(writer.bytes.span.bytes, WireRange(offset: 0, count: writer.bytes.count))
        let range = WireRange(offset: start, count: batch.bytes.count - start)
        return UInt32(truncatingIfNeeded: ByteHash.hash(batch.bytes.span.bytes, range, seed: numbers))
    }
}

extension TraceID {
    /// The 16 bytes in the order of the wire.
    public var bytes: [UInt8] { SpanID(high).bytes + SpanID(low).bytes }
}

extension SpanID {
    /// The 8 bytes in the order of the wire.
    public var bytes: [UInt8] {
        stride(from: UInt64(56), through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
