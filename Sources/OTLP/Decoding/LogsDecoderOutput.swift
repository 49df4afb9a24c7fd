import TelemetryModel

/// The arrays of a batch while its request is being read. Field numbers are those of OTLP's logs.proto and common.proto.
struct LogsDecoderOutput: ~Copyable {
    let limits: LogsDecoder.Limits
    private let bodyCount: Int
    /// Mended strings; their offsets begin behind the body.
    private var repairs: [UInt8] = []
    private var resources: [ResourceRecord] = []
    private var scopes: [ScopeRecord] = []
    private var records: [LogRecord] = []
    private var attributes: [ByteSlice] = []
    private var rejections = LogRejections()

    init(limits: LogsDecoder.Limits, bodyCount: Int) {
        self.limits = limits
        self.bodyCount = bodyCount
    }

    consuming func batch(over body: [UInt8]) -> LogBatch {
        var batch = LogBatch(bytes: body)
        if !repairs.isEmpty { batch.bytes.append(contentsOf: repairs) }
        batch.resources = resources
        batch.scopes = scopes
        batch.records = records
        batch.attributes = attributes
        batch.rejections = rejections
        return batch
    }

    // MARK: ExportLogsServiceRequest, ResourceLogs, ScopeLogs

    mutating func request(_ bytes: RawSpan) throws(WireError) {
        var reader = WireReader(bytes)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try resourceLogs(bytes, reader.lengthDelimited(tag))
            } else {
                try reader.skip(tag)
            }
        }
    }

    private mutating func resourceLogs(_ bytes: RawSpan, _ range: WireRange) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        let index = resources.count
        let recordsBefore = records.count
        resources.append(ResourceRecord())
        // Envelopes without records leave nothing behind: a body of nothing else must not cost more than itself.
        defer { if records.count == recordsBefore { resources.removeLast() } }
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                let resource = try reader.lengthDelimited(tag)
                try ResourceCheck.resource(bytes, resource, valueDepthMax: limits.valueDepthMax)
                resources[index].encoded = ByteSlice(resource)
            case 2: try scopeLogs(bytes, reader.lengthDelimited(tag), resource: index)
            case 3: resources[index].schemaURL = text(bytes, try reader.lengthDelimited(tag))
            default: try reader.skip(tag)
            }
        }
    }

    private mutating func scopeLogs(_ bytes: RawSpan, _ range: WireRange, resource: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        let index = scopes.count
        let recordsBefore = records.count
        scopes.append(ScopeRecord())
        defer { if records.count == recordsBefore { scopes.removeLast() } }
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try scope(bytes, reader.lengthDelimited(tag), index: index)
            case 2: try record(bytes, reader.lengthDelimited(tag), resource: resource, scope: index)
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
            case 1: scopes[index].name = text(bytes, try reader.lengthDelimited(tag))
            case 2: scopes[index].version = text(bytes, try reader.lengthDelimited(tag))
            case 3: try AnyValueCheck.keyValue(bytes, reader.lengthDelimited(tag), depth: 0, limit: limits.valueDepthMax)
            case 4: _ = try reader.varint(tag)
            default: try reader.skip(tag)
            }
        }
    }

    // MARK: LogRecord

    /// Why a record that reads well is not kept.
    private enum Fault { case timeOutOfRange, tooDeep, tooLarge, tooMany }

    private mutating func record(_ bytes: RawSpan, _ range: WireRange, resource: Int, scope: Int) throws(WireError) {
        var record = LogRecord()
        let attributesStart = attributes.count
        var fault: Fault? = records.count < limits.recordsMax ? nil : .tooMany
        do throws(WireError) {
            try fields(bytes, range, of: &record, &fault)
        } catch .tooDeep {
            fault = .tooDeep
        } catch {
            throw error
        }
        if let fault {
            attributes.removeSubrange(attributesStart...)
            return reject(fault)
        }
        if record.eventName.isEmpty { record.eventName = try eventName(bytes, attributes[attributesStart...]) }
        record.attributes = RecordRange(start: UInt32(attributesStart), count: UInt32(attributes.count - attributesStart))
        record.resource = UInt32(resource)
        record.scope = UInt32(scope)
        records.append(record)
    }

    private mutating func reject(_ fault: Fault) {
        switch fault {
        case .timeOutOfRange: rejections.timesOutOfRange += 1
        case .tooDeep: rejections.tooDeep += 1
        case .tooLarge: rejections.tooLarge += 1
        case .tooMany: rejections.tooMany += 1
        }
    }

    private mutating func fields(
        _ bytes: RawSpan, _ range: WireRange, of record: inout LogRecord, _ fault: inout Fault?
    ) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        // What the client dropped; what we drop is counted in the record and added at the end.
        var reported: UInt32 = 0
        let attributesStart = attributes.count
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: record.timeUnixNano = Self.time(try reader.fixed64(tag), &fault)
            case 2: record.severityNumber = Int32(truncatingIfNeeded: try reader.varint(tag))
            case 3: record.severityText = text(bytes, try reader.lengthDelimited(tag))
            case 5: try body(bytes, reader.lengthDelimited(tag), of: &record, &fault)
            case 6:
                if try !attribute(bytes, reader.lengthDelimited(tag), start: attributesStart) {
                    record.droppedAttributesCount &+= 1
                }
            case 7: reported = UInt32(truncatingIfNeeded: try reader.varint(tag))
            case 8: record.flags = try reader.fixed32(tag)
            case 9:
                let id = try reader.lengthDelimited(tag)
                record.traceID = id.count == 16 ? Self.traceID(bytes, id) : TraceID(high: 0, low: 0)
            case 10:
                let id = try reader.lengthDelimited(tag)
                record.spanID = SpanID(id.count == 8 ? Self.word(bytes, id.offset) : 0)
            case 11: record.observedTimeUnixNano = Self.time(try reader.fixed64(tag), &fault)
            case 12: record.eventName = text(bytes, try reader.lengthDelimited(tag))
            default: try reader.skip(tag)
            }
        }
        let (sum, overflow) = record.droppedAttributesCount.addingReportingOverflow(reported)
        record.droppedAttributesCount = overflow ? .max : sum
        // A span id alone names no span.
        if !record.traceID.isValid { record.spanID = SpanID(0) }
    }

    private static func time(_ value: UInt64, _ fault: inout Fault?) -> Int64 {
        guard let time = Int64(exactly: value) else {
            fault = .timeOutOfRange
            return 0
        }
        return time
    }

    private mutating func body(
        _ bytes: RawSpan, _ range: WireRange, of record: inout LogRecord, _ fault: inout Fault?
    ) throws(WireError) {
        try AnyValueCheck.value(bytes, range, depth: 0, limit: limits.valueDepthMax)
        record.body = try WireAttribute.value(bytes, range)
        if record.body.kind == .string {
            record.body = AttributeRecord(key: 0, kind: .string, slice: text(bytes, record.body.slice.range))
        } else if record.body.kind.isSlice, Int(record.body.slice.count) > limits.valueBytesMax {
            fault = .tooLarge
        }
    }

    /// Keeps an attribute; `false` when it is past a limit and was left out.
    private mutating func attribute(_ bytes: RawSpan, _ range: WireRange, start: Int) throws(WireError) -> Bool {
        try AnyValueCheck.keyValue(bytes, range, depth: 0, limit: limits.valueDepthMax)
        guard attributes.count - start < limits.attributesPerRecordMax, attributes.count < limits.attributesMax,
            range.count <= limits.valueBytesMax
        else { return false }
        attributes.append(ByteSlice(range))
        return true
    }

    /// The attribute `event.name`, which names the event for clients that do not know the field.
    private mutating func eventName(_ bytes: RawSpan, _ attributes: ArraySlice<ByteSlice>) throws(WireError) -> ByteSlice {
        let key = WireRange(offset: 0, count: Self.eventNameKey.count)
        for slice in attributes.reversed() where Int(slice.count) > key.count {
            let attribute = try WireAttribute(bytes, slice.range)
            guard attribute.value.kind == .string, attribute.key.count == key.count,
                RawSpanComparison.areEqual(bytes, attribute.key, Self.eventNameKey.span.bytes, key)
            else { continue }
            return text(bytes, attribute.value.slice.range)
        }
        return .empty
    }

    private static let eventNameKey = Array("event.name".utf8)

    // MARK: Values

    /// The slice of a string: its own bytes when they are UTF-8, mended ones behind the body when not; cut at the limit.
    private mutating func text(_ bytes: RawSpan, _ range: WireRange) -> ByteSlice {
        let cut = WireRange(offset: range.offset, count: UTF8Repair.scalarBoundary(bytes, range, limit: limits.valueBytesMax))
        if UTF8Repair.isValid(bytes, cut) { return ByteSlice(cut) }
        let repaired = UTF8Repair.repaired(bytes, cut)
        let slice = ByteSlice(WireRange(offset: bodyCount + repairs.count, count: repaired.count))
        repairs.append(contentsOf: repaired)
        return slice
    }

    private static func traceID(_ bytes: RawSpan, _ range: WireRange) -> TraceID {
        TraceID(high: word(bytes, range.offset), low: word(bytes, range.offset + 8))
    }

    private static func word(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
        UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
