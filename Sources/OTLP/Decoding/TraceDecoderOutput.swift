import TelemetryModel

/// The arrays of a batch while its request is being read. Field numbers are those of OTLP's trace.proto and common.proto.
struct TraceDecoderOutput: ~Copyable {
    let limits: TraceDecoder.Limits
    private let bodyCount: Int
    private var keyTable: KeyTable
    /// Keys whose text was mended, by index.
    private var repairedKeys: [UInt32: ByteSlice] = [:]
    /// Mended strings; their offsets begin behind the body.
    private var repairs: [UInt8] = []
    private var resources: [ResourceRecord] = []
    private var scopes: [ScopeRecord] = []
    private var spans: RecordBuffer<SpanRecord>
    private var attributes: RecordBuffer<AttributeRecord>
    private var events = RecordBuffer<EventRecord>()
    private var links: [ByteSlice] = []
    private var rejections = SpanRejections()
    /// By key, the last span that has it (its number in the upper half) and the attribute's place in `attributes`.
    private var places = RecordBuffer<UInt64>()
    private var spanNumber: UInt64 = 0
    /// Ranges of the current span's events; kept from span to span for their storage.
    private var eventRanges: [WireRange] = []

    init(limits: TraceDecoder.Limits, bodyCount: Int) {
        self.limits = limits
        self.bodyCount = bodyCount
        keyTable = KeyTable(keysMax: limits.keysMax)
        // Agents' spans take 300 to 3,000 bytes each, with a dozen attributes.
        spans = RecordBuffer(capacity: min(bodyCount / 300, 4096))
        attributes = RecordBuffer(capacity: min(bodyCount / 30, 65536))
    }

    consuming func batch(over body: [UInt8]) -> SpanBatch {
        var batch = SpanBatch(bytes: body)
        if !repairs.isEmpty { batch.bytes.append(contentsOf: repairs) }
        batch.keys = keyTable.keys.array()
        for (index, slice) in repairedKeys { batch.keys[Int(index)] = slice }
        batch.resources = resources
        batch.scopes = scopes
        batch.spans = spans.array()
        batch.attributes = attributes.array()
        batch.events = events.array()
        batch.links = links
        batch.rejections = rejections
        return batch
    }

    // MARK: ExportTraceServiceRequest, ResourceSpans, ScopeSpans

    mutating func request(_ bytes: RawSpan) throws(WireError) {
        var reader = WireReader(bytes)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try resourceSpans(bytes, reader.lengthDelimited(tag))
            } else {
                try reader.skip(tag)
            }
        }
    }

    private mutating func resourceSpans(_ bytes: RawSpan, _ range: WireRange) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        let index = resources.count
        let spansBefore = spans.count
        let attributesStart = attributes.count
        resources.append(ResourceRecord())
        // Envelopes without spans leave nothing behind: a body of nothing else must not cost more than itself.
        defer {
            if spans.count == spansBefore {
                resources.removeLast()
                attributes.truncate(to: attributesStart)
            }
        }
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try resource(bytes, reader.lengthDelimited(tag), index: index)
            case 2:
                try scopeSpans(bytes, reader.lengthDelimited(tag), resource: index)
            case 3: resources[index].schemaURL = text(bytes, try reader.lengthDelimited(tag))
            default: try reader.skip(tag)
            }
        }
    }

    private mutating func resource(_ bytes: RawSpan, _ range: WireRange, index: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        let start = attributes.count
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try attribute(bytes, reader.lengthDelimited(tag))
            } else {
                try ResourceCheck.field(bytes, tag, &reader)
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
                try scope(bytes, reader.lengthDelimited(tag), index: index)
            case 2:
                try span(bytes, reader.lengthDelimited(tag), resource: resource, scope: index)
            case 3: scopes[index].schemaURL = text(bytes, try reader.lengthDelimited(tag))
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
                scopes[index].name = text(bytes, try reader.lengthDelimited(tag))
            case 2:
                scopes[index].version = text(bytes, try reader.lengthDelimited(tag))
            case 3: try AnyValueCheck.keyValue(bytes, reader.lengthDelimited(tag), depth: 0, limit: limits.valueDepthMax)
            case 4:
                _ = try reader.varint(tag)
            default: try reader.skip(tag)
            }
        }
    }

    // MARK: Span

    /// Field 9 of `Span`, length-delimited.
    private static let attributeTag: UInt8 = 9 << 3 | 2

    private mutating func span(_ bytes: RawSpan, _ range: WireRange, resource: Int, scope: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        var span = SpanRecord()
        var idCounts = (trace: 0, span: 0)
        var times: (start: UInt64, end: UInt64) = (0, 0)
        // What the client dropped; what we drop is counted in the span and added at the end.
        var reported: (attributes: UInt32, events: UInt32, links: UInt32) = (0, 0, 0)
        let attributesStart = attributes.count
        let linksStart = links.count
        spanNumber &+= 1
        eventRanges.removeAll(keepingCapacity: true)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                let id = try reader.lengthDelimited(tag)
                idCounts.trace = id.count
                if id.count == 16 { span.traceID = Self.traceID(bytes, id) }
            case 2:
                let id = try reader.lengthDelimited(tag)
                idCounts.span = id.count
                if id.count == 8 { span.spanID = Self.spanID(bytes, id) }
            case 3: span.traceState = text(bytes, try reader.lengthDelimited(tag))
            case 4:
                let id = try reader.lengthDelimited(tag)
                span.parentSpanID = id.count == 8 ? Self.spanID(bytes, id) : SpanID(0)
            case 5: span.name = text(bytes, try reader.lengthDelimited(tag))
            case 6: span.kind = Int32(truncatingIfNeeded: try reader.varint(tag))
            case 7: times.start = try reader.fixed64(tag)
            case 8: times.end = try reader.fixed64(tag)
            case 9:
                // Most fields of a span are attributes, and follow each other.
                var value = try reader.lengthDelimited(tag)
                repeat {
                    if try !spanAttribute(bytes, value, start: attributesStart) { span.droppedAttributesCount &+= 1 }
                } while try reader.take(Self.attributeTag, into: &value)
            case 10: reported.attributes = UInt32(truncatingIfNeeded: try reader.varint(tag))
            case 11:
                if try !noteEvent(bytes, reader.lengthDelimited(tag)) { span.droppedEventsCount &+= 1 }
            case 12: reported.events = UInt32(truncatingIfNeeded: try reader.varint(tag))
            case 13:
                if try !link(bytes, reader.lengthDelimited(tag), start: linksStart) { span.droppedLinksCount &+= 1 }
            case 14: reported.links = UInt32(truncatingIfNeeded: try reader.varint(tag))
            case 15: try status(bytes, reader.lengthDelimited(tag), of: &span)
            case 16: span.flags = try reader.fixed32(tag)
            default: try reader.skip(tag)
            }
        }
        span.attributes = RecordRange(start: UInt32(attributesStart), count: UInt32(attributes.count - attributesStart))
        let eventsStart = events.count
        try keepEvents(bytes, of: &span)
        span.events = RecordRange(start: UInt32(eventsStart), count: UInt32(events.count - eventsStart))
        span.links = RecordRange(start: UInt32(linksStart), count: UInt32(links.count - linksStart))
        let hasIDs = idCounts == (16, 8) && span.traceID.isValid && span.spanID.isValid
        guard takes(times, hasIDs: hasIDs) else {
            forget(attributes: attributesStart, events: eventsStart, links: linksStart)
            return
        }
        // A span that names itself as its parent would make a cycle in every tree drawn of it.
        if span.parentSpanID == span.spanID { span.parentSpanID = SpanID(0) }
        span.startTimeUnixNano = Int64(times.start)
        span.endTimeUnixNano = Int64(times.end)
        span.resource = UInt32(resource)
        span.scope = UInt32(scope)
        Self.add(reported, to: &span)
        span.contentHash = UInt32(truncatingIfNeeded: ByteHash.hash(bytes, range))
        spans.append(span)
    }

    /// Drops what a span that cannot be kept has appended.
    private mutating func forget(attributes attributesStart: Int, events eventsStart: Int, links linksStart: Int) {
        attributes.truncate(to: attributesStart)
        events.truncate(to: eventsStart)
        links.removeSubrange(linksStart...)
    }

    /// Remembers an event of the current span; `false` when it is past the limit, and then it was only checked.
    private mutating func noteEvent(_ bytes: RawSpan, _ range: WireRange) throws(WireError) -> Bool {
        if eventRanges.count < limits.eventsPerSpanMax {
            eventRanges.append(range)
            return true
        }
        return try event(bytes, range, isKept: false)
    }

    private mutating func keepEvents(_ bytes: RawSpan, of span: inout SpanRecord) throws(WireError) {
        for range in eventRanges {
            if try !event(bytes, range, isKept: events.count < limits.eventsMax) { span.droppedEventsCount &+= 1 }
        }
    }

    private static func add(_ reported: (attributes: UInt32, events: UInt32, links: UInt32), to span: inout SpanRecord) {
        span.droppedAttributesCount = sum(span.droppedAttributesCount, reported.attributes)
        span.droppedEventsCount = sum(span.droppedEventsCount, reported.events)
        span.droppedLinksCount = sum(span.droppedLinksCount, reported.links)
    }

    /// Reads an attribute of the current span; `false` when one was left out: past a limit, or of a key that came before.
    @inline(__always)
    private mutating func spanAttribute(_ bytes: RawSpan, _ range: WireRange, start: Int) throws(WireError) -> Bool {
        if attributes.count &- start < limits.attributesPerSpanMax {
            guard try attribute(bytes, range) else { return false }
            return isNewToSpan()
        }
        try AnyValueCheck.keyValue(bytes, range, depth: 0, limit: limits.valueDepthMax)
        return false
    }

    /// Whether the current span had no attribute with the key of the last one. Else the last one takes the other's place: a column
    /// holds one value a span.
    @inline(__always)
    private mutating func isNewToSpan() -> Bool {
        let last = attributes.count &- 1
        let key = Int(attributes[last].key)
        let place = places[key]
        if place &>> 32 != spanNumber {
            places[key] = spanNumber &<< 32 | UInt64(truncatingIfNeeded: last)
            return true
        }
        attributes[Int(place & 0xFFFF_FFFF)] = attributes[last]
        attributes.truncate(to: last)
        return false
    }

    /// Whether the span is one that can be kept; counts it when not.
    private mutating func takes(_ times: (start: UInt64, end: UInt64), hasIDs: Bool) -> Bool {
        if !hasIDs {
            rejections.invalidIDs += 1
            return false
        }
        if times.start > UInt64(Int64.max) || times.end > UInt64(Int64.max) {
            rejections.timesOutOfRange += 1
            return false
        }
        return true
    }

    private mutating func status(_ bytes: RawSpan, _ range: WireRange, of span: inout SpanRecord) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 2:
                span.statusMessage = text(bytes, try reader.lengthDelimited(tag))
            case 3: span.statusCode = Int32(truncatingIfNeeded: try reader.varint(tag))
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
                event.timeUnixNano = Int64(clamping: try reader.fixed64(tag))
            case 2:
                event.name = text(bytes, try reader.lengthDelimited(tag))
            case 3: try attribute(bytes, reader.lengthDelimited(tag))
            case 4:
                _ = try reader.varint(tag)
            default: try reader.skip(tag)
            }
        }
        guard isKept, range.count <= limits.valueBytesMax else {
            attributes.truncate(to: attributesStart)
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
                traceIDCount = try reader.lengthDelimited(tag).count
            case 2:
                spanIDCount = try reader.lengthDelimited(tag).count
            case 3: _ = try reader.lengthDelimited(tag)
            case 4:
                try AnyValueCheck.keyValue(bytes, reader.lengthDelimited(tag), depth: 0, limit: limits.valueDepthMax)
            case 5: _ = try reader.varint(tag)
            case 6: _ = try reader.fixed32(tag)
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
    @inline(__always)
    private mutating func attribute(_ bytes: RawSpan, _ range: WireRange) throws(WireError) -> Bool {
        guard attributes.count < limits.attributesMax, let plain = PlainAttribute(bytes, range) else {
            return try unusualAttribute(bytes, range)
        }
        var record = plain.record
        if record.kind == .string {
            record = AttributeRecord(key: 0, kind: .string, slice: text(bytes, record.slice.range))
        }
        record.key = try key(bytes, plain.key)
        attributes.append(record)
        return true
    }

    private mutating func unusualAttribute(_ bytes: RawSpan, _ range: WireRange) throws(WireError) -> Bool {
        var reader = WireReader(bytes, range: range)
        var keyRange = WireRange(offset: range.offset, count: 0)
        var valueRange: WireRange?
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                keyRange = try reader.lengthDelimited(tag)
            case 2:
                // Of values that come twice the last one counts; what goes before it must be readable all the same.
                if let valueRange { try AnyValueCheck.value(bytes, valueRange, depth: 0, limit: limits.valueDepthMax) }
                valueRange = try reader.lengthDelimited(tag)
            case 3: _ = try reader.varint(tag)  // key_strindex, of profiles only
            default: try reader.skip(tag)
            }
        }
        var record = AttributeRecord(key: 0, kind: .empty, payload: 0)
        if let valueRange { try value(bytes, valueRange, into: &record) }
        guard attributes.count < limits.attributesMax else { return false }
        if record.kind.rawValue >= AttributeKind.array.rawValue, Int(record.slice.count) > limits.valueBytesMax { return false }
        record.key = try key(bytes, keyRange)
        attributes.append(record)
        return true
    }

    @inline(__always)
    private mutating func key(_ bytes: RawSpan, _ range: WireRange) throws(WireError) -> UInt32 {
        let (index, isNew) = try keyTable.index(of: range, in: bytes)
        if isNew {
            places.append(0)
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
                record = AttributeRecord(key: 0, kind: .string, slice: text(bytes, try reader.lengthDelimited(tag)))
            case 2:
                record = AttributeRecord(key: 0, kind: .bool, payload: try reader.varint(tag) != 0 ? 1 : 0)
            case 3: record = AttributeRecord(key: 0, kind: .int, payload: try reader.varint(tag))
            case 4:
                record = AttributeRecord(key: 0, kind: .double, payload: try reader.fixed64(tag))
            case 5:
                let nested = try reader.lengthDelimited(tag)
                try AnyValueCheck.array(bytes, nested, depth: 1, limit: limits.valueDepthMax)
                record = AttributeRecord(key: 0, kind: .array, slice: ByteSlice(nested))
            case 6:
                let nested = try reader.lengthDelimited(tag)
                try AnyValueCheck.keyValueList(bytes, nested, depth: 1, limit: limits.valueDepthMax)
                record = AttributeRecord(key: 0, kind: .keyValueList, slice: ByteSlice(nested))
            case 7: record = AttributeRecord(key: 0, kind: .bytes, slice: ByteSlice(try reader.lengthDelimited(tag)))
            case 8:
                _ = try reader.varint(tag)  // string_value_strindex points into a table that only profiles have
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
