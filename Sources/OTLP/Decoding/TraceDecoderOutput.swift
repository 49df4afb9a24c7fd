import TelemetryModel

/// The arrays of a batch while its request is being read. Field numbers are those of OTLP's trace.proto and common.proto.
struct TraceDecoderOutput {
    let limits: TraceDecoder.Limits
    private let bodyCount: Int
    private var keyTable = KeyTable()
    /// Keys whose text was mended, by index.
    private var repairedKeys: [UInt32: ByteSlice] = [:]
    /// Mended strings; their offsets begin behind the body.
    private var repairs: [UInt8] = []
    private var resources: [ResourceRecord] = []
    private var scopes: [ScopeRecord] = []
    private var spans: [SpanRecord] = []
    private var attributes: [AttributeRecord] = []
    private var events: [EventRecord] = []
    private var links: [ByteSlice] = []
    private var rejections = SpanRejections()
    /// Ranges of the current span's events; kept from span to span for their storage.
    private var eventRanges: [WireRange] = []

    init(limits: TraceDecoder.Limits, bodyCount: Int) {
        self.limits = limits
        self.bodyCount = bodyCount
        // Agents' spans take 300 to 3,000 bytes each, with a dozen attributes.
        spans.reserveCapacity(min(bodyCount / 400, 4096))
        attributes.reserveCapacity(min(bodyCount / 40, 65536))
    }

    consuming func batch(over body: [UInt8]) -> SpanBatch {
        var batch = SpanBatch(bytes: body)
        if !repairs.isEmpty { batch.bytes.append(contentsOf: repairs) }
        batch.keys = keyTable.keys
        for (index, slice) in repairedKeys { batch.keys[Int(index)] = slice }
        batch.resources = resources
        batch.scopes = scopes
        batch.spans = spans
        batch.attributes = attributes
        batch.events = events
        batch.links = links
        batch.rejections = rejections
        return batch
    }

    // MARK: ExportTraceServiceRequest, ResourceSpans, ScopeSpans

    mutating func request(_ bytes: RawSpan) throws(WireError) {
        var reader = WireReader(bytes)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try tag.expect(.lengthDelimited)
                try resourceSpans(bytes, reader.lengthDelimited())
            } else {
                try reader.skip(tag)
            }
        }
    }

    private mutating func resourceSpans(_ bytes: RawSpan, _ range: WireRange) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        let index = resources.count
        let spansBefore = spans.count
        resources.append(ResourceRecord())
        // Envelopes without spans leave nothing behind: a body of nothing else must not cost more than itself.
        defer { if spans.count == spansBefore { resources.removeLast() } }
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.lengthDelimited)
                try resource(bytes, reader.lengthDelimited(), index: index)
            case 2:
                try tag.expect(.lengthDelimited)
                try scopeSpans(bytes, reader.lengthDelimited(), resource: index)
            case 3:
                try tag.expect(.lengthDelimited)
                resources[index].schemaURL = text(bytes, try reader.lengthDelimited())
            default: try reader.skip(tag)
            }
        }
    }

    private mutating func resource(_ bytes: RawSpan, _ range: WireRange, index: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        let start = attributes.count
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try tag.expect(.lengthDelimited)
                try attribute(bytes, reader.lengthDelimited())
            } else {
                try reader.skip(tag)
            }
        }
        resources[index].encoded = ByteSlice(range)
        resources[index].attributes = RecordRange(start: UInt32(start), count: UInt32(attributes.count - start))
    }

    private mutating func scopeSpans(_ bytes: RawSpan, _ range: WireRange, resource: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        let index = scopes.count
        let spansBefore = spans.count
        scopes.append(ScopeRecord())
        defer { if spans.count == spansBefore { scopes.removeLast() } }
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.lengthDelimited)
                try scope(bytes, reader.lengthDelimited(), index: index)
            case 2:
                try tag.expect(.lengthDelimited)
                try span(bytes, reader.lengthDelimited(), resource: resource, scope: index)
            case 3:
                try tag.expect(.lengthDelimited)
                scopes[index].schemaURL = text(bytes, try reader.lengthDelimited())
            default: try reader.skip(tag)
            }
        }
    }

    private mutating func scope(_ bytes: RawSpan, _ range: WireRange, index: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        // Of a scope that comes twice the last one counts, whole, as what is kept encoded does.
        scopes[index].encoded = ByteSlice(range)
        scopes[index].name = .empty
        scopes[index].version = .empty
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.lengthDelimited)
                scopes[index].name = text(bytes, try reader.lengthDelimited())
            case 2:
                try tag.expect(.lengthDelimited)
                scopes[index].version = text(bytes, try reader.lengthDelimited())
            case 3:
                try tag.expect(.lengthDelimited)
                try AnyValueCheck.keyValue(bytes, reader.lengthDelimited(), depth: 0, limit: limits.valueDepthMax)
            case 4:
                try tag.expect(.varint)
                _ = try reader.varint()
            default: try reader.skip(tag)
            }
        }
    }

    // MARK: Span

    private mutating func span(_ bytes: RawSpan, _ range: WireRange, resource: Int, scope: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        var span = SpanRecord()
        var traceIDCount = 0
        var spanIDCount = 0
        var times: (start: UInt64, end: UInt64) = (0, 0)
        // What the client dropped; what we drop is counted in the span and added at the end.
        var reported: (attributes: UInt32, events: UInt32, links: UInt32) = (0, 0, 0)
        let attributesStart = attributes.count
        let linksStart = links.count
        eventRanges.removeAll(keepingCapacity: true)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.lengthDelimited)
                let id = try reader.lengthDelimited()
                traceIDCount = id.count
                if id.count == 16 { span.traceID = Self.traceID(bytes, id) }
            case 2:
                try tag.expect(.lengthDelimited)
                let id = try reader.lengthDelimited()
                spanIDCount = id.count
                if id.count == 8 { span.spanID = Self.spanID(bytes, id) }
            case 3:
                try tag.expect(.lengthDelimited)
                span.traceState = text(bytes, try reader.lengthDelimited())
            case 4:
                try tag.expect(.lengthDelimited)
                let id = try reader.lengthDelimited()
                span.parentSpanID = id.count == 8 ? Self.spanID(bytes, id) : SpanID(0)
            case 5:
                try tag.expect(.lengthDelimited)
                span.name = text(bytes, try reader.lengthDelimited())
            case 6:
                try tag.expect(.varint)
                span.kind = Int32(truncatingIfNeeded: try reader.varint())
            case 7:
                try tag.expect(.fixed64)
                times.start = try reader.fixed64()
            case 8:
                try tag.expect(.fixed64)
                times.end = try reader.fixed64()
            case 9:
                try tag.expect(.lengthDelimited)
                let value = try reader.lengthDelimited()
                if attributes.count &- attributesStart < limits.attributesPerSpanMax {
                    if try !attribute(bytes, value) { span.droppedAttributesCount &+= 1 }
                } else {
                    try AnyValueCheck.keyValue(bytes, value, depth: 0, limit: limits.valueDepthMax)
                    span.droppedAttributesCount &+= 1
                }
            case 10:
                try tag.expect(.varint)
                reported.attributes = UInt32(truncatingIfNeeded: try reader.varint())
            case 11:
                try tag.expect(.lengthDelimited)
                let value = try reader.lengthDelimited()
                if eventRanges.count < limits.eventsPerSpanMax {
                    eventRanges.append(value)
                } else {
                    _ = try event(bytes, value, isKept: false)
                    span.droppedEventsCount &+= 1
                }
            case 12:
                try tag.expect(.varint)
                reported.events = UInt32(truncatingIfNeeded: try reader.varint())
            case 13:
                try tag.expect(.lengthDelimited)
                if try !link(bytes, reader.lengthDelimited(), start: linksStart) { span.droppedLinksCount &+= 1 }
            case 14:
                try tag.expect(.varint)
                reported.links = UInt32(truncatingIfNeeded: try reader.varint())
            case 15:
                try tag.expect(.lengthDelimited)
                try status(bytes, reader.lengthDelimited(), of: &span)
            case 16:
                try tag.expect(.fixed32)
                span.flags = try reader.fixed32()
            default: try reader.skip(tag)
            }
        }
        span.attributes = RecordRange(start: UInt32(attributesStart), count: UInt32(attributes.count - attributesStart))
        let eventsStart = events.count
        for eventRange in eventRanges {
            if try !event(bytes, eventRange, isKept: events.count < limits.eventsMax) { span.droppedEventsCount &+= 1 }
        }
        span.droppedAttributesCount = Self.sum(span.droppedAttributesCount, reported.attributes)
        span.droppedEventsCount = Self.sum(span.droppedEventsCount, reported.events)
        span.droppedLinksCount = Self.sum(span.droppedLinksCount, reported.links)
        span.events = RecordRange(start: UInt32(eventsStart), count: UInt32(events.count - eventsStart))
        span.links = RecordRange(start: UInt32(linksStart), count: UInt32(links.count - linksStart))

        let idsAreValid = traceIDCount == 16 && spanIDCount == 8 && span.traceID.isValid && span.spanID.isValid
        let timesFit = times.start <= UInt64(Int64.max) && times.end <= UInt64(Int64.max)
        guard idsAreValid, timesFit else {
            if idsAreValid { rejections.timesOutOfRange += 1 } else { rejections.invalidIDs += 1 }
            attributes.removeSubrange(attributesStart...)
            events.removeSubrange(eventsStart...)
            links.removeSubrange(linksStart...)
            return
        }
        // A span that names itself as its parent would make a cycle in every tree drawn of it.
        if span.parentSpanID == span.spanID { span.parentSpanID = SpanID(0) }
        span.startTimeUnixNano = Int64(times.start)
        span.endTimeUnixNano = Int64(times.end)
        span.resource = UInt32(resource)
        span.scope = UInt32(scope)
        span.contentHash = UInt32(truncatingIfNeeded: ByteHash.hash(bytes, range))
        spans.append(span)
    }

    private mutating func status(_ bytes: RawSpan, _ range: WireRange, of span: inout SpanRecord) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 2:
                try tag.expect(.lengthDelimited)
                span.statusMessage = text(bytes, try reader.lengthDelimited())
            case 3:
                try tag.expect(.varint)
                span.statusCode = Int32(truncatingIfNeeded: try reader.varint())
            default: try reader.skip(tag)
            }
        }
    }

    /// The sum, or the largest count when it is larger.
    private static func sum(_ left: UInt32, _ right: UInt32) -> UInt32 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }

    /// Reads an event; `false` when it was left out, because it is past a limit or not to be kept.
    private mutating func event(_ bytes: RawSpan, _ range: WireRange, isKept: Bool) throws(WireError) -> Bool {
        var reader = WireReader(bytes, range: range)
        var event = EventRecord()
        event.encoded = ByteSlice(range)
        let attributesStart = attributes.count
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.fixed64)
                event.timeUnixNano = Int64(clamping: try reader.fixed64())
            case 2:
                try tag.expect(.lengthDelimited)
                event.name = text(bytes, try reader.lengthDelimited())
            case 3:
                try tag.expect(.lengthDelimited)
                try attribute(bytes, reader.lengthDelimited())
            case 4:
                try tag.expect(.varint)
                _ = try reader.varint()
            default: try reader.skip(tag)
            }
        }
        guard isKept, range.count <= limits.valueBytesMax else {
            attributes.removeSubrange(attributesStart...)
            return false
        }
        event.attributes = RecordRange(start: UInt32(attributesStart), count: UInt32(attributes.count - attributesStart))
        events.append(event)
        return true
    }

    /// Keeps a link's bytes; `false` when its ids are no ids or it is past a limit.
    private mutating func link(_ bytes: RawSpan, _ range: WireRange, start: Int) throws(WireError) -> Bool {
        var reader = WireReader(bytes, range: range)
        var traceIDCount = 0
        var spanIDCount = 0
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.lengthDelimited)
                traceIDCount = try reader.lengthDelimited().count
            case 2:
                try tag.expect(.lengthDelimited)
                spanIDCount = try reader.lengthDelimited().count
            case 3:
                try tag.expect(.lengthDelimited)
                _ = try reader.lengthDelimited()
            case 4:
                try tag.expect(.lengthDelimited)
                try AnyValueCheck.keyValue(bytes, reader.lengthDelimited(), depth: 0, limit: limits.valueDepthMax)
            case 5:
                try tag.expect(.varint)
                _ = try reader.varint()
            case 6:
                try tag.expect(.fixed32)
                _ = try reader.fixed32()
            default: try reader.skip(tag)
            }
        }
        guard traceIDCount == 16, spanIDCount == 8, range.count <= limits.valueBytesMax,
            links.count - start < limits.linksPerSpanMax
        else { return false }
        links.append(ByteSlice(range))
        return true
    }

    // MARK: KeyValue, AnyValue, strings

    /// Appends a `KeyValue`; `false` when its value is past a limit and was left out.
    @discardableResult
    private mutating func attribute(_ bytes: RawSpan, _ range: WireRange) throws(WireError) -> Bool {
        var reader = WireReader(bytes, range: range)
        var keyRange = WireRange(offset: range.offset, count: 0)
        var valueRange: WireRange?
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.lengthDelimited)
                keyRange = try reader.lengthDelimited()
            case 2:
                try tag.expect(.lengthDelimited)
                valueRange = try reader.lengthDelimited()
            case 3:
                try tag.expect(.varint)  // key_strindex, of profiles only
                _ = try reader.varint()
            default: try reader.skip(tag)
            }
        }
        var record = AttributeRecord(key: 0, kind: .empty, payload: 0)
        if let valueRange { try value(bytes, valueRange, into: &record) }
        guard attributes.count < limits.attributesMax else { return false }
        if record.kind.rawValue >= AttributeKind.array.rawValue, Int(record.slice.count) > limits.valueBytesMax { return false }
        record.key = key(bytes, keyRange)
        attributes.append(record)
        return true
    }

    @inline(__always)
    private mutating func key(_ bytes: RawSpan, _ range: WireRange) -> UInt32 {
        let (index, isNew) = keyTable.index(of: range, in: bytes)
        if isNew {
            let slice = text(bytes, range)
            if slice != ByteSlice(range) { repairedKeys[index] = slice }
        }
        return index
    }

    private mutating func value(_ bytes: RawSpan, _ range: WireRange, into record: inout AttributeRecord) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.lengthDelimited)
                record = AttributeRecord(key: 0, kind: .string, slice: text(bytes, try reader.lengthDelimited()))
            case 2:
                try tag.expect(.varint)
                record = AttributeRecord(key: 0, kind: .bool, payload: try reader.varint() != 0 ? 1 : 0)
            case 3:
                try tag.expect(.varint)
                record = AttributeRecord(key: 0, kind: .int, payload: try reader.varint())
            case 4:
                try tag.expect(.fixed64)
                record = AttributeRecord(key: 0, kind: .double, payload: try reader.fixed64())
            case 5:
                try tag.expect(.lengthDelimited)
                let nested = try reader.lengthDelimited()
                try AnyValueCheck.array(bytes, nested, depth: 1, limit: limits.valueDepthMax)
                record = AttributeRecord(key: 0, kind: .array, slice: ByteSlice(nested))
            case 6:
                try tag.expect(.lengthDelimited)
                let nested = try reader.lengthDelimited()
                try AnyValueCheck.keyValueList(bytes, nested, depth: 1, limit: limits.valueDepthMax)
                record = AttributeRecord(key: 0, kind: .keyValueList, slice: ByteSlice(nested))
            case 7:
                try tag.expect(.lengthDelimited)
                record = AttributeRecord(key: 0, kind: .bytes, slice: ByteSlice(try reader.lengthDelimited()))
            case 8:
                try tag.expect(.varint)  // string_value_strindex points into a table that only profiles have
                _ = try reader.varint()
                record = AttributeRecord(key: 0, kind: .empty, payload: 0)
            default: try reader.skip(tag)
            }
        }
    }

    /// The slice of a string: its own bytes when they are UTF-8, mended ones behind the body when not; cut at the limit.
    @inline(__always)
    private mutating func text(_ bytes: RawSpan, _ range: WireRange) -> ByteSlice {
        if UTF8Repair.isValid(bytes, range) && range.count <= limits.valueBytesMax { return ByteSlice(range) }
        return mendedText(bytes, range)
    }

    private mutating func mendedText(_ bytes: RawSpan, _ range: WireRange) -> ByteSlice {
        let cut = WireRange(
            offset: range.offset, count: UTF8Repair.scalarBoundary(bytes, range, limit: limits.valueBytesMax))
        if UTF8Repair.isValid(bytes, cut) { return ByteSlice(cut) }
        let repaired = UTF8Repair.repaired(bytes, cut)
        let slice = ByteSlice(WireRange(offset: bodyCount + repairs.count, count: repaired.count))
        repairs.append(contentsOf: repaired)
        return slice
    }

    private static func traceID(_ bytes: RawSpan, _ range: WireRange) -> TraceID {
        TraceID(
            high: UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: range.offset, as: UInt64.self)),
            low: UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: range.offset + 8, as: UInt64.self)))
    }

    private static func spanID(_ bytes: RawSpan, _ range: WireRange) -> SpanID {
        SpanID(UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: range.offset, as: UInt64.self)))
    }
}
