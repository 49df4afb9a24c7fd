package import TelemetryModel

/// The request of a log export: the reverse of `LogsDecoder`.
package enum LogsRequestMessage {
    /// The batch as an encoded `ExportLogsServiceRequest`, which decodes to an equal batch. Records that follow each other in one resource
    /// and scope share their envelopes.
    package static func encode(_ batch: LogBatch) -> [UInt8] {
        var writer = NestedWireWriter()
        var start = 0
        while start < batch.records.count {
            let resource = batch.records[start].resource
            let end = batch.records[start...].firstIndex { $0.resource != resource } ?? batch.records.count
            writer.beginMessage(1)
            append(batch.resources[Int(resource)], of: batch, to: &writer)
            appendScopes(start..<end, of: batch, to: &writer)
            writer.endMessage()
            start = end
        }
        return writer.finish()
    }

    private static func append(_ resource: ResourceRecord, of batch: LogBatch, to writer: inout NestedWireWriter) {
        if !resource.encoded.isEmpty { writer.lengthDelimited(1, batch.bytes(resource.encoded)) }
        if !resource.schemaURL.isEmpty { writer.lengthDelimited(3, batch.bytes(resource.schemaURL)) }
    }

    private static func appendScopes(_ records: Range<Int>, of batch: LogBatch, to writer: inout NestedWireWriter) {
        var start = records.lowerBound
        while start < records.upperBound {
            let scope = batch.records[start].scope
            let end = batch.records[start..<records.upperBound].firstIndex { $0.scope != scope } ?? records.upperBound
            let record = batch.scopes[Int(scope)]
            writer.beginMessage(2)
            if !record.encoded.isEmpty { writer.lengthDelimited(1, batch.bytes(record.encoded)) }
            for index in start..<end {
                writer.beginMessage(2)
                append(batch.records[index], of: batch, to: &writer)
                writer.endMessage()
            }
            if !record.schemaURL.isEmpty { writer.lengthDelimited(3, batch.bytes(record.schemaURL)) }
            writer.endMessage()
            start = end
        }
    }

    private static func append(_ record: LogRecord, of batch: LogBatch, to writer: inout NestedWireWriter) {
        appendTime(1, record.timeUnixNano, to: &writer)
        if record.severityNumber != 0 {
            writer.tag(2, .varint)
            writer.varint(UInt64(bitPattern: Int64(record.severityNumber)))
        }
        if !record.severityText.isEmpty { writer.lengthDelimited(3, batch.bytes(record.severityText)) }
        if record.body.kind != .empty {
            writer.beginMessage(5)
            appendValue(record.body, of: batch, to: &writer)
            writer.endMessage()
        }
        for attribute in batch.attributes[record.attributes.indices] { writer.lengthDelimited(6, batch.bytes(attribute)) }
        if record.droppedAttributesCount != 0 {
            writer.tag(7, .varint)
            writer.varint(UInt64(record.droppedAttributesCount))
        }
        if record.flags != 0 {
            writer.tag(8, .fixed32)
            writer.fixed32(record.flags)
        }
        if record.traceID.isValid { writer.lengthDelimited(9, record.traceID.bytes) }
        if record.spanID.isValid { writer.lengthDelimited(10, record.spanID.bytes) }
        appendTime(11, record.observedTimeUnixNano, to: &writer)
        if !record.eventName.isEmpty { writer.lengthDelimited(12, batch.bytes(record.eventName)) }
    }

    private static func appendTime(_ field: Int, _ unixNano: Int64, to writer: inout NestedWireWriter) {
        guard unixNano != 0 else { return }
        writer.tag(field, .fixed64)
        writer.fixed64(UInt64(bitPattern: unixNano))
    }

    private static func appendValue(_ value: AttributeRecord, of batch: LogBatch, to writer: inout NestedWireWriter) {
        switch value.kind {
        case .empty: break
        case .string: writer.lengthDelimited(1, batch.bytes(value.slice))
        case .bool:
            writer.tag(2, .varint)
            writer.varint(value.bool ? 1 : 0)
        case .int:
            writer.tag(3, .varint)
            writer.varint(UInt64(bitPattern: value.int))
        case .double:
            writer.tag(4, .fixed64)
            writer.fixed64(value.double.bitPattern)
        case .array: writer.lengthDelimited(5, batch.bytes(value.slice))
        case .keyValueList: writer.lengthDelimited(6, batch.bytes(value.slice))
        case .bytes: writer.lengthDelimited(7, batch.bytes(value.slice))
        }
    }
}
