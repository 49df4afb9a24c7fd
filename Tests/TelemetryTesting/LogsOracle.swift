import COTLP

/// A logs request as libprotobuf-c reads it; what `OracleRequest` says of values holds here too.
package struct OracleLogs: Equatable, Sendable {
    package var resourceLogs: [ResourceLogs]

    package struct ResourceLogs: Equatable, Sendable {
        package var resource: OracleRequest.Resource?
        package var scopeLogs: [ScopeLogs]
    }

    package struct ScopeLogs: Equatable, Sendable {
        package var scope: OracleRequest.Scope?
        package var records: [Record]
    }

    package struct Record: Equatable, Sendable {
        package var timeUnixNano: UInt64
        package var observedTimeUnixNano: UInt64
        package var severityNumber: Int32
        package var severityText: [UInt8]
        package var eventName: [UInt8]
        /// `nil` when the record has no body message at all.
        package var body: OracleRequest.Value?
        package var attributes: [OracleRequest.Attribute]
        package var droppedAttributesCount: UInt32
        package var flags: UInt32
        package var traceID: [UInt8]
        package var spanID: [UInt8]
    }
}

extension ProtobufOracle {
    /// The request, or `nil`, as of `decodeTraceRequest`.
    package static func decodeLogsRequest(
        _ bytes: [UInt8], valueDepthMax: Int = 64, memoryMax: Int = 256 << 20
    ) -> OracleLogs? {
        var request = Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest()
        opentelemetry__proto__collector__logs__v1__export_logs_service_request__init(&request)
        guard NestingProbe.isShallow(bytes, root: request.base.descriptor, valueDepthMax: valueDepthMax) else { return nil }
        return Arena.withAllocator(capacity: memoryMax) { allocator in
            bytes.withUnsafeBufferPointer { buffer in
                let unpacked = opentelemetry__proto__collector__logs__v1__export_logs_service_request__unpack(
                    allocator, buffer.count, buffer.baseAddress)
                guard let unpacked else { return nil }
                return OracleLogs(
                    resourceLogs: list(unpacked.pointee.n_resource_logs, unpacked.pointee.resource_logs, resourceLogs))
            }
        }
    }
}

private func resourceLogs(_ message: Opentelemetry__Proto__Logs__V1__ResourceLogs) -> OracleLogs.ResourceLogs {
    OracleLogs.ResourceLogs(
        resource: message.resource.map { resource($0.pointee) },
        scopeLogs: list(message.n_scope_logs, message.scope_logs, scopeLogs))
}

private func scopeLogs(_ message: Opentelemetry__Proto__Logs__V1__ScopeLogs) -> OracleLogs.ScopeLogs {
    OracleLogs.ScopeLogs(
        scope: message.scope.map { scope($0.pointee) }, records: list(message.n_log_records, message.log_records, record))
}

private func record(_ message: Opentelemetry__Proto__Logs__V1__LogRecord) -> OracleLogs.Record {
    OracleLogs.Record(
        timeUnixNano: message.time_unix_nano, observedTimeUnixNano: message.observed_time_unix_nano,
        severityNumber: Int32(truncatingIfNeeded: message.severity_number.rawValue), severityText: text(message.severity_text),
        eventName: text(message.event_name), body: message.body.map { value($0.pointee) },
        attributes: list(message.n_attributes, message.attributes, attribute),
        droppedAttributesCount: message.dropped_attributes_count, flags: message.flags, traceID: binary(message.trace_id),
        spanID: binary(message.span_id))
}
