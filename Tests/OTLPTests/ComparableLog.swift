import TelemetryModel

@testable import TelemetryTesting

/// A log record with its envelopes as both decoders should see it. Differences that are meant are those of `ComparableSpan`; here ours
/// also takes invalid ids for none.
struct ComparableLog: Equatable {
    var resource: OracleRequest.Resource
    var scope: OracleRequest.Scope
    var record: OracleLogs.Record
}

enum ComparableLogs {
    /// What libprotobuf-c found.
    static func records(_ request: OracleLogs) -> [ComparableLog] {
        request.resourceLogs.flatMap { envelope in
            envelope.scopeLogs.flatMap { scope in
                scope.records.filter(isAccepted).map {
                    ComparableLog(
                        resource: ComparableRequest.even(envelope.resource), scope: ComparableRequest.even(scope.scope),
                        record: even($0))
                }
            }
        }
    }

    /// What our decoder found. Parts that it keeps encoded are read by libprotobuf-c, which shows whether the slices are right.
    static func records(_ batch: LogBatch) -> [ComparableLog] {
        batch.records.map { record in
            var writer = WireWriter()
            writer.message(1) { envelope in
                envelope.lengthDelimited(1, batch.bytes(batch.resources[Int(record.resource)].encoded))
                envelope.message(2) { scope in
                    scope.lengthDelimited(1, batch.bytes(batch.scopes[Int(record.scope)].encoded))
                    scope.message(2) { write(record, batch, &$0) }
                }
            }
            guard let oracle = ProtobufOracle.decodeLogsRequest(writer.bytes, valueDepthMax: 70, memoryMax: 4 << 20),
                var found = Self.records(oracle).first
            else { return unreadable }
            let scope = batch.scopes[Int(record.scope)]
            found.scope.name = ComparableRequest.even(Array(batch.bytes(scope.name)))
            found.scope.version = ComparableRequest.even(Array(batch.bytes(scope.version)))
            return found
        }
    }

    private static func write(_ record: LogRecord, _ batch: LogBatch, _ writer: inout WireWriter) {
        writer.fixed64(1, UInt64(record.timeUnixNano))
        writer.varint(2, UInt64(UInt32(bitPattern: record.severityNumber)))
        writer.lengthDelimited(3, batch.bytes(record.severityText))
        writer.message(5) { body in
            switch record.body.kind {
            case .empty: break
            case .string: body.lengthDelimited(1, batch.bytes(record.body.slice))
            case .bool: body.varint(2, record.body.bool ? 1 : 0)
            case .int: body.varint(3, record.body.payload)
            case .double: body.fixed64(4, record.body.payload)
            case .array: body.lengthDelimited(5, batch.bytes(record.body.slice))
            case .keyValueList: body.lengthDelimited(6, batch.bytes(record.body.slice))
            case .bytes: body.lengthDelimited(7, batch.bytes(record.body.slice))
            }
        }
        for slice in batch.attributes[record.attributes.indices] { writer.lengthDelimited(6, batch.bytes(slice)) }
        writer.varint(7, UInt64(record.droppedAttributesCount))
        writer.fixed32(8, record.flags)
        if record.traceID.isValid { writer.lengthDelimited(9, record.traceID.bytes) }
        if record.spanID.isValid { writer.lengthDelimited(10, record.spanID.bytes) }
        writer.fixed64(11, UInt64(record.observedTimeUnixNano))
        writer.lengthDelimited(12, batch.bytes(record.eventName))
    }

    /// Equal to no record.
    private static let unreadable = ComparableLog(
        resource: ComparableRequest.even(nil as OracleRequest.Resource?),
        scope: ComparableRequest.even(nil as OracleRequest.Scope?),
        record: OracleLogs.Record(
            timeUnixNano: .max, observedTimeUnixNano: .max, severityNumber: -1, severityText: [], eventName: [], body: nil,
            attributes: [], droppedAttributesCount: 0, flags: 0, traceID: [1], spanID: [1]))

    static func isAccepted(_ record: OracleLogs.Record) -> Bool {
        record.timeUnixNano <= UInt64(Int64.max) && record.observedTimeUnixNano <= UInt64(Int64.max)
    }

    private static func even(_ record: OracleLogs.Record) -> OracleLogs.Record {
        var record = record
        record.severityText = ComparableRequest.even(record.severityText)
        record.eventName = ComparableRequest.even(record.eventName)
        record.body = ComparableRequest.even(record.body ?? .empty)
        record.attributes = record.attributes.map(ComparableRequest.even)
        if record.traceID.count != 16 || record.traceID.allSatisfy({ $0 == 0 }) { record.traceID = [] }
        if record.traceID.isEmpty || record.spanID.count != 8 || record.spanID.allSatisfy({ $0 == 0 }) { record.spanID = [] }
        return record
    }
}
